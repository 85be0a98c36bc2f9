package sqs

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/awscall"
	"github.com/keda-headroom/headroom/metrics/poll"
)

// queues is a local SQS over HTTP, with an SDK client to fill it and the Client
// under test, whose requests it counts as "service/operation/result".
type queues struct {
	*fakeaws.Server
	t      *testing.T
	sdk    *awssqs.Client
	client *Client

	mu       sync.Mutex
	requests map[string]int
}

func newQueues(t *testing.T) *queues {
	t.Helper()
	q := &queues{Server: fakeaws.New(fakeaws.Options{Region: "eu-west-1", AccountID: "123456789012"}), t: t, requests: make(map[string]int)}
	if _, err := q.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	config := q.Config()
	q.sdk = awssqs.NewFromConfig(config)
	client, err := New(t.Context(), Options{Config: &config, Observe: func(service, operation, result string) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.requests[service+"/"+operation+"/"+result]++
	}})
	if err != nil {
		t.Fatal(err)
	}
	q.client = client
	return q
}

// create makes a queue and returns its URL.
func (q *queues) create(name string) string {
	q.t.Helper()
	input := &awssqs.CreateQueueInput{QueueName: &name}
	if strings.HasSuffix(name, ".fifo") {
		input.Attributes = map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"}
	}
	made, err := q.sdk.CreateQueue(q.t.Context(), input)
	if err != nil {
		q.t.Fatal(err)
	}
	return *made.QueueUrl
}

// send sends n different messages, delayed by this many seconds.
func (q *queues) send(url string, n int, delay int32) {
	q.t.Helper()
	for i := range n {
		input := &awssqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(strings.Repeat("x", i+1)), DelaySeconds: delay}
		if strings.HasSuffix(url, ".fifo") {
			input.MessageGroupId = aws.String("group-" + *input.MessageBody)
		}
		if _, err := q.sdk.SendMessage(q.t.Context(), input); err != nil {
			q.t.Fatal(err)
		}
	}
}

// receive takes n messages into flight.
func (q *queues) receive(url string, n int32) {
	q.t.Helper()
	got, err := q.sdk.ReceiveMessage(q.t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: n, VisibilityTimeout: 600})
	if err != nil || len(got.Messages) != int(n) {
		q.t.Fatalf("received %d messages (%v), want %d", len(got.Messages), err, n)
	}
}

// queue opens a queue with the Client under test.
func (q *queues) queue(location Location) *Queue {
	q.t.Helper()
	queue, err := q.client.Queue(location)
	if err != nil {
		q.t.Fatal(err)
	}
	return queue
}

// wantRequests holds what Observe was told since the last time.
func (q *queues) wantRequests(want map[string]int) {
	q.t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	if !maps.Equal(q.requests, want) {
		q.t.Errorf("requests %v, want %v", q.requests, want)
	}
	clear(q.requests)
}

func wantDepth(t *testing.T, queue *Queue, want metrics.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if got, err := queue.Read(ctx); err != nil || got != want {
		t.Errorf("%s: got %+v, %v; want %+v", queue.location, got, err, want)
	}
}

// wantFailure reads the queue and holds that it fails with this result and words.
func wantFailure(ctx context.Context, t *testing.T, queue *Queue, result awscall.Result, words ...string) {
	t.Helper()
	got, err := queue.Read(ctx)
	if err == nil {
		t.Errorf("got %+v, want it to fail with %s", got, result)
		return
	}
	var failure *Error
	if !errors.As(err, &failure) || failure.Result != result {
		t.Errorf("got %v (%+v), want the result %s", err, failure, result)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v\nwant an error with %q", err, word)
		}
	}
	if got != (metrics.Queue{}) {
		t.Errorf("failed with the value %+v", got)
	}
}

func TestAStandardQueue(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	url := q.create("orders")
	queue := q.queue(Location{URL: url})

	// Empty is 0, because the server says so.
	wantDepth(t, queue, metrics.Queue{})

	q.send(url, 7, 0)
	q.send(url, 2, 600)
	wantDepth(t, queue, metrics.Queue{Visible: 7, Delayed: 2})

	q.receive(url, 3)
	wantDepth(t, queue, metrics.Queue{Visible: 4, InFlight: 3, Delayed: 2})

	q.wantRequests(map[string]int{"sqs/GetQueueAttributes/ok": 3})
}

func TestAFIFOQueue(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	url := q.create("orders.fifo")
	q.send(url, 5, 0)
	q.receive(url, 2)
	wantDepth(t, q.queue(Location{URL: url}), metrics.Queue{Visible: 3, InFlight: 2, FIFO: true})
	wantDepth(t, q.queue(Location{Name: "orders.fifo"}), metrics.Queue{Visible: 3, InFlight: 2, FIFO: true})
}

// TestAQueueByName follows a queue that is looked up, deleted and made anew.
func TestAQueueByName(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	queue := q.queue(Location{Name: "orders", Account: "123456789012"})

	// It isn't there yet.
	wantFailure(t.Context(), t, queue, awscall.ResultNotFound, "GetQueueUrl of queue orders of account 123456789012: there is no such queue in region eu-west-1 at "+q.URL())
	q.wantRequests(map[string]int{"sqs/GetQueueUrl/not_found": 1})

	// It is looked up once for all readings.
	url := q.create("orders")
	q.send(url, 1, 0)
	wantDepth(t, queue, metrics.Queue{Visible: 1})
	wantDepth(t, queue, metrics.Queue{Visible: 1})
	q.wantRequests(map[string]int{"sqs/GetQueueUrl/ok": 1, "sqs/GetQueueAttributes/ok": 2})

	// It is deleted: looked up again, in vain.
	if _, err := q.sdk.DeleteQueue(t.Context(), &awssqs.DeleteQueueInput{QueueUrl: &url}); err != nil {
		t.Fatal(err)
	}
	wantFailure(t.Context(), t, queue, awscall.ResultNotFound, "there is no such queue")
	q.wantRequests(map[string]int{"sqs/GetQueueAttributes/not_found": 1, "sqs/GetQueueUrl/not_found": 1})

	// And made anew.
	q.send(q.create("orders"), 2, 0)
	wantDepth(t, queue, metrics.Queue{Visible: 2})
	q.wantRequests(map[string]int{"sqs/GetQueueUrl/ok": 1, "sqs/GetQueueAttributes/ok": 1})
}

func TestAQueueThatMovedIsFoundInTheSameReading(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	q.send(q.create("orders"), 3, 0)
	queue := q.queue(Location{Name: "orders"})
	stale := q.URL() + "/999999999999/gone"
	queue.url.Store(&stale)
	wantDepth(t, queue, metrics.Queue{Visible: 3})
	q.wantRequests(map[string]int{"sqs/GetQueueAttributes/not_found": 1, "sqs/GetQueueUrl/ok": 1, "sqs/GetQueueAttributes/ok": 1})
}

func TestAQueueByURLThatDoesNotExist(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	wantFailure(t.Context(), t, q.queue(Location{URL: q.URL() + "/123456789012/none"}), awscall.ResultNotFound,
		"GetQueueAttributes of queue "+q.URL()+"/123456789012/none: there is no such queue in region eu-west-1")
	q.wantRequests(map[string]int{"sqs/GetQueueAttributes/not_found": 1})
}

func TestDenied(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	url := q.create("orders")
	lift := q.Inject(fakeaws.AccessDenied())
	wantFailure(t.Context(), t, q.queue(Location{URL: url}), awscall.ResultDenied,
		"access denied: the caller needs sqs:GetQueueAttributes on this queue, by its own policy or the queue's", url, "is not authorized to perform this action")
	wantFailure(t.Context(), t, q.queue(Location{Name: "orders"}), awscall.ResultDenied,
		"the caller needs sqs:GetQueueUrl and sqs:GetQueueAttributes on this queue")
	q.wantRequests(map[string]int{"sqs/GetQueueAttributes/denied": 1, "sqs/GetQueueUrl/denied": 1})
	lift()
	wantDepth(t, q.queue(Location{URL: url}), metrics.Queue{})
}

func TestThrottledAndUnavailable(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	queue := q.queue(Location{URL: q.create("orders")})

	// One failure that a second attempt mends is none; both attempts count.
	for fault, result := range map[string]fakeaws.Fault{"throttled": fakeaws.Throttled(), "server_error": fakeaws.Unavailable()} {
		result.Times = 1
		q.Inject(result)
		wantDepth(t, queue, metrics.Queue{})
		q.wantRequests(map[string]int{"sqs/GetQueueAttributes/" + fault: 1, "sqs/GetQueueAttributes/ok": 1})
	}

	// What lasts is a failed reading after two attempts.
	lift := q.Inject(fakeaws.Throttled())
	wantFailure(t.Context(), t, queue, awscall.ResultThrottled, "SQS throttles us (ThrottlingException): poll less often")
	q.wantRequests(map[string]int{"sqs/GetQueueAttributes/throttled": 2})
	lift()
	q.Inject(fakeaws.Unavailable())
	wantFailure(t.Context(), t, queue, awscall.ResultServerError, q.URL()+" failed with HTTP status 503: Service Unavailable")
	q.wantRequests(map[string]int{"sqs/GetQueueAttributes/server_error": 2})
}

func TestAConnectionThatBreaks(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	queue := q.queue(Location{URL: q.create("orders")})
	fault := fakeaws.Fault{Drop: true, Times: 1}
	q.Inject(fault)
	wantDepth(t, queue, metrics.Queue{})
	fault.Times = 0
	q.Inject(fault)
	wantFailure(t.Context(), t, queue, awscall.ResultUnreachable, q.URL()+" can't be reached: EOF")
}

func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	queue := q.queue(Location{URL: q.create("orders")})
	defer q.Inject(fakeaws.Fault{Hang: true})()

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	wantFailure(ctx, t, queue, awscall.ResultTimeout, "GetQueueAttributes of queue "+*queue.url.Load()+": waiting for an answer from "+q.URL())
	if _, err := queue.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not context.DeadlineExceeded", err)
	}

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	wantFailure(canceled, t, queue, awscall.ResultCanceled, "canceled")
}

// TestAKilledServer follows a queue through the death of its server and its
// return, through the poller that reads it in production.
func TestAKilledServer(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	url := q.create("orders")
	q.send(url, 4, 0)
	address := strings.TrimPrefix(q.URL(), "http://")

	signal := poll.NewSignal()
	set := poll.NewSet[Location, metrics.Queue](poll.Options[Location]{Source: "sqs", Name: Location.String, Changed: signal})
	defer set.Close()
	location := Location{URL: url}
	handle, err := set.Acquire(location, func() (poll.Source[metrics.Queue], error) { return q.client.Queue(location) },
		poll.Settings{Interval: 20 * time.Millisecond, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	until := func(what string, seen func(metrics.Reading[metrics.Queue]) bool) metrics.Reading[metrics.Queue] {
		t.Helper()
		deadline := time.After(time.Minute)
		for {
			if reading := handle.Reading(); seen(reading) {
				return reading
			}
			select {
			case <-signal.C():
			case <-deadline:
				t.Fatalf("waited a minute for %s; the reading is %+v", what, handle.Reading())
			}
		}
	}

	want := metrics.Queue{Visible: 4}
	until("the first reading", func(r metrics.Reading[metrics.Queue]) bool { _, known := r.Last(); return known })

	// Dead: the value stays, with its age, and the reason says who is gone.
	q.Close()
	dead := until("a failure", func(r metrics.Reading[metrics.Queue]) bool { return r.Problem() != "" })
	if got, known := dead.Last(); !known || got != want {
		t.Errorf("after the server died: %+v, %v; want the last value %+v", got, known, want)
	}
	refused := until("a refused connection", func(r metrics.Reading[metrics.Queue]) bool {
		return strings.Contains(r.Problem(), "can't be reached") && strings.Contains(r.Problem(), "connection refused")
	})
	if !strings.Contains(refused.Problem(), url) {
		t.Errorf("the problem doesn't name the queue: %s", refused.Problem())
	}

	// Back at the same address, with its messages: known again, and newer.
	if _, err := q.Start(address); err != nil {
		t.Fatal(err)
	}
	back := until("the recovery", func(r metrics.Reading[metrics.Queue]) bool { return r.Problem() == "" })
	if got, known := back.Last(); !known || got != want || !back.Began().After(refused.Began()) {
		t.Errorf("after it came back: %+v, %v, begun %s after the last; want %+v and newer", got, known, back.Began().Sub(refused.Began()), want)
	}
}

func TestManyReadersOfOneClient(t *testing.T) {
	t.Parallel()
	q := newQueues(t)
	url := q.create("orders")
	q.send(url, 1, 0)
	var readers sync.WaitGroup
	for i := range 16 {
		readers.Go(func() {
			location := Location{URL: url}
			if i%2 == 0 {
				location = Location{Name: "orders"}
			}
			queue, err := q.client.Queue(location)
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				wantDepth(t, queue, metrics.Queue{Visible: 1})
			}
		})
	}
	readers.Wait()
	q.wantRequests(map[string]int{"sqs/GetQueueUrl/ok": 8, "sqs/GetQueueAttributes/ok": 80})
}
