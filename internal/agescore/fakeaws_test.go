package agescore

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/metrics"
)

// TestAgreesWithFakeAWS plays the same messages to the model and to the local SQS and
// CloudWatch, with consumers that are clients of it: counts, ages and points are the
// same, and what is estimated from them holds there too.
func TestAgreesWithFakeAWS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seconds, consumers = 840.0, 2
		local := fakeaws.New(fakeaws.Options{PublishingDelay: delay * time.Second})
		defer local.Close()
		ctx, stop := context.WithCancel(t.Context())
		client := sqs.NewFromConfig(local.InProcess())
		made, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("orders"), Attributes: map[string]string{"VisibilityTimeout": "600"}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if !start.Equal(start.Truncate(time.Minute)) {
			t.Fatalf("a bubble begins at %s, expected a full minute", start)
		}
		// A burst every five minutes, and somewhat less than can be done in between.
		tr := traffic{seconds: seconds, rate: func(t float64) float64 {
			if math.Mod(t, 240) < 20 {
				return 10
			}
			return 1
		}}
		arrivals := tr.come(rand.New(rand.NewPCG(7, 7)), 0, seconds)
		var running sync.WaitGroup
		running.Go(func() {
			for _, at := range arrivals {
				time.Sleep(time.Until(start.Add(time.Duration(at * float64(time.Second)))))
				if _, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String("order")}); err != nil {
					return
				}
			}
		})
		for range consumers {
			running.Go(func() {
				for ctx.Err() == nil {
					got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, WaitTimeSeconds: 20})
					if err != nil {
						return
					}
					for _, m := range got.Messages {
						time.Sleep(time.Duration(service * float64(time.Second)))
						_, _ = client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: made.QueueUrl, ReceiptHandle: m.ReceiptHandle})
					}
				}
			})
		}
		model := newQueue(start, rand.New(rand.NewPCG(1, 1)), fixed)
		model.consumers = consumers
		w, metricsClient := newWatcher(), cloudwatch.NewFromConfig(local.InProcess())
		var samples []sample
		next := 0
		for at := poll; at < seconds; at += poll {
			time.Sleep(time.Until(start.Add(time.Duration(at*float64(time.Second)) + time.Millisecond)))
			until := next
			for until < len(arrivals) && arrivals[until] < at {
				until++
			}
			model.pass(at, arrivals[next:until])
			next = until
			counts := count(ctx, t, client, made.QueueUrl)
			truth, _ := local.Truth("orders")
			if want := model.counts(); abs(want.Visible-counts.Visible) > 1 || abs(want.InFlight-counts.InFlight) > 1 || math.Abs(model.age()-truth.MetricAge.Seconds()) > 1 {
				t.Fatalf("after %v s the model has %+v, oldest %.1f s; the local SQS %+v, oldest %.1f s", at, want, model.age(), counts, truth.MetricAge.Seconds())
			}
			if math.Mod(at, 60) == 10 {
				points := published(ctx, t, metricsClient)
				comparePoints(t, model.points(delay, window), points)
				w.points = metrics.Known(points, time.Now())
			}
			w.look(time.Now(), time.Now(), counts, consumers)
			samples = append(samples, sample{at, w.plan.Age.Seconds, truth.MetricAge.Seconds(), w.plan.Age.Uncertainty})
		}
		stop()
		running.Wait()
		promise(t, "the local SQS and CloudWatch", samples[300/int(poll):], true)
	})
}

func abs(n int64) int64 { return max(n, -n) }

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

// published asks CloudWatch for everything that it has published by now.
func published(ctx context.Context, t *testing.T, client *cloudwatch.Client) metrics.Points {
	t.Helper()
	query := func(id, name, stat string) cwtypes.MetricDataQuery {
		return cwtypes.MetricDataQuery{Id: aws.String(id), MetricStat: &cwtypes.MetricStat{Period: aws.Int32(60), Stat: aws.String(stat), Metric: &cwtypes.Metric{
			Namespace: aws.String("AWS/SQS"), MetricName: aws.String(name), Dimensions: []cwtypes.Dimension{{Name: aws.String("QueueName"), Value: aws.String("orders")}},
		}}}
	}
	got, err := client.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(time.Now().Add(-window * time.Minute)), EndTime: aws.Time(time.Now()), ScanBy: cwtypes.ScanByTimestampAscending,
		MetricDataQueries: []cwtypes.MetricDataQuery{query("sent", "NumberOfMessagesSent", "Sum"), query("deleted", "NumberOfMessagesDeleted", "Sum"), query("age", "ApproximateAgeOfOldestMessage", "Maximum")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var points metrics.Points
	for i, at := range got.MetricDataResults[0].Timestamps {
		points.Minutes = append(points.Minutes, metrics.Minute{Start: at, Sent: &got.MetricDataResults[0].Values[i], Deleted: &got.MetricDataResults[1].Values[i], OldestAge: &got.MetricDataResults[2].Values[i]})
	}
	return points
}

// comparePoints: the model publishes what the local CloudWatch does, but for a message
// at a minute's very end.
func comparePoints(t *testing.T, want, got metrics.Points) {
	t.Helper()
	if len(want.Minutes) != len(got.Minutes) {
		t.Fatalf("%d minutes, want %d", len(got.Minutes), len(want.Minutes))
	}
	for i, m := range want.Minutes {
		g := got.Minutes[i]
		if !g.Start.Equal(m.Start) || math.Abs(*g.Sent-*m.Sent) > 1 || math.Abs(*g.Deleted-*m.Deleted) > 1 || math.Abs(*g.OldestAge-*m.OldestAge) > 1 {
			t.Fatalf("minute %s: sent %v, deleted %v, oldest %v s; the model: sent %v, deleted %v, oldest %v s", m.Start, *g.Sent, *g.Deleted, *g.OldestAge, *m.Sent, *m.Deleted, *m.OldestAge)
		}
	}
}

func number(text string) int64 {
	n := int64(0)
	for _, digit := range text {
		n = n*10 + int64(digit-'0')
	}
	return n
}
