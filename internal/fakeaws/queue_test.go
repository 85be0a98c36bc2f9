package fakeaws

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// What takes minutes and days, told by the SDK on virtual time, where
// time.Sleep takes none.

// virtually runs a test against a server of its own on virtual time.
func virtually(t *testing.T, o Options, test func(s suite, server *Server)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := New(o)
		test(suite{t, sqs.NewFromConfig(server.InProcess())}, server)
	})
}

func queueOf(url string) string { return url[strings.LastIndex(url, "/")+1:] }

func (s suite) truth(server *Server, url string) Truth {
	s.Helper()
	truth, ok := server.Truth(queueOf(url))
	if !ok {
		s.Fatalf("expected a queue %s, found none", queueOf(url))
	}
	return truth
}

func TestDeduplicationEndsAfterFiveMinutes(t *testing.T) {
	virtually(t, Options{}, func(s suite, _ *Server) {
		url := s.createFIFO("orders", nil)
		first := s.sendFIFO(url, "a", "x", "1")
		time.Sleep(4 * time.Minute)
		s.equal("duplicate after 4 minutes", *s.sendFIFO(url, "a", "x", "1").MessageId, *first.MessageId)
		// The window counts from the first message; a duplicate does not extend it.
		time.Sleep(time.Minute)
		if *s.sendFIFO(url, "a", "x", "1").MessageId == *first.MessageId {
			s.Error("expected a message of its own after 5 minutes, found the first one's ID")
		}
		s.counts(url, 2, 0, 0)
	})
}

func TestDeduplicationByGroup(t *testing.T) {
	virtually(t, Options{}, func(s suite, _ *Server) {
		url := s.createFIFO("orders", map[string]string{"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"})
		s.sendFIFO(url, "a", "x", "1")
		s.sendFIFO(url, "b", "x", "1")
		s.sendFIFO(url, "b", "x", "1")
		s.counts(url, 2, 0, 0)
	})
}

func TestRetentionDropsMessages(t *testing.T) {
	virtually(t, Options{}, func(s suite, _ *Server) {
		url := s.create("orders", map[string]string{"MessageRetentionPeriod": "3600"})
		s.send(url, "old")
		time.Sleep(30 * time.Minute)
		s.send(url, "new")
		time.Sleep(31 * time.Minute)
		s.counts(url, 1, 0, 0)
		s.equal("message", *s.receiveOne(url, 0).Body, "new")
		time.Sleep(time.Hour)
		s.counts(url, 0, 0, 0) // in flight or not
	})
}

func TestADeadLetterQueueGoesOnCountingRetention(t *testing.T) {
	virtually(t, Options{}, func(s suite, server *Server) {
		dead := s.create("dead", map[string]string{"MessageRetentionPeriod": "3600"})
		url := s.create("orders", map[string]string{"RedrivePolicy": s.redrive(dead, 3)})
		s.send(url, "poison")
		for range 3 {
			s.changeVisibility(url, s.receiveOne(url, 0), 0)
		}
		s.equal("poison messages", s.truth(server, url).Poison, 1)
		time.Sleep(40 * time.Minute)
		s.none(url, 0)
		s.equal("moved", s.truth(server, url).Redriven, uint64(1))
		time.Sleep(10 * time.Minute)

		// Age starts anew with the move, and the receives before it leave
		// nothing out of the dead-letter queue's age.
		truth := s.truth(server, dead)
		s.equal("age by CloudWatch", truth.MetricAge, 10*time.Minute)
		s.equal("poison messages of the dead-letter queue", truth.Poison, 0)
		m := s.receiveOne(dead, 0)
		s.equal("ApproximateReceiveCount", m.Attributes["ApproximateReceiveCount"], "4")
		s.equal("DeadLetterQueueSourceArn", m.Attributes["DeadLetterQueueSourceArn"], s.attributes(url)["QueueArn"])
		s.equal("SentTimestamp", m.Attributes["SentTimestamp"], fmt.Sprint(time.Now().Add(-50*time.Minute).UnixMilli()))

		time.Sleep(10 * time.Minute) // an hour after it was sent
		s.counts(dead, 0, 0, 0)
	})
}

func TestVisibilityEndsTwelveHoursAfterTheReceive(t *testing.T) {
	virtually(t, Options{}, func(s suite, server *Server) {
		url := s.create("orders", nil)
		s.send(url, "x")
		m := s.receiveOne(url, 0)
		s.changeVisibility(url, m, 43200)
		time.Sleep(6 * time.Hour)
		_, err := s.client.ChangeMessageVisibility(s.ctx(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 6*3600 + 1})
		s.code(err, "InvalidParameterValue")
		s.changeVisibility(url, m, 6*3600)
		time.Sleep(6 * time.Hour)
		s.equal("timeouts that ran out", s.truth(server, url).Expired, uint64(1))
	})
}

func TestTimeoutsRunOutInOrder(t *testing.T) {
	virtually(t, Options{}, func(s suite, _ *Server) {
		url := s.create("orders", nil)
		for _, seconds := range []int32{30, 10, 20} {
			_, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(fmt.Sprint(seconds)), DelaySeconds: seconds})
			s.ok(err)
		}
		began := time.Now()
		for _, seconds := range []string{"10", "20", "30"} {
			s.equal("message", *s.receiveOne(url, 20).Body, seconds)
			s.equal("seconds until it showed", fmt.Sprint(int(time.Since(began)/time.Second)), seconds)
		}
	})
}

func TestEachMessageWakesOneWaiter(t *testing.T) {
	virtually(t, Options{}, func(s suite, server *Server) {
		url := s.create("orders", nil)
		got := make(chan []types.Message, 3)
		for range 3 {
			go func() { got <- s.receive(url, 20, 1, nil) }()
		}
		synctest.Wait() // all three wait
		began := time.Now()
		s.send(url, "a")
		s.send(url, "b")
		s.equal("first", len(<-got), 1)
		s.equal("second", len(<-got), 1)
		s.equal("time waited", time.Since(began), time.Duration(0))
		s.equal("third", len(<-got), 0)
		s.equal("time waited by the third", time.Since(began), 20*time.Second)
		s.equal("empty receives", s.truth(server, url).EmptyReceives, uint64(1))
	})
}

func TestAWaiterThatLeavesTakesNothingAlong(t *testing.T) {
	virtually(t, Options{}, func(s suite, _ *Server) {
		url := s.create("orders", nil)
		left, leave := contextOf(s)
		gone := make(chan error)
		go func() {
			_, err := s.client.ReceiveMessage(left, &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
			gone <- err
		}()
		synctest.Wait()
		stays := make(chan []types.Message)
		go func() { stays <- s.receive(url, 20, 1, nil) }()
		synctest.Wait()
		leave()
		if err := <-gone; err == nil {
			s.Error("expected the canceled receive to fail, found an answer")
		}
		s.send(url, "x")
		s.equal("messages for the one who stays", len(<-stays), 1)
	})
}

func TestDeletingAQueueEndsItsLongPolls(t *testing.T) {
	virtually(t, Options{}, func(s suite, _ *Server) {
		url := s.create("orders", nil)
		failed := make(chan error)
		go func() {
			_, err := s.client.ReceiveMessage(s.ctx(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
			failed <- err
		}()
		synctest.Wait()
		_, err := s.client.DeleteQueue(s.ctx(), &sqs.DeleteQueueInput{QueueUrl: &url})
		s.ok(err)
		failsAs[*types.QueueDoesNotExist](s, <-failed)
	})
}

func TestTruthOfAges(t *testing.T) {
	virtually(t, Options{}, func(s suite, server *Server) {
		url := s.create("orders", map[string]string{"VisibilityTimeout": "0"})
		s.send(url, "poison")
		for range 3 {
			s.receiveOne(url, 0) // hidden for no time at all
		}
		time.Sleep(time.Minute)
		s.send(url, "in flight")
		s.receive(url, 0, 2, aws.Int32(600))
		time.Sleep(time.Minute)
		s.send(url, "visible")
		time.Sleep(time.Minute)
		truth := s.truth(server, url)
		s.equal("oldest of all", truth.OldestAge, 3*time.Minute)
		s.equal("oldest by CloudWatch", truth.MetricAge, 2*time.Minute)
		s.equal("oldest visible", truth.OldestVisibleAge, time.Minute)
		s.equal("counts", fmt.Sprint(truth.Visible, truth.InFlight, truth.Delayed, truth.Poison), "1 2 0 1")
		s.equal("totals", fmt.Sprint(truth.Sent, truth.Received, truth.Deleted), "3 5 0")
	})
}

func TestTruthOfGroups(t *testing.T) {
	virtually(t, Options{}, func(s suite, server *Server) {
		url := s.createFIFO("orders", nil)
		for i, group := range []string{"a", "a", "b", "c"} {
			s.sendFIFO(url, group, "x", fmt.Sprint(i))
		}
		s.receive(url, 0, 1, nil)
		s.receive(url, 0, 1, nil)
		truth := s.truth(server, url)
		s.equal("groups, and in flight", fmt.Sprint(truth.Groups, truth.GroupsInFlight), "3 2")
	})
}

func TestChangeVisibilityInBatches(t *testing.T) {
	virtually(t, Options{}, func(s suite, _ *Server) {
		url := s.create("orders", nil)
		s.send(url, "x")
		m := s.receiveOne(url, 0)
		out, err := s.client.ChangeMessageVisibilityBatch(s.ctx(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
			{Id: aws.String("good"), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 300},
			{Id: aws.String("bad"), ReceiptHandle: aws.String("never"), VisibilityTimeout: 300},
		}})
		s.ok(err)
		s.equal("changed", len(out.Successful), 1)
		s.equal("failed", *out.Failed[0].Code, "ReceiptHandleIsInvalid")
		time.Sleep(4 * time.Minute)
		s.counts(url, 0, 1, 0)
	})
}

func TestPurgeOncePerMinute(t *testing.T) {
	virtually(t, Options{}, func(s suite, _ *Server) {
		url := s.create("orders", nil)
		purge := func() error {
			_, err := s.client.PurgeQueue(s.ctx(), &sqs.PurgeQueueInput{QueueUrl: &url})
			return err
		}
		s.ok(purge())
		failsAs[*types.PurgeQueueInProgress](s, purge())
		time.Sleep(time.Minute)
		s.ok(purge())
	})
}
