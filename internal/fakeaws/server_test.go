package fakeaws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func contextOf(s suite) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(s.ctx())
	s.Cleanup(cancel)
	return ctx, cancel
}

func sendDelayed(url, body string, seconds int32) *sqs.SendMessageInput {
	return &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body, DelaySeconds: seconds}
}

// onlyOnce keeps the SDK from trying again.
func onlyOnce(o *sqs.Options) { o.Retryer = aws.NopRetryer{} }

// listening runs a test against a server of its own over HTTP.
func listening(t *testing.T) (suite, *Server) {
	t.Helper()
	t.Parallel()
	server := New(Options{})
	if _, err := server.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return suite{t, sqs.NewFromConfig(server.Config(), onlyOnce)}, server
}

func TestAnOutageAndTheReturn(t *testing.T) {
	s, server := listening(t)
	url := s.create("orders", nil)
	s.send(url, "x")
	address := strings.TrimPrefix(server.URL(), "http://")

	server.Close()
	_, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("y")})
	if !errors.Is(err, syscall.ECONNREFUSED) {
		s.Errorf("expected a refused connection while closed, found %v", err)
	}
	_, err = sqs.NewFromConfig(server.InProcess(), onlyOnce).GetQueueUrl(s.ctx(), &sqs.GetQueueUrlInput{QueueName: aws.String("orders")})
	if !errors.Is(err, syscall.ECONNREFUSED) {
		s.Errorf("expected a refused connection in process, too, found %v", err)
	}
	server.Close() // twice is as good as once

	again, err := server.Start(address)
	s.ok(err)
	s.equal("URL", again, "http://"+address)
	s.equal("what was sent before", *s.receiveOne(url, 0).Body, "x")
	if _, err := server.Start(""); err == nil {
		s.Error("expected a second Start to fail, found it to succeed")
	}
}

func TestCloseCutsLongPolls(t *testing.T) {
	s, server := listening(t)
	url := s.create("orders", nil)
	failed := make(chan error)
	go func() {
		_, err := s.client.ReceiveMessage(s.ctx(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
		failed <- err
	}()
	s.until("the poll to arrive", func() bool { return server.Calls()["ReceiveMessage"] == 1 })
	server.Close()
	if err := <-failed; err == nil {
		s.Error("expected the long poll to fail, found an answer")
	}
}

// until waits for a condition, up to a minute.
func (s suite) until(what string, condition func() bool) {
	s.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			s.Fatalf("waited a minute for %s", what)
		case <-tick.C:
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "nonsense"} {
		server := New(Options{})
		if url, err := server.Start(address); err == nil {
			server.Close()
			t.Errorf("Start(%q): expected a refusal, found it listening on %s", address, url)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := New(Options{}).Start(taken.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("expected the address to be in use, found %v", err)
	}
}

func TestMetricsAreReadOnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := suite{T: t}
		server := New(Options{})
		server.metrics.start(server.now) // as Start does, which needs a network
		var level atomic.Int64
		metric := Metric{"AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", "orders-db"}
		server.SetMetric(metric, func(time.Time) (float64, bool) { return float64(level.Load()), true })
		m := monitor{s, cloudwatch.NewFromConfig(server.InProcess()), time.Now()}
		for i := range 3 {
			level.Store(int64(i))
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		level.Store(99)
		m.equal("points", m.points(stat("c", metric.Namespace, metric.Name, metric.Dimension, metric.Value, "Maximum", 60)), "0:0 1:1 2:2")
		server.Close()
	})
}

func TestInjectedErrors(t *testing.T) {
	virtually(t, Options{}, func(s suite, server *Server) {
		url := s.create("orders", nil)
		once := sqs.NewFromConfig(server.InProcess(), onlyOnce)
		get := func() error {
			_, err := once.GetQueueAttributes(s.ctx(), &sqs.GetQueueAttributesInput{QueueUrl: &url})
			return err
		}
		for code, fault := range map[string]Fault{
			"AccessDenied": AccessDenied("GetQueueAttributes"), "ThrottlingException": Throttled(), "ServiceUnavailable": Unavailable(),
		} {
			lift := server.Inject(fault)
			s.code(get(), code)
			lift()
			lift()
			s.ok(get())
		}
		lift := server.Inject(AccessDenied("GetMetricData", "SendMessage"))
		s.ok(get())
		watch := cloudwatch.NewFromConfig(server.InProcess())
		_, err := watch.GetMetricData(s.ctx(), &cloudwatch.GetMetricDataInput{StartTime: aws.Time(time.Now()), EndTime: aws.Time(time.Now())})
		if err == nil {
			s.Error("expected the SDK to refuse the missing queries")
		}
		_, err = once.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")})
		s.code(err, "AccessDenied")
		lift()

		// The SDK tries again after being throttled twice.
		fault := Throttled("SendMessage")
		fault.Times = 2
		server.Inject(fault)
		s.send(url, "x")
		s.equal("calls", server.Calls()["SendMessage"], 4)
	})
}

func TestInjectedSilence(t *testing.T) {
	virtually(t, Options{}, func(s suite, server *Server) {
		url := s.create("orders", nil)
		lift := server.Inject(Fault{Operations: []string{"GetQueueAttributes"}, Hang: true})
		impatient, cancel := context.WithTimeout(s.ctx(), time.Hour)
		defer cancel()
		began := time.Now()
		_, err := s.client.GetQueueAttributes(impatient, &sqs.GetQueueAttributesInput{QueueUrl: &url})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Hour {
			s.Errorf("expected no answer for an hour, found %v after %v", err, time.Since(began))
		}
		// Who still waits when the fault is lifted gets an answer.
		answered := make(chan error)
		go func() {
			_, err := s.client.GetQueueAttributes(s.ctx(), &sqs.GetQueueAttributesInput{QueueUrl: &url})
			answered <- err
		}()
		synctest.Wait()
		lift()
		s.ok(<-answered)
	})
}

func TestInjectedCut(t *testing.T) {
	s, server := listening(t)
	url := s.create("orders", nil)
	defer server.Inject(Fault{Drop: true})()
	for name, config := range map[string]aws.Config{"over HTTP": server.Config(), "in process": server.InProcess()} {
		_, err := sqs.NewFromConfig(config, onlyOnce).GetQueueAttributes(s.ctx(), &sqs.GetQueueAttributesInput{QueueUrl: &url})
		var answer interface{ ErrorCode() string }
		if err == nil || errors.As(err, &answer) {
			s.Errorf("%s: expected no answer at all, found %v", name, err)
		}
	}
}

// Thousands of messages a second are what the demo's burst needs; this asks
// only that none is lost or doubled on the way, and reports the rate.
func TestAHurryLosesNothing(t *testing.T) {
	s, server := listening(t)
	url := s.create("orders", nil)
	const producers, batches, consumers = 4, 25, 8
	var seen sync.Map
	var received atomic.Int64
	began := time.Now()
	var work sync.WaitGroup
	for p := range producers {
		work.Go(func() {
			for b := range batches {
				var entries []types.SendMessageBatchRequestEntry
				for i := range 10 {
					entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(fmt.Sprint(p, b, i))})
				}
				if _, err := s.client.SendMessageBatch(s.ctx(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries}); err != nil {
					s.Error(err)
				}
			}
		})
	}
	const total = producers * batches * 10
	done, finish := context.WithCancel(s.ctx())
	defer finish()
	for range consumers {
		work.Go(func() {
			for done.Err() == nil {
				out, err := s.client.ReceiveMessage(done, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 20})
				if err != nil {
					if done.Err() == nil {
						s.Error(err)
						finish()
					}
					return
				}
				var entries []types.DeleteMessageBatchRequestEntry
				for i, m := range out.Messages {
					if _, twice := seen.LoadOrStore(*m.Body, true); twice {
						s.Errorf("message %s: expected once, found twice", *m.Body)
					}
					entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
				}
				if len(entries) > 0 {
					if _, err := s.client.DeleteMessageBatch(s.ctx(), &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: entries}); err != nil {
						s.Error(err)
					}
				}
				if received.Add(int64(len(out.Messages))) == total {
					finish()
				}
			}
		})
	}
	work.Wait()
	s.Logf("%d messages in %v", total, time.Since(began))
	truth := s.truth(server, url)
	s.equal("left, sent, received, deleted", fmt.Sprint(truth.Visible+truth.InFlight, truth.Sent, truth.Received, truth.Deleted), fmt.Sprint(0, total, total, total))
}

func TestCallsAreKnownByTheirAccessKey(t *testing.T) {
	virtually(t, Options{}, func(s suite, server *Server) {
		url := s.create("orders", nil)
		config := server.InProcess()
		config.Credentials = credentials.NewStaticCredentialsProvider("autoscaler", "secret", "")
		autoscaler := sqs.NewFromConfig(config)
		for range 3 {
			_, err := autoscaler.GetQueueAttributes(s.ctx(), &sqs.GetQueueAttributesInput{QueueUrl: &url})
			s.ok(err)
		}
		s.equal("the autoscaler's calls", server.CallsBy("autoscaler")["GetQueueAttributes"], 3)
		s.equal("kinds of the autoscaler's calls", len(server.CallsBy("autoscaler")), 1)
		s.equal("others' calls", server.CallsBy("local")["CreateQueue"], 1)
		s.equal("a stranger's kinds of calls", len(server.CallsBy("nobody")), 0)
		s.equal("all calls", server.Calls()["GetQueueAttributes"], 3)
	})
}
