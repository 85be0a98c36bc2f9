package scaler

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/metrics/sqs"
	"github.com/keda-headroom/headroom/policy"
)

// idler is one workload whose queue is in a local SQS, on virtual time.
type idler struct {
	*testing.T
	*Sources
	server *fakeaws.Server
	sdk    *awssqs.Client
	client *sqs.Client // nil where the queue is a number
	url    string

	mu       sync.Mutex
	replicas int
	messages int64
	began    chan time.Time // when the latest read of the queue did
}

// inQuickIdler is inIdler without an SQS: the queue is a number.
func inQuickIdler(t *testing.T, idle, fleets time.Duration, story func(w *idler)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { (&idler{T: t}).live(idle, fleets, story) })
}

// inIdler runs a story with a queue that is read each 5 s (each idle, where that is
// less), and each idle while idle. Fleets are read so rarely that months pass quickly.
func inIdler(t *testing.T, idle, fleets time.Duration, story func(w *idler)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &idler{T: t, server: fakeaws.New(fakeaws.Options{Region: "eu-west-1"})}
		config := w.server.InProcess()
		w.sdk = awssqs.NewFromConfig(config)
		made, err := w.sdk.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String("orders")})
		if err != nil {
			t.Fatal(err)
		}
		w.url = *made.QueueUrl
		if w.client, err = sqs.New(t.Context(), sqs.Options{Config: &config}); err != nil {
			t.Fatal(err)
		}
		w.live(idle, fleets, story)
	})
}

// live runs a story.
func (w *idler) live(idle, fleets time.Duration, story func(w *idler)) {
	w.began = make(chan time.Time, 1)
	open := (&systems{}).open()
	open.Queue = func(q policy.SQS) (poll.Source[metrics.Queue], error) {
		if w.client != nil {
			return w.client.Queue(sqs.Location{URL: q.QueueURL})
		}
		return reads[metrics.Queue](func() (metrics.Queue, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return metrics.Queue{Visible: w.messages}, nil
		}), nil
	}
	open.Fleets = func() (poll.Source[Fleets], error) {
		return reads[Fleets](func() (Fleets, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return Fleets{Fleets: map[metrics.ID]metrics.Fleet{orders: {SpecReplicas: w.replicas}}}, nil
		}), nil
	}
	w.Sources = NewSources(SourcesOptions{Open: open, FleetInterval: fleets, Observe: func(source, _ string, began time.Time, _ time.Duration, _ error) {
		if source != sourceQueue {
			return
		}
		select {
		case <-w.began:
		default:
		}
		w.began <- began
	}})
	defer w.Close()
	set := shop(orders)
	set.Databases, set.Workloads[0].Databases = nil, nil
	set.Workloads[0].SQS = &policy.SQS{QueueURL: w.url, MessagesPerPod: 20, PollInterval: pollInterval(idle), IdlePollInterval: idle}
	w.Use(set)
	story(w)
}

func pollInterval(idle time.Duration) time.Duration {
	if idle > 0 && idle < 5*time.Second {
		return idle
	}
	return 5 * time.Second
}

func (w *idler) send() {
	w.Helper()
	if w.client == nil {
		w.count(1)
		return
	}
	if _, err := w.sdk.SendMessage(w.Context(), &awssqs.SendMessageInput{QueueUrl: &w.url, MessageBody: aws.String("x")}); err != nil {
		w.Fatal(err)
	}
}

// take receives a message and deletes it.
func (w *idler) take() {
	w.Helper()
	if w.client == nil {
		w.count(-1)
		return
	}
	got, err := w.sdk.ReceiveMessage(w.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &w.url})
	if err != nil || len(got.Messages) != 1 {
		w.Fatalf("received %v, %v", got, err)
	}
	if _, err := w.sdk.DeleteMessage(w.Context(), &awssqs.DeleteMessageInput{QueueUrl: &w.url, ReceiptHandle: got.Messages[0].ReceiptHandle}); err != nil {
		w.Fatal(err)
	}
}

func (w *idler) count(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages += n
}

// scale sets the replicas.
func (w *idler) scale(replicas int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replicas = replicas
}

// calls returns how often the queue was read within the next d.
func (w *idler) calls(d time.Duration) int {
	before := w.server.Calls()["GetQueueAttributes"]
	time.Sleep(d)
	synctest.Wait()
	return w.server.Calls()["GetQueueAttributes"] - before
}

func (w *idler) between(what string, got, least, most int) {
	w.Helper()
	if got < least || got > most {
		w.Errorf("%s: %d reads, want %d to %d", what, got, least, most)
	}
}

// delay returns how long after now a read begins.
func (w *idler) delay() time.Duration {
	sent := time.Now()
	for began := range w.began {
		if !began.Before(sent) {
			return began.Sub(sent)
		}
	}
	return 0
}

func TestAQueueIsReadSlowlyOnlyWhileNothingHappens(t *testing.T) {
	inIdler(t, time.Minute, time.Second, func(w *idler) {
		// What is not known yet is read often, for a minute. Then nothing happens.
		w.between("at first", w.calls(time.Minute), 10, 14)
		w.between("an empty hour", w.calls(time.Hour), 57, 66)

		// A message: once it is found, the queue is read at its own interval.
		w.send()
		w.calls(70 * time.Second)
		w.between("with a message", w.calls(10*time.Minute), 115, 130)

		// It is done. SQS may not know of the next one for a minute; then it is idle.
		w.take()
		w.between("the minute after it", w.calls(time.Minute), 10, 14)
		w.calls(10 * time.Second)
		w.between("after that", w.calls(10*time.Minute), 9, 12)

		// Pods of the workload, whoever asked for them, make it worth reading at once.
		w.scale(1)
		w.between("with replicas", w.calls(time.Minute), 11, 15)
		w.scale(0)
		w.calls(10 * time.Second)
		w.between("without", w.calls(10*time.Minute), 9, 12)
	})
}

func TestAnIdleQueueInAnOutageIsNotReadOften(t *testing.T) {
	inIdler(t, time.Minute, time.Minute, func(w *idler) {
		w.calls(5 * time.Minute)
		lift := w.server.Inject(fakeaws.AccessDenied("GetQueueAttributes"))
		w.between("an hour of failures", w.calls(time.Hour), 57, 70)
		lift()
		w.between("found again", w.calls(10*time.Minute), 9, 13)

		// With messages known, it is tried as often as ever.
		w.send()
		w.calls(90 * time.Second)
		w.server.Inject(fakeaws.AccessDenied("GetQueueAttributes"))
		w.between("an hour of failures with messages", w.calls(time.Hour), 130, 170)
	})
}

func TestWithoutAnIdleIntervalNothingChanges(t *testing.T) {
	inIdler(t, 0, time.Minute, func(w *idler) {
		w.calls(2 * time.Minute)
		w.between("an empty hour", w.calls(time.Hour), 700, 740)
	})
}

func TestPokesCanNotRunUpCalls(t *testing.T) {
	inIdler(t, time.Minute, time.Minute, func(w *idler) {
		w.calls(5 * time.Minute)
		begin := w.server.Calls()["GetQueueAttributes"]
		for range 3600 * 10 { // ten a second for an hour
			if _, known := w.Poke(orders); !known {
				w.Fatal("the workload is not known")
			}
			time.Sleep(100 * time.Millisecond)
		}
		w.between("an hour of pokes", w.server.Calls()["GetQueueAttributes"]-begin, 720, 720*5/4+10)
		w.calls(70 * time.Second)
		w.between("afterwards", w.calls(10*time.Minute), 9, 12)
	})
}

func TestPokingOverHTTP(t *testing.T) {
	var counted []string
	poked := func(id metrics.ID) (now, known bool) { return id == orders, id == orders || id == invoices }
	handler := NewPokeHandler(poked, func(result string) { counted = append(counted, result) })
	for _, test := range []struct {
		query  string
		status int
		body   string
	}{
		{"workload=shop/order-workers", http.StatusAccepted, `{"workload":"shop/order-workers","read":"now"}`},
		{"workload=shop/invoice-workers", http.StatusAccepted, `{"workload":"shop/invoice-workers","read":"soon"}`},
		{"workload=shop/none", http.StatusNotFound, `{"error":"expected a workload with a queue and a policy in force, found shop/none"}`},
		{"workload=orders", http.StatusBadRequest, `{"error":"workload: expected NAMESPACE/NAME, found \"orders\""}`},
		{"", http.StatusBadRequest, `{"error":"workload: expected NAMESPACE/NAME, found \"\""}`},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, PokePath+"?"+test.query, nil))
		var got, want any
		if err := errors.Join(json.Unmarshal(w.Body.Bytes(), &got), json.Unmarshal([]byte(test.body), &want)); err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if w.Code != test.status || string(a) != string(b) {
			t.Errorf("%s: got %d %s, want %d %s", test.query, w.Code, w.Body, test.status, test.body)
		}
	}
	if !slices.Equal(counted, []string{"now", "soon", "unknown"}) {
		t.Errorf("counted %q", counted)
	}
}

const month = 30 * 24 * time.Hour

// idleMonth returns how often an empty queue is read in 30 days; of short
// intervals it counts some 10,000 reads and reckons. Each read is one
// call: TestAQueueIsReadSlowlyOnlyWhileNothingHappens counts them at the server.
func idleMonth(t *testing.T, idle time.Duration) (n int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		open := (&systems{fleets: Fleets{Fleets: map[metrics.ID]metrics.Fleet{orders: {}}}}).open()
		open.Queue = func(policy.SQS) (poll.Source[metrics.Queue], error) {
			return reads[metrics.Queue](func() (metrics.Queue, error) {
				n++
				return metrics.Queue{}, nil
			}), nil
		}
		s := NewSources(SourcesOptions{Open: open, FleetInterval: time.Hour})
		defer s.Close()
		set := shop(orders)
		set.Databases, set.Workloads[0].Databases = nil, nil
		set.Workloads[0].SQS.PollInterval, set.Workloads[0].SQS.IdlePollInterval = pollInterval(idle), idle
		s.Use(set)
		lasts := month
		if idle < time.Minute {
			lasts = 10_000 * idle
		}
		time.Sleep(lasts)
		synctest.Wait()
		n = int(int64(n) * int64(month/time.Second) / int64(lasts/time.Second))
	})
	return n
}

// firstMessages returns how long the first message of an idle queue waits until a
// read begins that finds it, at the 95th percentile of so many.
func firstMessages(t *testing.T, idle time.Duration, poke bool, samples int, in func(*testing.T, time.Duration, time.Duration, func(*idler))) (p95 time.Duration) {
	t.Helper()
	in(t, idle, time.Hour, func(w *idler) {
		random := rand.New(rand.NewPCG(1, uint64(idle)))
		var all []time.Duration
		for range samples {
			time.Sleep(idleAfter + 10*time.Second + time.Duration(random.Int64N(int64(2*idle))))
			w.send()
			if poke {
				w.Poke(orders)
			}
			all = append(all, w.delay())
			w.take()
		}
		slices.Sort(all)
		p95 = all[len(all)*95/100]
	})
	return p95
}

// The trade: calls of an idle queue in 30 days, and how long its first message
// waits to be noticed, by polling alone and with a poke. docs/queues.md has these
// figures.
func TestTheTradeOfAnIdleQueue(t *testing.T) {
	const (
		within     = 45_000 // calls a month
		perMillion = 0.40   // US dollars
	)
	for _, idle := range []time.Duration{2100 * time.Millisecond, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute} {
		calls := idleMonth(t, idle)
		polled, poked := firstMessages(t, idle, false, 100, inQuickIdler), firstMessages(t, idle, true, 100, inQuickIdler)
		t.Logf("idlePollInterval %6s: %8d calls in 30 days, $%.2f; first message noticed, 95th percentile: %5.1f s polled, %.1f s poked",
			idle, calls, float64(calls)/1e6*perMillion, polled.Seconds(), poked.Seconds())
		if polled > idle*11/10 || polled < idle*3/4 {
			t.Errorf("%s: noticed after %s, which is not in proportion", idle, polled)
		}
		if poked > 2*time.Second {
			t.Errorf("%s: poked, and noticed only after %s", idle, poked)
		}
		if expected := int(month / idle); calls < expected*97/100 || calls > expected*103/100 {
			t.Errorf("%s: %d calls in a month, want about %d", idle, calls, expected)
		}
		if idle == time.Minute && calls > within {
			t.Errorf("%d calls in a month, want at most %d", calls, within)
		}
	}
	// The same against the local SQS, of some messages.
	polled, poked := firstMessages(t, time.Minute, false, 20, inIdler), firstMessages(t, time.Minute, true, 20, inIdler)
	if polled < 40*time.Second || polled > 66*time.Second || poked > 2*time.Second {
		t.Errorf("with the local SQS: noticed after %s, poked %s", polled, poked)
	}
}

var _ poll.Source[metrics.Queue] = pacedQueue{}

// A source under pacedQueue is closed with it.
func TestAPacedQueueIsClosed(t *testing.T) {
	closed := false
	p := pacedQueue{Source: closing[metrics.Queue]{func() (metrics.Queue, error) { return metrics.Queue{}, nil }, func() { closed = true }}}
	if err := p.Close(); err != nil || !closed {
		t.Errorf("closed %v, %v", closed, err)
	}
	if err := (pacedQueue{Source: reads[metrics.Queue](nil)}).Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Source.Read(context.Background()); err != nil {
		t.Error(err)
	}
}
