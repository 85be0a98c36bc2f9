package agescore

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// Of a fleet that follows: how often the HPA looks, and how long a pod takes to start.
const (
	hpaSync = 15.0
	startup = 20.0
)

// outcome is what became of traffic whose fleet followed the objective.
type outcome struct {
	late, done float64
	pods       float64 // seconds
	worked     float64 // seconds that the messages needed
	most       int
	changes    int
	oldest     float64
}

// follow plays traffic with a fleet that does what it is told.
func follow(tr traffic, work func(*rand.Rand) float64, seed uint64, objective time.Duration) outcome {
	random := rand.New(rand.NewPCG(seed, 1))
	q := newQueue(began, random, work)
	q.limit = objective.Seconds()
	w := newWatcher()
	w.sqs().MaxMessageAge = objective
	w.group.Workloads[0].ScaleDownStabilization = time.Minute
	var pods []float64 // when each was created
	var out outcome
	born := 0
	names := []string{}
	for t := 0.0; t < tr.seconds; t += poll {
		ready := 0
		var fleet metrics.Fleet
		for i, at := range pods {
			p := metrics.Pod{UID: names[i], Name: names[i], CreatedAt: began.Add(time.Duration(at * float64(time.Second))), Ready: t-at >= startup}
			if p.Ready {
				ready++
			}
			fleet.Pods = append(fleet.Pods, p)
		}
		fleet.SpecReplicas, fleet.StatusReplicas, fleet.MaxReplicas = len(pods), len(pods), 10_000
		q.consumers = ready
		q.pass(t, tr.come(random, max(0, t-poll), t))
		now := began.Add(time.Duration(t * float64(time.Second)))
		if math.Mod(t, 60) == 10 {
			w.points = metrics.Known(q.points(delay, window), now)
		}
		w.decide(now, now, q.counts(), fleet)
		out.pods += float64(len(pods)) * poll
		out.oldest = max(out.oldest, q.age())
		if math.Mod(t, hpaSync) != 0 {
			continue
		}
		if w.target != len(pods) {
			out.changes++
		}
		for len(pods) < w.target {
			born++
			pods, names = append(pods, t), append(names, fmt.Sprint(born))
		}
		pods, names = pods[:w.target], names[:w.target]
		out.most = max(out.most, len(pods))
	}
	out.late, out.done, out.worked = q.late, q.done, q.worked
	return out
}

// TestObjectiveIsKept: with as many pods as it asks for, nearly no message is too old,
// and pods are not idle for long. How close that comes to what a clairvoyant would do
// is for the simulator to say.
func TestObjectiveIsKept(t *testing.T) {
	traffics := generated()
	for _, file := range []string{"elb_request_count.csv", "twitter_volume_amzn.csv"} {
		tr := trace(t, file, scale)
		traffics = append(traffics, tr.part(tr.tuned, tr.tuned+2*3600))
	}
	for j, tr := range traffics {
		for i, s := range services {
			if !everything() && i != j%len(services) {
				continue
			}
			objective := []time.Duration{5 * time.Minute, 2 * time.Minute, 10 * time.Minute}[i]
			o := follow(tr, s.work, uint64(i), objective)
			late, cost := o.late/o.done, o.pods/o.worked
			t.Logf("%-20s %-12s %-6s %6.0f done, late %.3f %%, oldest %.0f s; pods cost %.2f × the work, %d at most, %d changes", tr.name, s.name, objective, o.done, 100*late, o.oldest, cost, o.most, o.changes)
			if late > 0.01 || cost > 2 && !slices.Contains([]string{"bursts", "silence"}, tr.name) {
				t.Errorf("%s, %s: %.2f %% were late, at %.2f × the work", tr.name, s.name, 100*late, cost)
			}
		}
	}
}
