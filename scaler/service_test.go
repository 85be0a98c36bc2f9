package scaler

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// serve starts a server on a port of its own. stop stops it, and so does the end
// of the test.
func serve(t testing.TB, options ServerOptions) (address string, s *Server, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = NewServer(options)
	done := make(chan error, 1)
	go func() { done <- s.Serve(listener) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		s.Stop(ctx)
		if err := <-done; err != nil {
			t.Errorf("serving ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return listener.Addr().String(), s, stop
}

func dial(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func ask(id metrics.ID) *pb.ScaledObjectRef {
	return &pb.ScaledObjectRef{Namespace: id.Namespace, Name: "any", ScalerMetadata: map[string]string{
		"scalerAddress": "headroom:6000", "workload": id.Name,
	}}
}

func TestTheTargetIsOneValueInBothFields(t *testing.T) {
	b := newBoard()
	address, _, _ := serve(t, ServerOptions{State: b.State})
	client := pb.NewExternalScalerClient(dial(t, address))
	for _, c := range []struct {
		value float64
		whole int64
	}{
		{0, 0}, // an integer above 0 would be taken instead
		{1, 1},
		{8.999, 9}, // for a KEDA that knows only integers: the replicas meant
		{100, 100},
	} {
		b.publish(policy.WorkloadPlan{ID: orders, Value: c.value})
		answer, err := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders), MetricName: "headroom-order-workers"})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(answer.GetMetricValues()); n != 1 {
			t.Fatalf("%d values, want exactly 1: KEDA adds them up", n)
		}
		v := answer.GetMetricValues()[0]
		if v.GetMetricValueFloat() != c.value || v.GetMetricValue() != c.whole || v.GetMetricName() != "headroom-order-workers" {
			t.Errorf("value %v: got %v", c.value, v)
		}
	}
	for _, wrong := range []float64{math.NaN(), math.Inf(1), -1, 1e300} {
		b.publish(policy.WorkloadPlan{ID: orders, Value: wrong})
		_, err := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)})
		if status.Code(err) != codes.Unavailable {
			t.Errorf("value %v: got %v, want Unavailable", wrong, err)
		}
	}
}

// TestTheCeilingIsAMetricOfItsOwn: another trigger's demand is limited by it, in a
// formula such as max(0, min(demand, ceiling)).
func TestTheCeilingIsAMetricOfItsOwn(t *testing.T) {
	b := newBoard()
	address, _, _ := serve(t, ServerOptions{State: b.State})
	client := pb.NewExternalScalerClient(dial(t, address))
	ref := ask(orders)
	ref.ScalerMetadata["metric"] = "ceiling"
	get := func() (*pb.MetricValue, error) {
		answer, err := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ref})
		if err != nil {
			return nil, err
		}
		if n := len(answer.GetMetricValues()); n != 1 {
			t.Fatalf("%d values, want exactly 1", n)
		}
		return answer.GetMetricValues()[0], nil
	}
	for _, c := range []struct {
		plan policy.WorkloadPlan
		want int64
	}{
		{policy.WorkloadPlan{ID: orders, Mode: policy.Target, Value: 3, Target: 3, Ceiling: 7}, 7},
		{policy.WorkloadPlan{ID: orders, Mode: policy.Gate, Value: 3, Target: 3, Ceiling: 0}, 0},
		{policy.WorkloadPlan{ID: orders, Mode: policy.Observe, Value: 3, Ceiling: 7}, math.MaxInt32}, // changes nothing
	} {
		b.publish(c.plan)
		v, err := get()
		if err != nil || v.GetMetricValue() != c.want || v.GetMetricValueFloat() != float64(c.want) || v.GetMetricName() != "headroom-order-workers-ceiling" {
			t.Errorf("%+v: got %v, %v, want %d", c.plan, v, err, c.want)
		}
		spec, err := client.GetMetricSpec(t.Context(), ref)
		if err != nil || spec.GetMetricSpecs()[0].GetMetricName() != "headroom-order-workers-ceiling" {
			t.Errorf("got the spec %v, %v", spec, err)
		}
	}
	b.publish(policy.WorkloadPlan{ID: orders, Mode: policy.Target, Ceiling: 7, Failure: "queue unknown for 6m"})
	if v, err := get(); status.Code(err) != codes.Unavailable || status.Convert(err).Message() != "queue unknown for 6m" {
		t.Errorf("got %v, %v, want the failure", v, err)
	}
	b.publish(policy.WorkloadPlan{ID: orders, Mode: policy.Target, Ceiling: 7, Active: true})
	if answer, err := client.IsActive(t.Context(), ref); err != nil || !answer.GetResult() {
		t.Errorf("active: %v, %v", answer, err)
	}
	ref.ScalerMetadata["metric"] = "demand"
	if v, err := get(); status.Code(err) != codes.InvalidArgument || !strings.Contains(status.Convert(err).Message(), "target or ceiling") {
		t.Errorf("got %v, %v, want words on the metrics there are", v, err)
	}
}

func TestActivity(t *testing.T) {
	b := newBoard()
	address, _, _ := serve(t, ServerOptions{State: b.State})
	client := pb.NewExternalScalerClient(dial(t, address))
	for _, active := range []bool{true, false} {
		b.publish(policy.WorkloadPlan{ID: orders, Active: active})
		answer, err := client.IsActive(t.Context(), ask(orders))
		if err != nil || answer.GetResult() != active {
			t.Errorf("got %v, %v, want %v", answer, err, active)
		}
	}
}

func TestWhatToFix(t *testing.T) {
	b := newBoard()
	now := time.Now()
	address, _, _ := serve(t, ServerOptions{State: b.State})
	client := pb.NewExternalScalerClient(dial(t, address))
	metadata := func(pairs ...string) *pb.ScaledObjectRef {
		ref := &pb.ScaledObjectRef{Namespace: "shop", Name: "order-workers", ScalerMetadata: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			ref.ScalerMetadata[pairs[i]] = pairs[i+1]
		}
		return ref
	}
	check := func(what string, ref *pb.ScaledObjectRef, code codes.Code, words ...string) {
		t.Helper()
		_, metricsErr := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ref})
		_, activeErr := client.IsActive(t.Context(), ref)
		for _, err := range []error{metricsErr, activeErr} {
			if status.Code(err) != code {
				t.Errorf("%s: got %v, want %v", what, err, code)
				continue
			}
			for _, word := range words {
				if !strings.Contains(status.Convert(err).Message(), word) {
					t.Errorf("%s: %q does not say %q", what, status.Convert(err).Message(), word)
				}
			}
		}
		// Whatever is wrong, the HPA keeps its metric.
		spec, err := client.GetMetricSpec(t.Context(), ref)
		if err != nil || len(spec.GetMetricSpecs()) != 1 || spec.GetMetricSpecs()[0].GetTargetSizeFloat() != 1 || spec.GetMetricSpecs()[0].GetTargetSize() != 1 {
			t.Errorf("%s: got spec %v, %v", what, spec, err)
		}
	}

	check("before the first plan", ask(orders), codes.Unavailable, "no plan yet")
	governed := shop(orders, invoices)
	governed.Workloads[0].ScaledObject = "order-workers"
	publish := func(at time.Time, plans ...policy.WorkloadPlan) {
		b.publishAt(at, governed, Decision{Group: policy.Group{Workloads: []policy.Workload{governed.Workloads[1], governed.Workloads[0]}}, Plan: policy.Plan{At: at, Workloads: plans}})
	}
	publish(now, policy.WorkloadPlan{ID: invoices}, policy.WorkloadPlan{ID: orders})

	check("a misspelled workload", metadata("workload", "order-worker"), codes.NotFound, "shop/order-worker", "order-workers, invoice-workers", "metadata")
	check("a namespace without policies", &pb.ScaledObjectRef{Namespace: "mail", Name: "x", ScalerMetadata: map[string]string{"workload": "x"}}, codes.NotFound, "namespace mail", "add a Policy")
	check("a misspelled key", metadata("workload", "order-workers", "mesagesPerPod", "20"), codes.InvalidArgument, `"mesagesPerPod"`, "policy")
	check("no workload", metadata("scalerAddress", "headroom:6000"), codes.InvalidArgument, "shop/order-workers", "name the workload")
	check("an empty workload", metadata("workload", ""), codes.InvalidArgument, "found nothing")
	check("a workload with a namespace", metadata("workload", "shop/order-workers"), codes.InvalidArgument, "leave the namespace out")
	check("two workloads", metadata("workload", "a", "workloadFromEnv", "b"), codes.InvalidArgument, "found both")
	check("nothing at all", &pb.ScaledObjectRef{}, codes.InvalidArgument, "namespace")
	check("somebody else's workload", ask(orders), codes.InvalidArgument, `"any"`, `"order-workers"`, "scaledObjectRef")

	// KEDA's own keys, and a variable that it resolved, are fine.
	for _, ref := range []*pb.ScaledObjectRef{
		metadata("workload", "order-workers", "scalerAddress", "x", "enableTLS", "true", "unsafeSsl", "false"),
		metadata("workloadFromEnv", "order-workers", "scalerAddressFromEnv", "x"),
	} {
		if _, err := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ref}); err != nil {
			t.Errorf("%v: %v", ref, err)
		}
	}

	publish(now, policy.WorkloadPlan{ID: invoices, Failure: "the queue has had no fresh reading", Active: true}, policy.WorkloadPlan{ID: orders})
	if _, err := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(invoices)}); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no fresh reading") {
		t.Errorf("a plan that fails: got %v", err)
	}
	if answer, err := client.IsActive(t.Context(), ask(invoices)); err != nil || !answer.GetResult() {
		t.Errorf("a plan that fails is still active: got %v, %v", answer, err)
	}

	publish(now.Add(-time.Hour), policy.WorkloadPlan{ID: invoices}, policy.WorkloadPlan{ID: orders})
	check("a process that was stopped for an hour", metadata("workload", "order-workers"), codes.Unavailable, "1h0m0s old")
}

func TestMetricNames(t *testing.T) {
	for name, want := range map[string]string{
		"order-workers":           "headroom-order-workers",
		"Orders/und Grüße":        "headroom-orders-und-gr--e",
		"":                        "headroom",
		"...":                     "headroom",
		strings.Repeat("a", 1000): "headroom-" + strings.Repeat("a", maxMetricName),
	} {
		if got := metricName(&pb.ScaledObjectRef{ScalerMetadata: map[string]string{"workload": name}}); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got := metricName(&pb.ScaledObjectRef{Name: "orders"}); got != "headroom-orders" {
		t.Errorf("without a workload: got %q", got)
	}
}

func TestActivityIsPushedOnChangeOnly(t *testing.T) {
	b := newBoard()
	address, _, _ := serve(t, ServerOptions{State: b.State})
	client := pb.NewExternalScalerClient(dial(t, address))
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := client.StreamIsActive(ctx, ask(orders))
	if err != nil {
		t.Fatal(err)
	}
	want := func(active bool) {
		t.Helper()
		answer, err := stream.Recv()
		if err != nil || answer.GetResult() != active {
			t.Fatalf("got %v, %v, want %v", answer, err, active)
		}
	}
	eventually(t, "the stream", func() bool { return running("(*Service).StreamIsActive") })
	b.publish(policy.WorkloadPlan{ID: orders, Active: false}) // there was no plan when it opened
	want(false)
	for range 100 { // nothing changes, and nothing may be pushed
		b.publish(policy.WorkloadPlan{ID: orders, Active: false})
	}
	b.publish(policy.WorkloadPlan{ID: orders, Active: true})
	want(true)
	for i := range 100 {
		b.publish(policy.WorkloadPlan{ID: orders, Active: true, Target: i})
	}
	b.publishAt(time.Now().Add(-time.Hour), b.State().Set, b.State().Decisions...) // too old to say anything
	b.publish(policy.WorkloadPlan{ID: orders, Active: false})
	want(false)

	b.publish(policy.WorkloadPlan{ID: invoices})
	if _, err := stream.Recv(); status.Code(err) != codes.NotFound {
		t.Errorf("the workload is gone: got %v, want NotFound", err)
	}
	cancel()
	noneLeft(t, "(*Service).StreamIsActive")
}

func TestTheSpecIsPushedOnceAndIsTheOneAskedFor(t *testing.T) {
	b := newBoard()
	address, _, stop := serve(t, ServerOptions{State: b.State})
	client := pb.NewExternalScalerClient(dial(t, address))
	asked, err := client.GetMetricSpec(t.Context(), ask(orders))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := client.StreamMetricSpec(t.Context(), ask(orders))
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := stream.Recv()
	if err != nil || pushed.String() != asked.String() {
		t.Errorf("pushed %v, %v, but %v when asked", pushed, err, asked)
	}
	b.publish(policy.WorkloadPlan{ID: orders, Active: true})
	go stop()
	if more, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v, want the stream's end and nothing more", more, err)
	}
}

func TestStreamsEndWithoutAnErrorWhenTheServerStops(t *testing.T) {
	b := newBoard()
	b.publish(policy.WorkloadPlan{ID: orders, Active: true})
	address, _, stop := serve(t, ServerOptions{State: b.State, MaxConnectionAge: time.Hour})
	client := pb.NewExternalScalerClient(dial(t, address))
	var streams []grpc.ServerStreamingClient[pb.IsActiveResponse]
	for range 20 {
		stream, err := client.StreamIsActive(t.Context(), ask(orders))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	stop()
	for _, stream := range streams {
		// Anything but io.EOF makes KEDA wait up to a minute before it asks again.
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want io.EOF", err)
		}
	}
	noneLeft(t, "(*Service).StreamIsActive")
}

func TestClientsThatGoLeaveNothingBehind(t *testing.T) {
	b := newBoard()
	b.publish(policy.WorkloadPlan{ID: orders, Active: true})
	address, _, _ := serve(t, ServerOptions{State: b.State, MaxConnectionAge: time.Hour})
	connection := dial(t, address)
	client := pb.NewExternalScalerClient(connection)
	ctx, cancel := context.WithCancel(t.Context())
	for range 20 {
		for _, c := range []context.Context{ctx, t.Context()} { // one canceled, one cut off
			active, err := client.StreamIsActive(c, ask(orders))
			if err != nil {
				t.Fatal(err)
			}
			spec, err := client.StreamMetricSpec(c, ask(orders))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := active.Recv(); err != nil {
				t.Fatal(err)
			}
			if _, err := spec.Recv(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	if err := connection.Close(); err != nil {
		t.Fatal(err)
	}
	noneLeft(t, "(*Service).StreamIsActive")
	noneLeft(t, "(*Service).StreamMetricSpec")
}

func TestStreamsEndByThemselvesBeforeTheirConnectionIsCutOff(t *testing.T) {
	b := newBoard()
	b.publish(policy.WorkloadPlan{ID: orders, Active: true})
	address, _, _ := serve(t, ServerOptions{State: b.State, MaxConnectionAge: 2 * time.Second})
	client := pb.NewExternalScalerClient(dial(t, address))
	active, err := client.StreamIsActive(t.Context(), ask(orders))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := client.StreamMetricSpec(t.Context(), ask(orders))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := active.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := spec.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := active.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the activity's stream ended with %v, want io.EOF", err)
	}
	if _, err := spec.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the spec's stream ended with %v, want io.EOF", err)
	}
	// The client finds its way back.
	if _, err := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)}); err != nil {
		t.Errorf("after the connection's end: %v", err)
	}
}

func TestHealthAndReflection(t *testing.T) {
	b := newBoard()
	address, s, _ := serve(t, ServerOptions{State: b.State})
	connection := dial(t, address)
	health := healthpb.NewHealthClient(connection)
	for _, serving := range []bool{false, true} {
		s.SetServing(serving)
		for _, service := range []string{"", "externalscaler.ExternalScaler"} {
			answer, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
			if err != nil || (answer.GetStatus() == healthpb.HealthCheckResponse_SERVING) != serving {
				t.Errorf("%q: got %v, %v, want serving %v", service, answer, err, serving)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := reflectionpb.NewServerReflectionClient(connection).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || !strings.Contains(answer.String(), "externalscaler.ExternalScaler") {
		t.Errorf("got %v, %v", answer, err)
	}
}

func TestWhatDoesNotEndIsCutOff(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(ServerOptions{State: newBoard().State})
	done := make(chan error, 1)
	go func() { done <- s.Serve(listener) }()
	stream, err := reflectionpb.NewServerReflectionClient(dial(t, listener.Addr().String())).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // it is open, and its client never ends it
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Stop(ctx)
	if err := <-done; err != nil {
		t.Errorf("serving ended with %v", err)
	}
}

func BenchmarkGetMetrics(b *testing.B) {
	board := newBoard()
	board.publish(policy.WorkloadPlan{ID: orders, Value: 7, Active: true})
	b.Run("in process", func(b *testing.B) {
		s := NewService(ServiceOptions{State: board.State, MaxPlanAge: time.Hour})
		request := &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.GetMetrics(b.Context(), request); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("over TCP", func(b *testing.B) {
		address, _, _ := serve(b, ServerOptions{State: board.State, MaxPlanAge: time.Hour})
		client := pb.NewExternalScalerClient(dial(b, address))
		request := &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)}
		for b.Loop() {
			if _, err := client.GetMetrics(b.Context(), request); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A follower answers what the metric is called, and lets go of whoever came to the
// wrong one.
func TestAFollowerSendsToTheLeader(t *testing.T) {
	b := newBoard()
	var why atomic.Value
	why.Store("not the leader (headroom-b leads)")
	address, _, _ := serve(t, ServerOptions{State: b.State, Standby: func() string { return why.Load().(string) }})
	b.publish(policy.WorkloadPlan{ID: orders, Value: 3, Active: true})
	connection := dial(t, address)
	client := pb.NewExternalScalerClient(connection)
	if _, err := client.GetMetricSpec(t.Context(), ask(orders)); err != nil {
		t.Errorf("expected the metric's name, found %v", err)
	}
	_, err := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)})
	_, activeErr := client.IsActive(t.Context(), ask(orders))
	for _, err := range []error{err, activeErr} {
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "headroom-b leads") {
			t.Errorf("expected words on the leader, found %v", err)
		}
	}
	stream, err := client.StreamIsActive(t.Context(), ask(orders))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("expected the end of the stream, found %v and %v", answer, err)
	}
	for state := connectivity.Ready; state == connectivity.Ready; state = connection.GetState() {
		connection.WaitForStateChange(t.Context(), state)
	}

	// The leader's stay.
	connection.Connect()
	for state := connection.GetState(); state != connectivity.Ready; state = connection.GetState() {
		connection.WaitForStateChange(t.Context(), state)
	}
	why.Store("")
	if got, err := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)}); err != nil || got.GetMetricValues()[0].GetMetricValue() != 3 {
		t.Errorf("expected 3, found %v, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), standbyConnection+time.Second)
	defer cancel()
	if connection.WaitForStateChange(ctx, connectivity.Ready) {
		t.Errorf("the leader's connection became %s", connection.GetState())
	}
}
