package agescore

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/keda-headroom/headroom/metrics"
)

// TestAgreesWithFakeAWS plays the same messages to the model and to the local SQS and
// CloudWatch, with consumers that are clients of it: counts, ages and points are the
// same, and what is estimated from them holds there too.
func TestAgreesWithFakeAWS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seconds, consumers = 840, 2
		l := newLocal(t, "orders", map[string]string{"VisibilityTimeout": "600"})
		defer l.end()
		if !l.start.Equal(l.start.Truncate(time.Minute)) {
			t.Fatalf("a bubble begins at %s, expected a full minute", l.start)
		}
		// A burst every four minutes, and less than can be done in between.
		tr := traffic{seconds: seconds, rate: func(t float64) float64 {
			if math.Mod(t, 240) < 20 {
				return 10
			}
			return 1
		}}
		arrivals := tr.come(rand.New(rand.NewPCG(7, 7)), 0, seconds)
		l.running.Go(func() {
			for _, at := range arrivals {
				time.Sleep(time.Until(l.start.Add(time.Duration(at * float64(time.Second)))))
				l.send("order", "")
			}
		})
		l.consume(consumers, takes(service*1000*time.Millisecond))
		model := newQueue(l.start, rand.New(rand.NewPCG(1, 1)), fixed)
		model.consumers = consumers
		var samples []sample
		for len(arrivals) > 0 && l.seconds < seconds-poll {
			l.pass(poll, nil)
			until := 0
			for until < len(arrivals) && arrivals[until] < l.seconds {
				until++
			}
			model.pass(l.seconds, arrivals[:until])
			arrivals = arrivals[until:]
			truth := l.truth()
			if want := model.counts(); abs(want.Visible-int64(truth.Visible)) > 1 || abs(want.InFlight-int64(truth.InFlight)) > 1 || math.Abs(model.age()-truth.MetricAge.Seconds()) > 1 {
				t.Fatalf("after %v s the model has %+v, oldest %.1f s; the local SQS %+v", l.seconds, want, model.age(), truth)
			}
			if points, known := l.watcher.points.Last(); known && math.Mod(l.seconds, 60) == 10 {
				comparePoints(t, model.points(delay, window), points)
			}
			age := l.watcher.plan.Age
			samples = append(samples, sample{l.seconds, age.Seconds, truth.MetricAge.Seconds(), age.Uncertainty})
		}
		promise(t, "the local SQS and CloudWatch", samples[300/int(poll):], true)
	})
}

func abs(n int64) int64 { return max(n, -n) }

// published asks CloudWatch for everything that it has published by now.
func published(ctx context.Context, t *testing.T, client *cloudwatch.Client, queue string) metrics.Points {
	t.Helper()
	query := func(id, name, stat string) cwtypes.MetricDataQuery {
		return cwtypes.MetricDataQuery{Id: aws.String(id), MetricStat: &cwtypes.MetricStat{Period: aws.Int32(60), Stat: aws.String(stat), Metric: &cwtypes.Metric{
			Namespace: aws.String("AWS/SQS"), MetricName: aws.String(name), Dimensions: []cwtypes.Dimension{{Name: aws.String("QueueName"), Value: aws.String(queue)}},
		}}}
	}
	got, err := client.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(time.Now().Add(-window * time.Minute)), EndTime: aws.Time(time.Now()), ScanBy: cwtypes.ScanByTimestampAscending,
		MetricDataQueries: []cwtypes.MetricDataQuery{
			query("sent", "NumberOfMessagesSent", "Sum"), query("received", "NumberOfMessagesReceived", "Sum"), query("deleted", "NumberOfMessagesDeleted", "Sum"),
			query("age", "ApproximateAgeOfOldestMessage", "Maximum"), query("groups", "ApproximateNumberOfGroupsWithInflightMessages", "Maximum"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var points metrics.Points
	for i, at := range got.MetricDataResults[0].Timestamps {
		points.Minutes = append(points.Minutes, metrics.Minute{Start: at})
		m := &points.Minutes[i]
		for j, value := range []**float64{&m.Sent, &m.Received, &m.Deleted, &m.OldestAge, &m.Groups} {
			if values := got.MetricDataResults[j].Values; i < len(values) {
				*value = &values[i]
			}
		}
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
