package replay_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// loop is a workload with an objective: messages come, more by day than by night, its
// pods follow the target, start in 20 s and do two messages a second each, and
// CloudWatch tells of each minute when it has been over for three.
type loop struct {
	r       *rand.Rand
	id      metrics.ID
	phase   float64 // of the day, from 0 to 1
	made    int     // pods
	waiting float64
	busy    float64
	fleet   metrics.Fleet
	minute  struct{ sent, deleted float64 }
	minutes []metrics.Minute
}

// second lets one pass, and follows target every 15.
func (l *loop) second(now time.Time, target int) {
	seconds := now.Unix()
	day := float64(seconds%86400)/86400 + l.phase
	rate := 4 * (1 + 0.9*math.Sin(2*math.Pi*day))
	came := max(0, math.Round(rate+math.Sqrt(rate)*l.r.NormFloat64()))
	ready := 0
	for i := range l.fleet.Pods {
		if p := &l.fleet.Pods[i]; !p.Ready && now.Sub(p.CreatedAt) >= 20*time.Second {
			l.fleet.Pods = append([]metrics.Pod(nil), l.fleet.Pods...) // what was read stays
			l.fleet.Pods[i].Ready = true
		}
		if l.fleet.Pods[i].Ready {
			ready++
		}
	}
	l.waiting += came
	done := min(l.waiting, float64(2*ready))
	l.waiting -= done
	l.busy = done / 2
	l.minute.sent, l.minute.deleted = l.minute.sent+came, l.minute.deleted+done
	if seconds%60 == 0 {
		sent, deleted, oldest := l.minute.sent, l.minute.deleted, math.Ceil(l.waiting/max(rate, 0.1))
		l.minutes = append(l.minutes, metrics.Minute{Start: now.Add(-time.Minute), Sent: &sent, Received: &deleted, Deleted: &deleted, OldestAge: &oldest})
		l.minute.sent, l.minute.deleted = 0, 0
	}
	if n := len(l.fleet.Pods); seconds%15 == 0 && target != n {
		pods := append([]metrics.Pod(nil), l.fleet.Pods[:min(n, target)]...)
		for len(pods) < target {
			l.made++
			pods = append(pods, metrics.Pod{UID: fmt.Sprintf("%08x-0000-4000-8000-%012x", l.r.Uint32(), l.made), Name: fmt.Sprintf("%s-%05d", l.id.Name, l.made),
				Address: fmt.Sprintf("10.%d.%d.%d", 1+l.r.IntN(200), l.r.IntN(256), l.r.IntN(256)), CreatedAt: now, Revision: 1, Started: true})
		}
		l.fleet.Pods = pods
	}
	l.fleet.SpecReplicas, l.fleet.StatusReplicas, l.fleet.MaxReplicas = len(l.fleet.Pods), len(l.fleet.Pods), 40
}

// queue is what a reading finds.
func (l *loop) queue() metrics.Queue {
	return metrics.Queue{Visible: int64(l.waiting), InFlight: int64(math.Round(l.busy + l.r.Float64() - 0.5))}
}

// points are those of the last hour that have been published.
func (l *loop) points() metrics.Points {
	n := max(0, len(l.minutes)-3)
	return metrics.Points{Minutes: l.minutes[max(0, n-60):n:n]}
}

// loops are one of each workload with an objective.
func loops(r *rand.Rand, set policy.Set) map[metrics.ID]*loop {
	all := map[metrics.ID]*loop{}
	for i, w := range set.Workloads {
		if w.SQS.MaxMessageAge > 0 {
			all[w.ID] = &loop{r: r, id: w.ID, phase: float64(i) / float64(len(set.Workloads))}
		}
	}
	return all
}
