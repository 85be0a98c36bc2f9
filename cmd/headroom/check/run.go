package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/keda-headroom/headroom/internal/output"
	"github.com/keda-headroom/headroom/internal/policyfiles"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/cloudwatch"
	"github.com/keda-headroom/headroom/metrics/sqs"
	"github.com/keda-headroom/headroom/policy"
)

const (
	// atOnce is how many queues are read at a time.
	atOnce = 8
	// farBehind is how late CloudWatch has to be for somebody to look: its points
	// usually come within a few minutes.
	farBehind = 10 * time.Minute
)

// ErrFound is returned where something can't be read. It has been written; it has
// nothing to add.
var ErrFound = errors.New("")

// queue is a queue of the policies.
type queue struct {
	location    sqs.Location
	workloads   []metrics.ID
	poll, idle  time.Duration
	asks        bool // a policy needs CloudWatch
	place       cloudwatch.Place
	metricsName string // in CloudWatch
}

// Run reads every queue once and writes the report. It returns [ErrFound] where
// something a policy needs can't be read.
func Run(ctx context.Context, o Options) error {
	set, err := policyfiles.Load(o.Paths)
	if err != nil {
		return err
	}
	depths, err := sqs.New(ctx, sqs.Options{Config: o.AWS})
	if err != nil {
		return err
	}
	points, err := cloudwatch.New(ctx, cloudwatch.Options{Config: o.AWS})
	if err != nil {
		return err
	}
	queues := queuesOf(set, o.CloudWatch)
	report := Report{At: o.now(), Queues: make([]Queue, len(queues)), Prices: o.Prices}
	for i := range queues {
		q, out := &queues[i], &report.Queues[i]
		*out = Queue{Name: q.location.String(), Workloads: q.workloads, Findings: []Finding{}}
		q.place, q.metricsName, err = points.Find(q.location)
		if err != nil {
			out.fail("sqs", err)
			q.asks = false
		}
	}
	readDepths(ctx, depths, queues, report.Queues, o.Timeout)
	readPoints(ctx, points, queues, report.Queues, o)
	for i, q := range queues {
		c := cost(q, o.Prices)
		report.Queues[i].Cost = c
		report.Total += c.SQS + c.CloudWatch
		for _, f := range report.Queues[i].Findings {
			if f.Severity == Error {
				report.Errors++
			}
		}
	}
	if err := output.Write(o.Out, o.Output, report, func() string { return table(report) }); err != nil {
		return err
	}
	if report.Errors > 0 {
		return ErrFound
	}
	return nil
}

// queuesOf returns every queue once. It is read as often as any of its workloads
// wants.
func queuesOf(set policy.Set, all bool) []queue {
	var out []queue
	for _, w := range set.Workloads {
		if w.SQS == nil {
			continue
		}
		at := sqs.Location{URL: w.SQS.QueueURL, Name: w.SQS.QueueName, Region: w.SQS.Region, Endpoint: w.SQS.Endpoint}
		i := slices.IndexFunc(out, func(q queue) bool { return q.location == at })
		if i < 0 {
			i = len(out)
			out = append(out, queue{location: at, poll: w.SQS.PollInterval, idle: max(w.SQS.IdlePollInterval, w.SQS.PollInterval)})
		}
		q := &out[i]
		q.workloads = append(q.workloads, w.ID)
		q.poll = min(q.poll, w.SQS.PollInterval)
		q.idle = min(q.idle, max(w.SQS.IdlePollInterval, w.SQS.PollInterval))
		q.asks = q.asks || all || w.SQS.AsksCloudWatch()
	}
	return out
}

// readDepths asks SQS about every queue.
func readDepths(ctx context.Context, client *sqs.Client, queues []queue, out []Queue, timeout time.Duration) {
	var reading sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for i, q := range queues {
		if len(out[i].Findings) > 0 {
			continue // it can't even be found
		}
		reading.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			within, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			opened, err := client.Queue(q.location)
			if err == nil {
				var depth metrics.Queue
				if depth, err = opened.Read(within); err == nil {
					out[i].Depth = &depth
				}
			}
			if err != nil {
				out[i].fail("sqs", err)
			}
		})
	}
	reading.Wait()
}

// readPoints asks CloudWatch about the queues that need it, each place once.
func readPoints(ctx context.Context, client *cloudwatch.Client, queues []queue, out []Queue, o Options) {
	places := map[cloudwatch.Place][]int{}
	for i, q := range queues {
		if q.asks {
			places[q.place] = append(places[q.place], i)
		}
	}
	for place, members := range places {
		within, cancel := context.WithTimeout(ctx, o.Timeout)
		found, err := client.Open(place, func() []string {
			var names []string
			for _, i := range members {
				names = append(names, queues[i].metricsName)
			}
			return names
		}).Read(within)
		cancel()
		for _, i := range members {
			if err != nil {
				out[i].fail("cloudwatch", err)
				continue
			}
			out[i].judge(found[queues[i].metricsName], o.now())
		}
	}
}

func (q *Queue) fail(source string, err error) {
	q.Findings = append(q.Findings, Finding{Severity: Error, Source: source, Problem: err.Error(), Hint: hint(source, err)})
}

// judge says how far behind CloudWatch is.
func (q *Queue) judge(found cloudwatch.Queue, now time.Time) {
	warn := func(problem, hint string) {
		q.Findings = append(q.Findings, Finding{Severity: Warning, Source: "cloudwatch", Problem: problem, Hint: hint})
	}
	if found.Problem != "" {
		warn(found.Problem, "the queue's age and rates are not known; its backlog alone decides")
	}
	q.Published = &Published{Minutes: len(found.Points.Minutes)}
	if q.Published.Minutes == 0 {
		warn("CloudWatch has published nothing of this queue in the last hour",
			"that is so of a queue that nobody used for six hours, and of one that belongs to another account than the credentials: its age can't be known then")
		return
	}
	newest := found.Points.Minutes[q.Published.Minutes-1].Start.Add(time.Minute)
	behind := max(0, now.Sub(newest))
	q.Published.Newest, q.Published.BehindSeconds = newest, behind.Round(time.Second).Seconds()
	if behind > farBehind {
		warn(fmt.Sprintf("the newest point of CloudWatch is %s old", behind.Round(time.Second)),
			"points usually come within 3 minutes; a queue that was idle for six hours takes 15 to come back")
	}
}
