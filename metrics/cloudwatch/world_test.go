package cloudwatch

import (
	"context"
	"fmt"
	"strings"
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
)

// world is a local SQS and CloudWatch, on virtual time from the start of a
// minute, and the Client under test, whose requests it counts by result.
type world struct {
	*testing.T
	*fakeaws.Server
	began  time.Time
	sdk    *awssqs.Client
	client *Client

	mu       sync.Mutex
	requests map[string]int
	asked    []string
	read     []time.Time // when polled reads began
}

// inWorld runs a story.
func inWorld(t *testing.T, options fakeaws.Options, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		options.Region = "eu-west-1"
		server := fakeaws.New(options)
		config := server.InProcess()
		w := &world{T: t, Server: server, began: time.Now(), sdk: awssqs.NewFromConfig(config), requests: map[string]int{}}
		w.client = w.newClient(config)
		story(w)
	})
}

func (w *world) newClient(config aws.Config) *Client {
	client, err := New(w.Context(), Options{Config: &config, Observe: func(service, operation, result string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.requests[service+"/"+operation+"/"+result]++
	}})
	if err != nil {
		w.Fatal(err)
	}
	return client
}

// queue makes a queue that is asked about.
func (w *world) queue(name string) string {
	w.Helper()
	in := &awssqs.CreateQueueInput{QueueName: &name}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes = map[string]string{"FifoQueue": "true"}
	}
	out, err := w.sdk.CreateQueue(w.Context(), in)
	if err != nil {
		w.Fatal(err)
	}
	w.ask(name)
	return *out.QueueUrl
}

func (w *world) ask(names ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, names...)
}

func (w *world) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.asked...)
}

func (w *world) send(url string, count int) {
	w.Helper()
	for i := range count {
		in := &awssqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")}
		if strings.HasSuffix(url, ".fifo") {
			in.MessageGroupId, in.MessageDeduplicationId = aws.String("g"), aws.String(fmt.Sprintf("%d-%d", time.Now().UnixNano(), i))
		}
		if _, err := w.sdk.SendMessage(w.Context(), in); err != nil {
			w.Fatal(err)
		}
	}
}

// receive takes one message, and deletes it where done.
func (w *world) receive(url string, done bool) {
	w.Helper()
	out, err := w.sdk.ReceiveMessage(w.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &url})
	if err != nil || len(out.Messages) != 1 {
		w.Fatalf("received %v, %v", out, err)
	}
	if !done {
		return
	}
	if _, err := w.sdk.DeleteMessage(w.Context(), &awssqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: out.Messages[0].ReceiptHandle}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) source() *Source {
	w.Helper()
	place, _, err := w.client.Find(sqs.Location{Name: "any"})
	if err != nil {
		w.Fatal(err)
	}
	return w.client.Open(place, w.names)
}

// poll polls what is asked about until the story ends.
func (w *world) poll() *poll.Handle[Queues] {
	w.Helper()
	set := poll.NewSet[Place, Queues](poll.Options[Place]{
		Source: "cloudwatch",
		Observe: func(_, _ string, began time.Time, _ time.Duration, _ error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.read = append(w.read, began)
		},
	})
	w.Cleanup(set.Close)
	handle, err := set.Acquire(Place{}, func() (poll.Source[Queues], error) { return w.source(), nil }, Settings())
	if err != nil {
		w.Fatal(err)
	}
	return handle
}

// reads returns when reads began since the last time.
func (w *world) reads() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.read
	w.read = nil
	return out
}

// mustRead reads once.
func (w *world) mustRead(s *Source) Queues {
	w.Helper()
	out, err := s.Read(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// write writes one metric as minute:value pairs, minutes since the story began.
func (w *world) write(points metrics.Points, field func(metrics.Minute) *float64) string {
	var out []string
	for _, m := range points.Minutes {
		text := "?"
		if v := field(m); v != nil {
			text = fmt.Sprint(*v)
		}
		out = append(out, fmt.Sprintf("%v:%s", m.Start.Sub(w.began).Minutes(), text))
	}
	return strings.Join(out, " ")
}

func (w *world) want(what string, points metrics.Points, field func(metrics.Minute) *float64, want string) {
	w.Helper()
	if got := w.write(points, field); got != want {
		w.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func sent(m metrics.Minute) *float64     { return m.Sent }
func received(m metrics.Minute) *float64 { return m.Received }
func deleted(m metrics.Minute) *float64  { return m.Deleted }
func age(m metrics.Minute) *float64      { return m.OldestAge }
func groups(m metrics.Minute) *float64   { return m.Groups }

// calls returns how many GetMetricData requests ended in this way, whoever asked.
func (w *world) calls(result string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests["cloudwatch/GetMetricData/"+result]
}

// within is a context for requests over a real network.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
