package demo

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"

	"github.com/keda-headroom/headroom/internal/fakeaws"
)

// scripted is a trigger that says what a test wants.
type scripted struct {
	mu     sync.Mutex
	answer answer
	err    error
	asked  int
	pushes chan bool
}

func (t *scripted) target(context.Context) (int64, error) { return 5000, nil }

func (t *scripted) ask(context.Context) (answer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked++
	return t.answer, t.err
}

func (t *scripted) push(ctx context.Context, say func(bool)) {
	for {
		select {
		case active := <-t.pushes:
			say(active)
		case <-ctx.Done():
			return
		}
	}
}

func (t *scripted) say(messages int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answer, t.err = answer{milli: messages * 1000, active: messages > 0}, err
}

// obedient is a workload whose pods are there at once.
type obedient struct {
	mu       sync.Mutex
	replicas int
}

func (o *obedient) scale(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.replicas = n
}

func (o *obedient) scaleSubresource() (int, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.replicas, o.replicas
}

// The defaults of KEDA and the HPA, at their own pace, with a burst of 200
// messages and a queueLength of 5.
func TestAutoscaler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := standard()
		s.faster = 1
		queue, workers := &scripted{pushes: make(chan bool)}, &obedient{}
		a, err := newAutoscaler(t.Context(), s, s.defaultHPA(), queue, workers, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		queue.say(200, nil)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			a.run(ctx)
		}()
		begin := time.Now()
		at := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(time.Until(begin.Add(after)))
			synctest.Wait()
			if got, _ := workers.scaleSubresource(); got != want {
				t.Fatalf("after %v: %d replicas, want %d", after, got, want)
			}
		}
		at(14*time.Second, 1)  // KEDA's first poll
		at(16*time.Second, 4)  // max(2×1, 4)
		at(31*time.Second, 8)  // 2×4
		at(46*time.Second, 16) // 2×8
		at(61*time.Second, 32)
		at(76*time.Second, 40) // 200 ÷ 5
		queue.say(0, errors.New("no answer"))
		at(150*time.Second, 40)
		queue.say(0, nil)
		// The HPA follows the highest recommendation of five minutes, the 40 of
		// 75 s; KEDA's last active poll was at 60 s, and its first one more than
		// 300 s later is at 390 s.
		at(389*time.Second, 40)
		at(391*time.Second, 0)
		queue.say(7, nil)
		queue.pushes <- false
		at(392*time.Second, 0)
		queue.pushes <- true
		at(392*time.Second, 1)
		stop()
		<-ended
	})
}

// witness is an external scaler that notes what it is asked, in order.
type witness struct {
	pb.UnimplementedExternalScalerServer
	mu    sync.Mutex
	calls []string
}

func (s *witness) note(call string, ref *pb.ScaledObjectRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call+" "+ref.GetNamespace()+"/"+ref.GetName())
}

func (s *witness) GetMetricSpec(_ context.Context, r *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	s.note("GetMetricSpec", r)
	return &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{MetricName: "replicas", TargetSize: 1, TargetSizeFloat: 1.5}}}, nil
}

func (s *witness) GetMetrics(_ context.Context, r *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	s.note("GetMetrics "+r.MetricName, r.ScaledObjectRef)
	return &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{MetricValue: 3, MetricValueFloat: 2.5}, {MetricValue: 4}}}, nil
}

func (s *witness) IsActive(_ context.Context, r *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	s.note("IsActive", r)
	return &pb.IsActiveResponse{Result: true}, nil
}

func (s *witness) StreamIsActive(_ *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.IsActiveResponse]) error {
	if err := stream.Send(&pb.IsActiveResponse{Result: true}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func TestExternalTrigger(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked, server := &witness{}, grpc.NewServer()
	pb.RegisterExternalScalerServer(server, asked)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	trigger, err := newExternalTrigger(listener.Addr().String(), &pb.ScaledObjectRef{Namespace: "shop", Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trigger.close)

	if milli, err := trigger.target(t.Context()); err != nil || milli != 1500 {
		t.Errorf("target %d, %v; want 1500: the float wins above zero", milli, err)
	}
	got, err := trigger.ask(t.Context())
	if want := (answer{milli: 6500, active: true}); err != nil || got != want {
		t.Errorf("answer %+v, %v; want %+v: values are summed, the float wins above zero", got, err, want)
	}
	asked.mu.Lock()
	calls := slices.Clone(asked.calls[1:])
	asked.mu.Unlock()
	if want := []string{"GetMetricSpec shop/orders", "GetMetrics replicas shop/orders", "IsActive shop/orders"}; !slices.Equal(calls, want) {
		t.Errorf("calls %q, want KEDA's order %q", calls, want)
	}

	ctx, stop := context.WithCancel(t.Context())
	said, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		trigger.push(ctx, func(active bool) { said <- active })
	}()
	if !<-said {
		t.Error("the stream said inactive")
	}
	stop()
	<-ended
}

func TestSQSTrigger(t *testing.T) {
	server := fakeaws.New(fakeaws.Options{Region: queueRegion})
	if _, err := server.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	b, err := newBurst(t.Context(), server, "orders")
	if err != nil {
		t.Fatal(err)
	}
	trigger := &sqsTrigger{client: b.client, url: b.url, queueLength: 5}
	if got, err := trigger.ask(t.Context()); err != nil || got != (answer{}) {
		t.Errorf("an empty queue: %+v, %v", got, err)
	}
	if err := b.send(t.Context(), 23); err != nil {
		t.Fatal(err)
	}
	if got, err := trigger.ask(t.Context()); err != nil || got != (answer{milli: 23000, active: true}) {
		t.Errorf("23 messages: %+v, %v", got, err)
	}
	if b.left() != 23 {
		t.Errorf("%d messages left, want 23", b.left())
	}
	if milli, _ := trigger.target(t.Context()); milli != 5000 {
		t.Errorf("target %d, want 5000", milli)
	}
	trigger.url = "http://" + queueRegion + ".invalid/queue"
	if _, err := trigger.ask(t.Context()); err == nil {
		t.Error("a queue that is not there answers")
	}
}
