package policy

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// TestNoNumberIsTooLarge: whatever numbers the readings carry, decisions are
// finite, inside their bounds, and made at all.
func TestNoNumberIsTooLarge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := drawPast(t, 3)
		exaggerate(t, u)
		plan, next := Decide(u.now, u.group, u.snapshot, u.ledger)
		again, _ := Decide(u.now.Add(time.Second), u.group, u.snapshot, next)
		for _, plan := range []Plan{plan, again} {
			for _, p := range plan.Workloads {
				if p.Target < 0 || p.Target > maxReplicas || p.Ceiling < 0 || p.Ceiling > maxReplicas || p.Share < 0 || p.Share > maxReplicas {
					t.Fatalf("%s: target %d, ceiling %d, share %d; expected 0 to %d", p.ID, p.Target, p.Ceiling, p.Share, maxReplicas)
				}
				if math.IsNaN(p.Value) || p.Value < 0 || p.Value > maxReplicas {
					t.Fatalf("%s: KEDA is told %v", p.ID, p.Value)
				}
				if p.Mode != Observe && p.Value > float64(p.Target) {
					t.Fatalf("%s: KEDA is told %v for a target of %d", p.ID, p.Value, p.Target)
				}
				before := p.Demand.Backlog
				for _, s := range p.Steps {
					if s.Before != before || s.After < 0 || s.Sentence == "" {
						t.Fatalf("%s: steps do not lead from the queue's demand to the target:\n%s", p.ID, Describe(p))
					}
					before = s.After
				}
			}
			for _, d := range plan.Databases {
				for _, c := range d.Constraints {
					if c.Free > c.Budget || c.Budget > c.Limit || c.Reserve > c.Limit {
						t.Fatalf("%s %s: a sum wrapped around: %+v", d.ID, c.Name, c)
					}
				}
			}
			if _, err := json.Marshal(plan); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// exaggerate puts numbers at the ends of their ranges into what was read, and
// beyond where nobody checks them on the way in.
func exaggerate(t *rapid.T, u *universe) {
	large := func(label string) int {
		return rapid.SampledFrom([]int{0, 1, 7, 100_000, 1_000_000, 1_000_000_000, math.MaxInt32}).Draw(t, label)
	}
	for i := range u.group.Databases {
		u.group.Databases[i].Reserve = rapid.SampledFrom([]intorpercent.Value{{}, intorpercent.Percent(90), intorpercent.Count(1_000_000)}).Draw(t, "reserve")
	}
	for i := range u.group.Workloads {
		w := &u.group.Workloads[i]
		w.MinReplicas = rapid.SampledFrom([]int{0, 3, 100_000}).Draw(t, "least")
		w.MaxReplicas = nil
		w.Priority = rapid.SampledFrom([]int{0, 1_000_000}).Draw(t, "priority")
		if w.SQS != nil {
			w.SQS.MessagesPerPod = rapid.SampledFrom([]int64{1, 20, 1_000_000_000_000}).Draw(t, "messagesPerPod")
		}
		if w.SQS != nil && w.SQS.MaxMessageAge > 0 {
			w.SQS.SecondsPerMessage = rapid.SampledFrom([]float64{0, 0.001, 86400}).Draw(t, "secondsPerMessage")
			w.SQS.Concurrency = rapid.SampledFrom([]int{0, 1, 1_000_000}).Draw(t, "concurrency")
			absurd := func(label string) *float64 {
				v := rapid.SampledFrom([]float64{0, 1, -1, 1e9, math.MaxFloat64, math.Inf(1), math.NaN()}).Draw(t, label)
				return &v
			}
			points := metrics.Points{Minutes: []metrics.Minute{{Start: u.now.Truncate(time.Minute).Add(-time.Minute), Sent: absurd("sent"), Deleted: absurd("deleted"), OldestAge: absurd("oldest"), Groups: absurd("groups")}}}
			u.snapshot.Points = with(u.snapshot.Points, w.ID, metrics.Known(points, u.now))
		}
		for j := range w.Databases {
			w.Databases[j].ConnectionsPerPod = rapid.SampledFrom([]int{1, 5, 1_000_000}).Draw(t, "connectionsPerPod")
		}
		messages := rapid.SampledFrom([]int64{-1, 0, 3, 1_000_000, math.MaxInt64})
		if r := u.snapshot.Queues[w.ID]; !r.Began().IsZero() {
			u.snapshot.Queues[w.ID] = metrics.Known(metrics.Queue{Visible: messages.Draw(t, "visible"), InFlight: messages.Draw(t, "in flight"), Delayed: messages.Draw(t, "delayed"), FIFO: oneIn(t, 3, "FIFO")}, r.Began())
		}
		if state, known := u.snapshot.Fleets[w.ID].Last(); known {
			state.SpecReplicas, state.StatusReplicas = large("spec"), large("status")
			if oneIn(t, 10, "negative") {
				state.SpecReplicas, state.StatusReplicas = -1, -1
			}
			state.MinReplicas, state.MaxReplicas = large("min"), large("max")
			state.MaxSurge = rapid.SampledFrom([]intorpercent.Value{{}, intorpercent.Percent(25), intorpercent.Percent(10_000), intorpercent.Count(math.MaxInt32)}).Draw(t, "surge")
			state.HPA.ScaleDownToleranceMilli = rapid.SampledFrom([]int{0, 100, 1000, math.MaxInt32}).Draw(t, "tolerance")
			for j := range state.Pods {
				if oneIn(t, 3, "granted") {
					state.Pods[j].Grant = map[string]int{w.Databases[0].Database.String(): large("grant")}
				}
			}
			u.snapshot.Fleets[w.ID] = metrics.Known(state, u.snapshot.Fleets[w.ID].Began())
		}
	}
	for id, r := range u.snapshot.Databases {
		if data, known := r.Last(); known {
			for i := range data.Constraints {
				data.Constraints[i].Limit = rapid.SampledFrom([]int{0, 1, 100, 262_143, 1_000_000_000}).Draw(t, "limit")
			}
			for i := range data.Sessions {
				data.Sessions[i].Count = rapid.SampledFrom([]int{0, 3, 1_000_000_000}).Draw(t, "count")
			}
			u.snapshot.Databases[id] = metrics.Known(data, r.Began())
		}
	}
}
