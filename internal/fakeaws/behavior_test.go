package fakeaws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// One suite of what SQS does, written against the SDK alone, holds for this
// stand-in over HTTP, for it in process on virtual time, and for fauxqs, which
// somebody else wrote from the same documentation.

func TestBehaviorOverHTTP(t *testing.T) {
	t.Parallel()
	server := New(Options{})
	if _, err := server.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := sqs.NewFromConfig(server.Config())
	eachBehavior(t, func(t *testing.T, b behavior) { b.holds(suite{t, client}) })
}

func TestBehaviorOnVirtualTime(t *testing.T) {
	t.Parallel()
	for _, b := range behaviors {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b.holds(suite{t, sqs.NewFromConfig(New(Options{}).InProcess())})
			})
		})
	}
}

func TestBehaviorOfFauxqs(t *testing.T) {
	t.Parallel()
	client := startFauxqs(t)
	eachBehavior(t, func(t *testing.T, b behavior) {
		if b.fauxqs == nil {
			b.holds(suite{t, client})
			return
		}
		t.Logf("fauxqs deviates from AWS: %s", b.fauxqs.how)
		b.fauxqs.instead(suite{t, client})
	})
}

// eachBehavior runs all behaviors at once: they wait for seconds of real time
// and use little of the machine, so t.Parallel's limit would only add up waits.
func eachBehavior(t *testing.T, run func(t *testing.T, b behavior)) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, b := range behaviors {
		all.Go(func() { t.Run(b.name, func(t *testing.T) { run(t, b) }) })
	}
}

// behavior is one thing that SQS does.
type behavior struct {
	name   string
	holds  func(s suite)
	fauxqs *deviation // nil: fauxqs does the same
}

// deviation is what fauxqs 1.9.2 does instead; instead fails once it no
// longer does, so that this table stays true.
type deviation struct {
	how     string
	instead func(s suite)
}

var behaviors = []behavior{
	{name: "a queue is created once and found by name", holds: func(s suite) {
		name := s.name("orders")
		url := s.create(name, map[string]string{"VisibilityTimeout": "45"})
		found, err := s.client.GetQueueUrl(s.ctx(), &sqs.GetQueueUrlInput{QueueName: &name})
		s.ok(err)
		s.equal("URL by name", *found.QueueUrl, url)
		s.equal("URL of a second creation", s.create(name, map[string]string{"VisibilityTimeout": "45"}), url)
		attributes := s.attributes(url)
		s.equal("VisibilityTimeout", attributes["VisibilityTimeout"], "45")
		s.equal("DelaySeconds", attributes["DelaySeconds"], "0")
		s.equal("MessageRetentionPeriod", attributes["MessageRetentionPeriod"], "345600")
		if arn := attributes["QueueArn"]; !strings.HasPrefix(arn, "arn:aws:sqs:us-east-1:000000000000:") || !strings.HasSuffix(arn, ":"+name) {
			s.Errorf("QueueArn: expected one of region, account and queue %s, found %s", name, arn)
		}
		_, err = s.client.CreateQueue(s.ctx(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "46"}})
		failsAs[*types.QueueNameExists](s, err)
	}},
	{name: "what does not exist is a typed error", holds: func(s suite) {
		url := s.create(s.name("there"), nil) + "-not"
		_, err := s.client.GetQueueUrl(s.ctx(), &sqs.GetQueueUrlInput{QueueName: aws.String("nowhere")})
		failsAs[*types.QueueDoesNotExist](s, err)
		s.code(err, "NonExistentQueue")
		_, err = s.client.GetQueueAttributes(s.ctx(), &sqs.GetQueueAttributesInput{QueueUrl: &url})
		failsAs[*types.QueueDoesNotExist](s, err)
		_, err = s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")})
		failsAs[*types.QueueDoesNotExist](s, err)
		_, err = s.client.ReceiveMessage(s.ctx(), &sqs.ReceiveMessageInput{QueueUrl: &url})
		failsAs[*types.QueueDoesNotExist](s, err)
	}},
	{name: "a deleted queue does not exist", holds: func(s suite) {
		url := s.create(s.name("short"), nil)
		_, err := s.client.DeleteQueue(s.ctx(), &sqs.DeleteQueueInput{QueueUrl: &url})
		s.ok(err)
		_, err = s.client.ReceiveMessage(s.ctx(), &sqs.ReceiveMessageInput{QueueUrl: &url})
		failsAs[*types.QueueDoesNotExist](s, err)
	}},
	{name: "a message is sent, received, and gone once deleted", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		before := time.Now().UnixMilli()
		sent, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("é ✓ \"1\"")})
		s.ok(err)
		s.counts(url, 1, 0, 0)
		m := s.receiveOne(url, 0)
		s.equal("body", *m.Body, "é ✓ \"1\"")
		s.equal("MessageId", *m.MessageId, *sent.MessageId)
		s.equal("MD5OfBody", *m.MD5OfBody, *sent.MD5OfMessageBody)
		s.equal("ApproximateReceiveCount", m.Attributes["ApproximateReceiveCount"], "1")
		for _, name := range []string{"SentTimestamp", "ApproximateFirstReceiveTimestamp"} {
			// A second of tolerance: the server reads a clock of its own.
			if at, err := strconv.ParseInt(m.Attributes[name], 10, 64); err != nil || at < before-1000 || at > time.Now().UnixMilli()+1000 {
				s.Errorf("%s: expected milliseconds since 1970, about %d, found %q", name, before, m.Attributes[name])
			}
		}
		s.counts(url, 0, 1, 0)
		s.delete(url, m)
		s.counts(url, 0, 0, 0)
		s.none(url, 0)
	}},
	{name: "attributes that nobody asked for are not sent", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		s.send(url, "x")
		out, err := s.client.ReceiveMessage(s.ctx(), &sqs.ReceiveMessageInput{QueueUrl: &url, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"SentTimestamp"}})
		s.ok(err)
		s.equal("messages", len(out.Messages), 1)
		s.equal("attributes", fmt.Sprint(slices.Collect(maps.Keys(out.Messages[0].Attributes))), "[SentTimestamp]")
	}},
	{name: "message attributes travel with their digest", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		given := map[string]types.MessageAttributeValue{
			"kind":     {DataType: aws.String("String"), StringValue: aws.String("refund")},
			"amount":   {DataType: aws.String("Number.cents"), StringValue: aws.String("1250")},
			"payload":  {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 255}},
			"kind.sub": {DataType: aws.String("String"), StringValue: aws.String("part")},
		}
		sent, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), MessageAttributes: given})
		s.ok(err)
		// As calculated with the algorithm of the SQS Developer Guide.
		s.equal("MD5OfMessageAttributes", aws.ToString(sent.MD5OfMessageAttributes), "103be1c1e667e662cd7dbf34275e7ed1")
		out, err := s.client.ReceiveMessage(s.ctx(), &sqs.ReceiveMessageInput{QueueUrl: &url, MessageAttributeNames: []string{"All"}})
		s.ok(err)
		s.equal("messages", len(out.Messages), 1)
		m := out.Messages[0]
		s.equal("digest received", aws.ToString(m.MD5OfMessageAttributes), *sent.MD5OfMessageAttributes)
		s.equal("attributes", len(m.MessageAttributes), len(given))
		s.equal("kind", aws.ToString(m.MessageAttributes["kind"].StringValue), "refund")
		s.equal("payload", fmt.Sprint(m.MessageAttributes["payload"].BinaryValue), "[0 1 255]")
	}},
	{name: "an empty queue answers at once with nothing", holds: func(s suite) {
		s.none(s.create(s.name("empty"), nil), 0)
	}},
	{name: "a long poll wakes with the message", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		got := make(chan []types.Message)
		began := time.Now()
		go func() { got <- s.receive(url, 20, 1, nil) }()
		s.send(url, "x")
		messages := <-got
		s.equal("messages", len(messages), 1)
		if waited := time.Since(began); waited > 10*time.Second {
			s.Errorf("expected the poll to end with the message, found it waiting for %v", waited)
		}
	}},
	{name: "a long poll gives up in time", holds: func(s suite) {
		url := s.create(s.name("empty"), nil)
		began := time.Now()
		s.none(url, 1)
		if waited := time.Since(began); waited < 900*time.Millisecond {
			s.Errorf("expected a wait of 1 s, found %v", waited)
		}
	}},
	{name: "the queue's own wait is the default", holds: func(s suite) {
		url := s.create(s.name("empty"), map[string]string{"ReceiveMessageWaitTimeSeconds": "1"})
		began := time.Now()
		s.none(url, 0) // the SDK leaves 0 out
		if waited := time.Since(began); waited < 900*time.Millisecond {
			s.Errorf("expected a wait of 1 s, found %v", waited)
		}
	}},
	{name: "a message comes back after its visibility timeout", holds: func(s suite) {
		url := s.create(s.name("orders"), map[string]string{"VisibilityTimeout": "3"})
		s.send(url, "x")
		first := s.receiveOne(url, 0)
		s.none(url, 0)
		s.counts(url, 0, 1, 0)
		second := s.receiveOne(url, 20)
		s.equal("MessageId", *second.MessageId, *first.MessageId)
		s.equal("ApproximateReceiveCount", second.Attributes["ApproximateReceiveCount"], "2")
		s.equal("first receive", second.Attributes["ApproximateFirstReceiveTimestamp"], first.Attributes["ApproximateFirstReceiveTimestamp"])
		if *first.ReceiptHandle == *second.ReceiptHandle {
			s.Errorf("expected a receipt handle for each receive, found one for both")
		}
	}},
	{name: "a receive may set its own visibility timeout", holds: func(s suite) {
		url := s.create(s.name("orders"), nil) // 30 s
		s.send(url, "x")
		began := time.Now()
		s.equal("messages", len(s.receive(url, 0, 1, aws.Int32(2))), 1)
		s.equal("messages after it", len(s.receive(url, 20, 1, nil)), 1)
		if waited := time.Since(began); waited > 15*time.Second {
			s.Errorf("expected the message back after 2 s, found it after %v", waited)
		}
	}},
	{name: "visibility can be extended and ended", holds: func(s suite) {
		url := s.create(s.name("orders"), map[string]string{"VisibilityTimeout": "2"})
		s.send(url, "x")
		m := s.receiveOne(url, 0)
		s.changeVisibility(url, m, 60)
		s.none(url, 4) // hidden past the first timeout
		s.changeVisibility(url, m, 0)
		s.counts(url, 1, 0, 0)
		s.delete(url, s.receiveOne(url, 0))
	}},
	{name: "visibility of a message that is not in flight cannot be changed", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		s.send(url, "x")
		m := s.receiveOne(url, 0)
		s.changeVisibility(url, m, 0)
		_, err := s.client.ChangeMessageVisibility(s.ctx(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 5})
		failsAs[*types.MessageNotInflight](s, err)
	}},
	{name: "a delayed message shows after its delay", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		_, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("later"), DelaySeconds: 3})
		s.ok(err)
		s.counts(url, 0, 0, 1)
		s.none(url, 0)
		s.send(url, "now")
		s.equal("first", *s.receiveOne(url, 0).Body, "now")
		s.equal("second", *s.receiveOne(url, 20).Body, "later")
		s.counts(url, 0, 2, 0)
	}},
	{name: "a queue delays every message", holds: func(s suite) {
		url := s.create(s.name("orders"), map[string]string{"DelaySeconds": "3"})
		s.send(url, "later")
		s.counts(url, 0, 0, 1)
		s.equal("body", *s.receiveOne(url, 20).Body, "later")
	}},
	{name: "a batch is sent, received and deleted", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		var entries []types.SendMessageBatchRequestEntry
		for i := range 10 {
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint("e", i)), MessageBody: aws.String(fmt.Sprint("body ", i))})
		}
		sent, err := s.client.SendMessageBatch(s.ctx(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
		s.ok(err)
		s.equal("sent", len(sent.Successful), 10)
		s.equal("failed", len(sent.Failed), 0)
		var deletions []types.DeleteMessageBatchRequestEntry
		bodies := map[string]bool{}
		for i, m := range s.receive(url, 0, 10, nil) {
			bodies[*m.Body] = true
			deletions = append(deletions, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint("d", i)), ReceiptHandle: m.ReceiptHandle})
		}
		s.equal("different bodies", len(bodies), 10)
		deleted, err := s.client.DeleteMessageBatch(s.ctx(), &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: deletions})
		s.ok(err)
		s.equal("deleted", len(deleted.Successful), 10)
		s.counts(url, 0, 0, 0)
	}},
	{name: "a batch's entries fail one by one", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		out, err := s.client.SendMessageBatch(s.ctx(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("good"), MessageBody: aws.String("x")},
			{Id: aws.String("bad"), MessageBody: aws.String("\x01")},
		}})
		s.ok(err)
		s.equal("successful", len(out.Successful), 1)
		s.equal("failed", len(out.Failed), 1)
		s.equal("failed entry", *out.Failed[0].Id, "bad")
		s.equal("its code", *out.Failed[0].Code, "InvalidMessageContents")
		s.equal("whose fault", out.Failed[0].SenderFault, true)
		s.counts(url, 1, 0, 0)
	}},
	{name: "a batch that is wrong as a whole fails as a whole", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		send := func(ids ...string) error {
			entries := []types.SendMessageBatchRequestEntry{}
			for _, id := range ids {
				entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(id), MessageBody: aws.String("x")})
			}
			_, err := s.client.SendMessageBatch(s.ctx(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
			return err
		}
		failsAs[*types.EmptyBatchRequest](s, send())
		failsAs[*types.TooManyEntriesInBatchRequest](s, send(strings.Split("abcdefghijk", "")...))
		failsAs[*types.BatchEntryIdsNotDistinct](s, send("a", "a"))
		failsAs[*types.InvalidBatchEntryId](s, send("not good"))
		s.counts(url, 0, 0, 0)
	}},
	{name: "deleting twice succeeds", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		s.send(url, "x")
		m := s.receiveOne(url, 0)
		s.delete(url, m)
		s.delete(url, m)
	}},
	{name: "an older receipt handle deletes nothing", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		s.send(url, "x")
		older := s.receiveOne(url, 0)
		s.changeVisibility(url, older, 0)
		s.receiveOne(url, 0)
		s.delete(url, older)
		s.counts(url, 0, 1, 0)
	}},
	{
		name: "the newest receipt handle deletes after the visibility timeout, too",
		holds: func(s suite) {
			url := s.create(s.name("orders"), nil)
			s.send(url, "x")
			m := s.receiveOne(url, 0)
			s.changeVisibility(url, m, 0)
			s.delete(url, m)
			s.counts(url, 0, 0, 0)
		},
		fauxqs: &deviation{"it forgets a handle with the visibility timeout, and the message stays", func(s suite) {
			url := s.create(s.name("orders"), nil)
			s.send(url, "x")
			m := s.receiveOne(url, 0)
			s.changeVisibility(url, m, 0)
			s.delete(url, m)
			s.counts(url, 1, 0, 0)
		}},
	},
	{
		name: "a receipt handle that never was is an error",
		holds: func(s suite) {
			failsAs[*types.ReceiptHandleIsInvalid](s, deleteHandle(s, "never"))
			url := s.create(s.name("orders"), nil)
			_, err := s.client.ChangeMessageVisibility(s.ctx(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: aws.String("never"), VisibilityTimeout: 5})
			failsAs[*types.ReceiptHandleIsInvalid](s, err)
		},
		fauxqs: &deviation{"it takes every text for a handle of a message that is gone", func(s suite) {
			s.ok(deleteHandle(s, "never"))
		}},
	},
	{name: "numbers out of bounds are refused", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		for _, in := range []sqs.ReceiveMessageInput{
			{MaxNumberOfMessages: 11}, {MaxNumberOfMessages: -1}, {WaitTimeSeconds: 21}, {VisibilityTimeout: 43201},
		} {
			in.QueueUrl = &url
			_, err := s.client.ReceiveMessage(s.ctx(), &in)
			s.code(err, "InvalidParameterValue")
		}
	}},
	{
		name: "a delay out of bounds is refused",
		holds: func(s suite) {
			url := s.create(s.name("orders"), nil)
			_, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), DelaySeconds: 901})
			s.code(err, "InvalidParameterValue")
		},
		fauxqs: &deviation{"it takes any delay", func(s suite) {
			url := s.create(s.name("orders"), nil)
			_, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), DelaySeconds: 901})
			s.ok(err)
		}},
	},
	{name: "a body that cannot be carried is refused", holds: func(s suite) {
		url := s.create(s.name("orders"), map[string]string{"MaximumMessageSize": "1024"})
		send := func(body string) error {
			_, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
			return err
		}
		s.code(send(""), "MissingParameter")
		failsAs[*types.InvalidMessageContents](s, send("bell \a"))
		s.code(send(strings.Repeat("x", 1025)), "InvalidParameterValue")
		s.ok(send(strings.Repeat("x", 1024)))
	}},
	{name: "an attribute out of bounds is refused", holds: func(s suite) {
		name := s.name("orders")
		_, err := s.client.CreateQueue(s.ctx(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "43201"}})
		s.code(err, "InvalidAttributeValue")
	}},
	{
		name: "an unknown attribute is refused",
		holds: func(s suite) {
			url := s.create(s.name("orders"), nil)
			_, err := s.client.GetQueueAttributes(s.ctx(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"AgeOfOldestMessage"}})
			failsAs[*types.InvalidAttributeName](s, err)
		},
		fauxqs: &deviation{"it leaves out what it does not know", func(s suite) {
			url := s.create(s.name("orders"), nil)
			out, err := s.client.GetQueueAttributes(s.ctx(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"AgeOfOldestMessage"}})
			s.ok(err)
			s.equal("attributes", len(out.Attributes), 0)
		}},
	},
	{name: "attributes can be changed", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		_, err := s.client.SetQueueAttributes(s.ctx(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"VisibilityTimeout": "2"}})
		s.ok(err)
		s.equal("VisibilityTimeout", s.attributes(url)["VisibilityTimeout"], "2")
		s.send(url, "x")
		s.receiveOne(url, 0)
		s.receiveOne(url, 20)
	}},
	{name: "a purge empties the queue", holds: func(s suite) {
		url := s.create(s.name("orders"), nil)
		s.send(url, "a")
		s.send(url, "b")
		s.receiveOne(url, 0)
		_, err := s.client.PurgeQueue(s.ctx(), &sqs.PurgeQueueInput{QueueUrl: &url})
		s.ok(err)
		s.counts(url, 0, 0, 0)
	}},
	{name: "a message received too often moves to the dead-letter queue", holds: func(s suite) {
		dead := s.create(s.name("dead"), nil)
		url := s.create(s.name("orders"), map[string]string{"RedrivePolicy": s.redrive(dead, 2)})
		sent := s.send(url, "poison")
		for range 2 {
			s.changeVisibility(url, s.receiveOne(url, 0), 0)
		}
		s.counts(dead, 0, 0, 0) // a move takes a further receive
		s.none(url, 0)
		s.counts(url, 0, 0, 0)
		s.counts(dead, 1, 0, 0)
		m := s.receiveOne(dead, 0)
		s.equal("MessageId", *m.MessageId, sent)
		s.equal("body", *m.Body, "poison")
	}},
	{
		name: "a dead-letter queue must exist and be of the same type",
		holds: func(s suite) {
			dead := s.create(s.name("dead.fifo"), map[string]string{"FifoQueue": "true"})
			for _, policy := range []string{s.redrive(dead, 2), strings.Replace(s.redrive(dead, 2), ".fifo", "", 1), "{}"} {
				_, err := s.client.CreateQueue(s.ctx(), &sqs.CreateQueueInput{QueueName: aws.String(s.name("orders")), Attributes: map[string]string{"RedrivePolicy": policy}})
				s.code(err, "InvalidParameterValue")
			}
		},
		fauxqs: &deviation{"it takes any policy", func(s suite) {
			s.create(s.name("orders"), map[string]string{"RedrivePolicy": "{}"})
		}},
	},
	{name: "a group is in order and blocked while in flight", holds: func(s suite) {
		url := s.createFIFO("orders", nil)
		s.sendFIFO(url, "a", "a1", "1")
		s.sendFIFO(url, "a", "a2", "2")
		s.sendFIFO(url, "b", "b1", "3")
		a1 := s.receiveOne(url, 0)
		s.equal("first", *a1.Body, "a1")
		s.equal("group", a1.Attributes["MessageGroupId"], "a")
		s.equal("while a is in flight", s.bodies(s.receive(url, 0, 10, nil)), "b1")
		s.counts(url, 1, 2, 0) // a2 is blocked, and counts as visible
		s.none(url, 0)
		s.delete(url, a1)
		s.equal("after a1 is deleted", *s.receiveOne(url, 0).Body, "a2")
	}},
	{name: "a group's end wakes a long poll", holds: func(s suite) {
		url := s.createFIFO("orders", nil)
		s.sendFIFO(url, "a", "a1", "1")
		s.sendFIFO(url, "a", "a2", "2")
		a1 := s.receiveOne(url, 0)
		got := make(chan []types.Message)
		began := time.Now()
		go func() { got <- s.receive(url, 20, 1, nil) }()
		s.delete(url, a1)
		s.equal("message", s.bodies(<-got), "a2")
		if waited := time.Since(began); waited > 10*time.Second {
			s.Errorf("expected the poll to end with the deletion, found it waiting for %v", waited)
		}
	}},
	{
		name: "one call takes several messages of one group, in order",
		holds: func(s suite) {
			url := s.createFIFO("orders", nil)
			for i := range 3 {
				s.sendFIFO(url, "a", fmt.Sprint("a", i), fmt.Sprint(i))
			}
			s.equal("messages", s.bodies(s.receive(url, 0, 10, nil)), "a0 a1 a2")
		},
		fauxqs: &deviation{"it takes one message of each group", func(s suite) {
			url := s.createFIFO("orders", nil)
			for i := range 3 {
				s.sendFIFO(url, "a", fmt.Sprint("a", i), fmt.Sprint(i))
			}
			s.equal("messages", s.bodies(s.receive(url, 0, 10, nil)), "a0")
		}},
	},
	{name: "a group's message that comes back is its first again", holds: func(s suite) {
		url := s.createFIFO("orders", nil)
		s.sendFIFO(url, "a", "a1", "1")
		s.sendFIFO(url, "a", "a2", "2")
		s.changeVisibility(url, s.receiveOne(url, 0), 0)
		s.equal("message", *s.receiveOne(url, 0).Body, "a1")
	}},
	{name: "a duplicate is accepted and dropped", holds: func(s suite) {
		url := s.createFIFO("orders", nil)
		first := s.sendFIFO(url, "a", "once", "same")
		s.equal("MessageId of the duplicate", *s.sendFIFO(url, "a", "once", "same").MessageId, *first.MessageId)
		s.counts(url, 1, 0, 0)
		m := s.receiveOne(url, 0)
		s.equal("SequenceNumber", m.Attributes["SequenceNumber"], *first.SequenceNumber)
		s.equal("MessageDeduplicationId", m.Attributes["MessageDeduplicationId"], "same")
		s.delete(url, m)
		s.sendFIFO(url, "a", "once", "same") // a duplicate of a deleted message, too
		s.counts(url, 0, 0, 0)
	}},
	{name: "contents can be what deduplicates", holds: func(s suite) {
		url := s.createFIFO("orders", map[string]string{"ContentBasedDeduplication": "true"})
		for _, body := range []string{"x", "x", "y"} {
			_, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body, MessageGroupId: aws.String("a")})
			s.ok(err)
		}
		s.counts(url, 2, 0, 0)
		sha256OfX := "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
		s.equal("MessageDeduplicationId", s.receiveOne(url, 0).Attributes["MessageDeduplicationId"], sha256OfX)
	}},
	{name: "a FIFO message needs a group and a deduplication ID, and has no delay of its own", holds: func(s suite) {
		url := s.createFIFO("orders", nil)
		send := func(in sqs.SendMessageInput) error {
			in.QueueUrl, in.MessageBody = &url, aws.String("x")
			_, err := s.client.SendMessage(s.ctx(), &in)
			return err
		}
		s.code(send(sqs.SendMessageInput{MessageDeduplicationId: aws.String("1")}), "MissingParameter")
		s.code(send(sqs.SendMessageInput{MessageGroupId: aws.String("a")}), "InvalidParameterValue")
		s.code(send(sqs.SendMessageInput{MessageGroupId: aws.String("a"), MessageDeduplicationId: aws.String("1"), DelaySeconds: 1}), "InvalidParameterValue")
	}},
	{name: "a FIFO queue's delay holds back its groups", holds: func(s suite) {
		url := s.createFIFO("orders", map[string]string{"DelaySeconds": "3"})
		s.sendFIFO(url, "a", "a1", "1")
		s.counts(url, 0, 0, 1)
		s.equal("message", *s.receiveOne(url, 20).Body, "a1")
	}},
	{name: "a FIFO queue's name ends so", holds: func(s suite) {
		_, err := s.client.CreateQueue(s.ctx(), &sqs.CreateQueueInput{QueueName: aws.String(s.name("orders")), Attributes: map[string]string{"FifoQueue": "true"}})
		s.code(err, "InvalidParameterValue")
	}},
	{name: "a FIFO group goes on behind a message moved to the dead-letter queue", holds: func(s suite) {
		dead := s.createFIFO("dead", nil)
		url := s.createFIFO("orders", map[string]string{"RedrivePolicy": s.redrive(dead, 1)})
		s.sendFIFO(url, "a", "poison", "1")
		s.sendFIFO(url, "a", "next", "2")
		s.changeVisibility(url, s.receiveOne(url, 0), 0)
		s.equal("message", *s.receiveOne(url, 0).Body, "next")
		moved := s.receiveOne(dead, 0)
		s.equal("moved", *moved.Body, "poison")
		s.equal("its group", moved.Attributes["MessageGroupId"], "a")
	}},
	{
		name: "a FIFO receipt handle ends with its visibility timeout",
		holds: func(s suite) {
			url := s.createFIFO("orders", nil)
			s.sendFIFO(url, "a", "a1", "1")
			m := s.receiveOne(url, 0)
			s.changeVisibility(url, m, 0)
			_, err := s.client.DeleteMessage(s.ctx(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
			s.code(err, "InvalidParameterValue")
			s.counts(url, 1, 0, 0)
		},
		fauxqs: &deviation{"it reports success and deletes nothing", func(s suite) {
			url := s.createFIFO("orders", nil)
			s.sendFIFO(url, "a", "a1", "1")
			m := s.receiveOne(url, 0)
			s.changeVisibility(url, m, 0)
			s.delete(url, m)
			s.counts(url, 1, 0, 0)
		}},
	},
}

// suite is one behavior's view of one SQS.
type suite struct {
	*testing.T
	client *sqs.Client
}

func (s suite) ctx() context.Context { return s.Context() }

// name makes a queue's name its own, since behaviors share a server.
func (s suite) name(base string) string {
	base, suffixed := strings.CutSuffix(base, ".fifo")
	name := base + "-" + newID()
	if suffixed {
		name += ".fifo"
	}
	return name
}

func (s suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("expected success, found %v", err)
	}
}

func (s suite) equal(what string, found, expected any) {
	s.Helper()
	if found != expected {
		s.Fatalf("%s: expected %v, found %v", what, expected, found)
	}
}

// code compares an error's code, with or without the prefix of the query protocol.
func (s suite) code(err error, expected string) {
	s.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || strings.TrimPrefix(e.ErrorCode(), "AWS.SimpleQueueService.") != expected {
		s.Fatalf("expected the error %s, found %v", expected, err)
	}
}

func failsAs[E error](s suite, err error) {
	s.Helper()
	var e E
	if !errors.As(err, &e) {
		s.Fatalf("expected an error of type %T, found %v", e, err)
	}
}

func (s suite) create(name string, attributes map[string]string) string {
	s.Helper()
	out, err := s.client.CreateQueue(s.ctx(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	s.ok(err)
	return *out.QueueUrl
}

func (s suite) createFIFO(base string, attributes map[string]string) string {
	s.Helper()
	all := map[string]string{"FifoQueue": "true"}
	maps.Copy(all, attributes)
	return s.create(s.name(base+".fifo"), all)
}

func (s suite) redrive(dead string, times int) string {
	s.Helper()
	return fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, s.attributes(dead)["QueueArn"], times)
}

func (s suite) attributes(url string) map[string]string {
	s.Helper()
	out, err := s.client.GetQueueAttributes(s.ctx(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	s.ok(err)
	return out.Attributes
}

func (s suite) counts(url string, visible, inFlight, delayed int) {
	s.Helper()
	a := s.attributes(url)
	found := fmt.Sprintf("%s visible, %s in flight, %s delayed",
		a["ApproximateNumberOfMessages"], a["ApproximateNumberOfMessagesNotVisible"], a["ApproximateNumberOfMessagesDelayed"])
	s.equal("counts", found, fmt.Sprintf("%d visible, %d in flight, %d delayed", visible, inFlight, delayed))
}

func (s suite) send(url, body string) (id string) {
	s.Helper()
	out, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
	s.ok(err)
	return *out.MessageId
}

func (s suite) sendFIFO(url, group, body, deduplicationID string) *sqs.SendMessageOutput {
	s.Helper()
	out, err := s.client.SendMessage(s.ctx(), &sqs.SendMessageInput{
		QueueUrl: &url, MessageBody: &body, MessageGroupId: &group, MessageDeduplicationId: &deduplicationID,
	})
	s.ok(err)
	return out
}

// receive may run beside the test's goroutine, so it does not end the test.
func (s suite) receive(url string, wait, limit int32, visibility *int32) []types.Message {
	s.Helper()
	out, err := s.client.ReceiveMessage(s.ctx(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, WaitTimeSeconds: wait, MaxNumberOfMessages: limit, VisibilityTimeout: aws.ToInt32(visibility),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if err != nil {
		s.Errorf("ReceiveMessage: %v", err)
		return nil
	}
	return out.Messages
}

func (s suite) receiveOne(url string, wait int32) types.Message {
	s.Helper()
	messages := s.receive(url, wait, 1, nil)
	s.equal("messages received", len(messages), 1)
	return messages[0]
}

func (s suite) none(url string, wait int32) {
	s.Helper()
	s.equal("messages received", s.bodies(s.receive(url, wait, 10, nil)), "")
}

func (s suite) bodies(messages []types.Message) string {
	var out []string
	for _, m := range messages {
		out = append(out, *m.Body)
	}
	return strings.Join(out, " ")
}

func (s suite) changeVisibility(url string, m types.Message, seconds int32) {
	s.Helper()
	_, err := s.client.ChangeMessageVisibility(s.ctx(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
	s.ok(err)
}

func (s suite) delete(url string, m types.Message) {
	s.Helper()
	_, err := s.client.DeleteMessage(s.ctx(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
	s.ok(err)
}

// deleteHandle deletes by a handle from a queue with one message.
func deleteHandle(s suite, handle string) error {
	s.Helper()
	url := s.create(s.name("orders"), nil)
	s.send(url, "x")
	_, err := s.client.DeleteMessage(s.ctx(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: &handle})
	s.counts(url, 1, 0, 0)
	return err
}
