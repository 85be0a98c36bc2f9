package agescore

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// began is a minute of the clock.
var began = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const (
	poll    = 5.0   // seconds between two readings of the depth
	delay   = 180.0 // seconds until a minute is published
	spinUp  = 60.0  // seconds by which the fleet lags
	window  = 15    // minutes of points that are asked for
	service = 0.5
)

// lagging is how many consumers there are at t: fewer and more than would do, in
// turn, so that backlogs build up and go.
func (tr traffic) lagging(t float64) int {
	load := 1 + 0.3*math.Sin(2*math.Pi*t/2700)
	return max(1, int(math.Round(tr.rate(max(0, t-spinUp))*service/load)))
}

// sample is one estimate and the truth, in seconds.
type sample struct{ at, estimate, truth, uncertainty float64 }

// off is how far the estimate is off, as a multiple of what is allowed.
func (s sample) off() float64 { return math.Abs(s.estimate-s.truth) / max(0.1*s.truth, 5) }

// watcher decides from what a queue shows, again and again.
type watcher struct {
	group  policy.Group
	ledger policy.Ledger
	points metrics.Reading[metrics.Points]
	plan   policy.ObjectivePlan
	// sentence is the first step's.
	sentence string
	target   int
}

// sqs is the policy of the queue, to be changed.
func (w *watcher) sqs() *policy.SQS { return w.group.Workloads[0].SQS }

func newWatcher() *watcher {
	return &watcher{group: policy.Group{Workloads: []policy.Workload{{
		ID: metrics.ID{Namespace: "shop", Name: "workers"}, Mode: policy.Observe,
		SQS: &policy.SQS{QueueName: "orders", MessagesPerPod: 20, MaxMessageAge: 5 * time.Minute, PollInterval: 5 * time.Second, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
	}}}}
}

// look decides at now from a reading that began at read.
func (w *watcher) look(now, read time.Time, counts metrics.Queue, pods int) {
	fleet := metrics.Fleet{SpecReplicas: pods, StatusReplicas: pods}
	for i := range pods {
		name := fmt.Sprint(i)
		fleet.Pods = append(fleet.Pods, metrics.Pod{UID: name, Name: name, Ready: true, Started: true, CreatedAt: began})
	}
	w.decide(now, read, counts, fleet)
}

// decide decides for a fleet.
func (w *watcher) decide(now, read time.Time, counts metrics.Queue, fleet metrics.Fleet) {
	id := w.group.Workloads[0].ID
	snapshot := policy.Snapshot{
		Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{id: metrics.Known(counts, read)},
		Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{id: metrics.Known(fleet, now)},
		Points: map[metrics.ID]metrics.Reading[metrics.Points]{id: w.points},
	}
	var plan policy.Plan
	plan, w.ledger = policy.Decide(now, w.group, snapshot, w.ledger)
	w.target = plan.Workloads[0].Target
	w.plan, w.sentence = *plan.Workloads[0].Demand.Objective, plan.Workloads[0].Steps[0].Sentence
}

// score plays traffic and compares the estimate with the truth.
func score(tr traffic, work func(*rand.Rand) float64, seed uint64, cloudWatch bool, stated float64) []sample {
	random := rand.New(rand.NewPCG(seed, 1))
	q := newQueue(began, random, work)
	w := newWatcher()
	w.sqs().SecondsPerMessage = stated
	var samples []sample
	for t := 0.0; t < tr.seconds; t += poll {
		q.consumers = tr.lagging(t)
		q.pass(t, tr.come(random, max(0, t-poll), t))
		now := began.Add(time.Duration(t * float64(time.Second)))
		if cloudWatch && math.Mod(t, 60) == 10 {
			w.points = metrics.Known(q.points(delay, window), now)
		}
		w.look(now, now, q.counts(), q.consumers)
		samples = append(samples, sample{t, w.plan.Age.Seconds, q.age(), w.plan.Age.Uncertainty})
	}
	return samples
}

// quantile is of how far estimates are off, of those that pass.
func quantile(samples []sample, share float64, pass func(sample) bool) (off float64, n int) {
	var offs []float64
	for _, s := range samples {
		if pass(s) {
			offs = append(offs, s.off())
		}
	}
	if len(offs) == 0 {
		return 0, 0
	}
	slices.Sort(offs)
	return offs[min(len(offs)-1, int(share*float64(len(offs))))], len(offs)
}

// tell prints what the estimate is worth.
func tell(t *testing.T, name string, samples []sample) (p95 float64) {
	t.Helper()
	waiting := func(s sample) bool { return s.truth > 0 }
	old := func(s sample) bool { return s.truth > 30 }
	p50, _ := quantile(samples, 0.5, waiting)
	p95, n := quantile(samples, 0.95, waiting)
	p99, _ := quantile(samples, 0.99, waiting)
	p95old, nOld := quantile(samples, 0.95, old)
	covered, largest := 0, 0.0
	for _, s := range samples {
		if math.Abs(s.estimate-s.truth) <= s.uncertainty {
			covered++
		}
		largest = max(largest, s.truth)
	}
	t.Logf("%-42s error/allowed: median %.2f, 95th %.2f, 99th %.2f of %d; 95th %.2f of %d older than 30 s; oldest %.0f s; inside its uncertainty %.1f %%",
		name, p50, p95, p99, n, p95old, nOld, largest, 100*float64(covered)/float64(len(samples)))
	return p95
}

// services are how long work takes. Where it has a heavy tail the oldest message is
// one of the few that take long, whenever those came: no count tells of it.
var services = []struct {
	name string
	work func(*rand.Rand) float64
	kept bool // the promise
}{{"fixed", fixed, true}, {"exponential", exponential, true}, {"heavy-tailed", heavy, false}}

// warmUp is after how many seconds CloudWatch has told enough to go by.
const warmUp = 600

// scale makes of requests and mentions messages: about 10 in a second.
const scale = 50

// promise fails where samples are not what is promised: off by no more than 10 % or
// 5 s, 19 times out of 20.
func promise(t *testing.T, name string, samples []sample, kept bool) {
	t.Helper()
	if p95 := tell(t, name, samples); kept && p95 > 1 {
		t.Errorf("%s: the 95th percentile of the error is %.2f of what is allowed", name, p95)
	}
}

// play scores traffic before and after tuned.
func play(t *testing.T, tr traffic) {
	t.Helper()
	for _, s := range services {
		if !s.kept && !everything() {
			continue
		}
		samples := score(tr, s.work, 1, true, 0)
		tuned := slices.IndexFunc(samples, func(s sample) bool { return s.at >= tr.tuned })
		tell(t, tr.name+", "+s.name+", tuned on", samples[:tuned])
		promise(t, tr.name+", "+s.name+", scored on", samples[tuned:], s.kept)
	}
}

func TestAgeOnGeneratedTraffic(t *testing.T) {
	for _, tr := range generated() {
		play(t, tr)
	}
}

// TestAgeOnRealTraffic plays pieces of what was not tuned on, or, with
// HEADROOM_TRACES=all, everything.
func TestAgeOnRealTraffic(t *testing.T) {
	const pieces = 4
	for _, file := range []string{"elb_request_count.csv", "twitter_volume_amzn.csv"} {
		tr := trace(t, file, scale)
		if everything() {
			play(t, tr)
			continue
		}
		for _, s := range services {
			if !s.kept {
				continue
			}
			var samples []sample
			for i := range pieces {
				from := math.Floor((tr.tuned+float64(i)*tr.tuned/pieces)/60) * 60
				piece := score(tr.part(from-warmUp, from+2700), s.work, uint64(i), true, 0)
				samples = append(samples, piece[warmUp/poll:]...)
			}
			promise(t, fmt.Sprintf("%s, %s, %d pieces", tr.name, s.name, pieces), samples, s.kept)
		}
	}
}

// TestAgeWithoutCloudWatch: depth alone says little, and the estimate knows; with
// what the policy says of the work it is good enough to decide by.
func TestAgeWithoutCloudWatch(t *testing.T) {
	for _, tr := range generated() {
		if tr.name == "silence" {
			continue // of which there is little to tell
		}
		for _, stated := range []float64{0, service} {
			samples := score(tr, exponential, 1, false, stated)
			p95 := tell(t, fmt.Sprintf("%s, without CloudWatch, %v s stated", tr.name, stated), samples)
			inside := 0
			for _, s := range samples {
				if math.Abs(s.estimate-s.truth) <= s.uncertainty {
					inside++
				}
			}
			if stated > 0 && p95 > 3 || inside*10 < len(samples)*8 {
				t.Errorf("%s: the 95th percentile of the error is %.2f of what is allowed with CloudWatch, %d of %d inside the uncertainty", tr.name, p95, inside, len(samples))
			}
		}
	}
}
