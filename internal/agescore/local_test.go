package agescore

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/metrics"
)

// local is a queue of the local SQS with producers, consumers and somebody who
// watches it, in a bubble of time.
type local struct {
	t         *testing.T
	ctx       context.Context
	stop      context.CancelFunc
	running   sync.WaitGroup
	server    *fakeaws.Server
	sqs       *sqs.Client
	points    *cloudwatch.Client
	name      string
	url       *string
	watcher   *watcher
	start     time.Time
	seconds   float64
	consumers int
	sent      int
}

func newLocal(t *testing.T, name string, attributes map[string]string) *local {
	t.Helper()
	server := fakeaws.New(fakeaws.Options{PublishingDelay: delay * time.Second})
	l := &local{t: t, server: server, sqs: sqs.NewFromConfig(server.InProcess()), points: cloudwatch.NewFromConfig(server.InProcess()), name: name, watcher: newWatcher(), start: time.Now()}
	l.ctx, l.stop = context.WithCancel(t.Context())
	l.url = l.queue(name, attributes)
	return l
}

// queue makes one more queue.
func (l *local) queue(name string, attributes map[string]string) *string {
	l.t.Helper()
	all := maps.Clone(attributes)
	if strings.HasSuffix(name, ".fifo") {
		all["FifoQueue"], all["ContentBasedDeduplication"] = "true", "false"
	}
	made, err := l.sqs.CreateQueue(l.ctx, &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: all})
	if err != nil {
		l.t.Fatal(err)
	}
	return made.QueueUrl
}

// end lets everybody stop.
func (l *local) end() {
	l.stop()
	l.running.Wait()
	l.server.Close()
}

// send sends a message, of a group where the queue is FIFO.
func (l *local) send(body, group string) {
	in := &sqs.SendMessageInput{QueueUrl: l.url, MessageBody: aws.String(body)}
	if group != "" {
		l.sent++
		in.MessageGroupId, in.MessageDeduplicationId = aws.String(group), aws.String(fmt.Sprint(l.sent))
	}
	if _, err := l.sqs.SendMessage(l.ctx, in); err != nil && l.ctx.Err() == nil {
		l.t.Error(err)
	}
}

// consume adds consumers that work on each message for as long as work says, and
// delete it if it was done.
func (l *local) consume(n int, work func(body string) (time.Duration, bool)) {
	l.consumers += n
	for range n {
		l.running.Go(func() {
			for l.ctx.Err() == nil {
				got, err := l.sqs.ReceiveMessage(l.ctx, &sqs.ReceiveMessageInput{QueueUrl: l.url, WaitTimeSeconds: 20})
				if err != nil {
					return
				}
				for _, m := range got.Messages {
					takes, done := work(aws.ToString(m.Body))
					time.Sleep(takes)
					if done {
						_, _ = l.sqs.DeleteMessage(l.ctx, &sqs.DeleteMessageInput{QueueUrl: l.url, ReceiptHandle: m.ReceiptHandle})
					}
				}
			}
		})
	}
}

// pass lets seconds pass, of which each sends what each says, and decides every five.
func (l *local) pass(seconds int, each func()) {
	l.t.Helper()
	for range seconds {
		if each != nil {
			each()
		}
		l.seconds++
		time.Sleep(time.Until(l.start.Add(time.Duration(l.seconds)*time.Second + time.Millisecond)))
		if math.Mod(l.seconds, 60) == 10 {
			l.watcher.points = metrics.Known(published(l.ctx, l.t, l.points, l.name), time.Now())
		}
		if math.Mod(l.seconds, poll) == 0 {
			counts := count(l.ctx, l.t, l.sqs, l.url)
			counts.FIFO = strings.HasSuffix(l.name, ".fifo")
			l.watcher.look(time.Now(), time.Now(), counts, l.consumers)
		}
	}
}

func (l *local) truth() fakeaws.Truth {
	truth, _ := l.server.Truth(l.name)
	return truth
}

// count reads the depth as Headroom does.
func count(ctx context.Context, t *testing.T, client *sqs.Client, url *string) metrics.Queue {
	t.Helper()
	got, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	if err != nil {
		t.Fatal(err)
	}
	return metrics.Queue{
		Visible:  number(got.Attributes["ApproximateNumberOfMessages"]),
		InFlight: number(got.Attributes["ApproximateNumberOfMessagesNotVisible"]),
		Delayed:  number(got.Attributes["ApproximateNumberOfMessagesDelayed"]),
	}
}
