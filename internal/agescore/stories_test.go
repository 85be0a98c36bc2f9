package agescore

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keda-headroom/headroom/metrics"
)

// What more pods can't help, each told by the local SQS and CloudWatch.

// takes is work on a message that takes so long and succeeds.
func takes(d time.Duration) func(string) (time.Duration, bool) {
	return func(string) (time.Duration, bool) { return d, true }
}

// TestStoryPoison: a message that nobody can work on comes back again and again. It
// is the oldest by far, and asks for nothing.
func TestStoryPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, "orders", map[string]string{"VisibilityTimeout": "20"})
		defer l.end()
		l.watcher.sqs().SecondsPerMessage = 0.5
		l.consume(2, func(body string) (time.Duration, bool) { return time.Second / 2, body != "poison" })
		l.send("poison", "")
		l.send("poison", "")
		l.pass(900, func() { l.send("order", "") })
		truth, o := l.truth(), l.watcher.plan
		if truth.OldestAge < 14*time.Minute || math.Abs(o.Age.Seconds-truth.MetricAge.Seconds()) > 5 {
			t.Errorf("the oldest is %s old, without poison %s: estimated %+v", truth.OldestAge, truth.MetricAge, o.Age)
		}
		if o.Replicas != 1 {
			t.Errorf("%d replicas for a message a second that takes half of one", o.Replicas)
		}
		// Nobody sends any more. What is left keeps one pod, so that whoever receives
		// it often enough may send it to its dead-letter queue.
		l.pass(600, nil)
		if o = l.watcher.plan; o.Replicas > 1 || o.Age.Seconds > 5 || o.Age.Poison != 2 || !strings.Contains(l.watcher.sentence, "received three times or more") {
			t.Errorf("%d replicas for nothing but poison, estimated %+v: %s", o.Replicas, o.Age, l.watcher.sentence)
		}
	})
}

// TestStoryFIFOGroups: of two message groups two consumers can work at once, however
// many messages wait.
func TestStoryFIFOGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, "orders.fifo", map[string]string{"VisibilityTimeout": "60"})
		defer l.end()
		l.watcher.sqs().SecondsPerMessage = 2
		l.watcher.sqs().MaxMessageAge = 2 * time.Minute
		l.consume(5, takes(2*time.Second))
		l.pass(10, nil)
		for i := range 800 {
			l.send("order", fmt.Sprint("customer-", i%2))
		}
		l.pass(60, nil)
		if o := l.watcher.plan; o.Groups != 0 || o.Replicas < 10 {
			t.Errorf("nobody knows yet of how many groups they are: %d replicas, %d groups", o.Replicas, o.Groups)
		}
		l.pass(300, nil)
		o := l.watcher.plan
		if o.Groups != 3 || o.Replicas != 3 || !strings.Contains(l.watcher.sentence, "no message group free") {
			t.Errorf("two groups employ two consumers, and one more may find a third: %d replicas, %d groups: %s", o.Replicas, o.Groups, l.watcher.sentence)
		}
	})
}

// TestStoryDelayed: messages that nobody can receive yet ask for nobody, and are as
// old as they are when somebody can.
func TestStoryDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, "orders", map[string]string{"VisibilityTimeout": "60", "DelaySeconds": "120"})
		defer l.end()
		l.watcher.sqs().SecondsPerMessage = 1
		l.pass(60, nil)
		for range 300 {
			l.send("order", "")
		}
		l.pass(60, nil)
		if o := l.watcher.plan; o.Replicas != 0 || math.Abs(o.Age.Seconds-60) > 6 {
			t.Errorf("300 delayed messages: %d replicas, %+v", o.Replicas, o.Age)
		}
		l.pass(70, nil)
		// 300 seconds of work in the 130 s that are left once a pod is there.
		if o := l.watcher.plan; o.Replicas < 3 || o.Replicas > 5 || math.Abs(o.Age.Seconds-130) > 10 {
			t.Errorf("300 messages, 130 s old: %d replicas, %+v", o.Replicas, o.Age)
		}
	})
}

// TestStoryDeadLetters: work on every fourth message fails. It leaves for the
// dead-letter queue without being done: that is no work that pods got done, and the
// dead-letter queue fills with what nobody sent.
func TestStoryDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, "orders", map[string]string{"VisibilityTimeout": "10"})
		defer l.end()
		letters := newWatcher()
		url := l.queue("letters", map[string]string{"VisibilityTimeout": "10"})
		_, err := l.sqs.SetQueueAttributes(l.ctx, &sqs.SetQueueAttributesInput{QueueUrl: l.url, Attributes: map[string]string{
			string(sqstypes.QueueAttributeNameRedrivePolicy): `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:letters","maxReceiveCount":"2"}`,
		}})
		if err != nil {
			t.Fatal(err)
		}
		l.consume(4, func(body string) (time.Duration, bool) { return time.Second / 2, body == "order" })
		n := 0
		l.pass(600, func() {
			for range 4 {
				if n++; n%4 == 0 {
					l.send("broken", "")
				} else {
					l.send("order", "")
				}
			}
			if n%20 == 0 {
				letters.points = metrics.Known(published(l.ctx, t, l.points, "letters"), time.Now())
				letters.look(time.Now(), time.Now(), count(l.ctx, t, l.sqs, url), 1)
			}
		})
		o := l.watcher.plan
		if o.Lost < 0.15 || o.Lost > 0.3 || o.Deliveries < 1.5 || !strings.Contains(l.watcher.sentence, "dead-letter queue") {
			t.Errorf("a quarter is received twice and given up: deliveries %.2f, lost %.2f: %s", o.Deliveries, o.Lost, l.watcher.sentence)
		}
		truth, _ := l.server.Truth("letters")
		if letters.plan.Age.Seconds < 0.8*truth.OldestAge.Seconds() {
			t.Errorf("the first letter is %s old, estimated %+v", truth.OldestAge, letters.plan.Age)
		}
	})
}

// TestStoryVisibilityExpires: work takes longer than the visibility timeout. Messages
// are done twice and deleted twice, and what a pod gets done is not twice as much.
func TestStoryVisibilityExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, "orders", map[string]string{"VisibilityTimeout": "5"})
		defer l.end()
		l.consume(8, takes(8*time.Second))
		l.pass(900, func() {
			if int(l.seconds)%4 == 0 {
				l.send("order", "")
				l.send("order", "")
			}
		})
		o, truth := l.watcher.plan, l.truth()
		left := float64(truth.Sent) - float64(truth.Visible+truth.InFlight)
		if float64(truth.Deleted) <= left {
			t.Fatalf("%d deletions of %.0f messages: nothing was deleted twice", truth.Deleted, left)
		}
		actual := left / l.seconds / float64(l.consumers)
		if o.Rate > 1.5*actual || o.Deliveries < 1.3 || !strings.Contains(l.watcher.sentence, "visibility timeout") {
			t.Errorf("a pod gets %.3f messages/s done, measured %.3f; deliveries %.2f: %s", actual, o.Rate, o.Deliveries, l.watcher.sentence)
		}
	})
}
