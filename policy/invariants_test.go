package policy

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/hpa"
	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// The invariants of DESIGN.md, each with a test of its name. What they decide
// about is drawn by drawPast: a few decisions in a world where anything happens.

// often checks a property ten times as often as usual: what it takes to find a
// mistake in a decision is several coincidences, and a decision is fast. Under the
// race detector it is not, and nothing in this package runs beside anything.
func often(t *testing.T, property func(*rapid.T)) {
	for range unlessRace(10, 1) {
		if rapid.Check(t, property); t.Failed() {
			return
		}
	}
}

func TestNoAdmissionWhileOver(t *testing.T) {
	often(t, func(t *rapid.T) {
		u := drawUniverse(t, 3)
		for range between(t, 1, 8, "decisions") {
			u.notice()
			plan, _ := Decide(u.now, u.group, u.snapshot, u.ledger)
			if breach := u.breach(plan); breach != "" {
				t.Fatal(breach)
			}
			u.decide()
			u.live(t)
		}
	})
}

func TestUnknownDatabaseNeverScalesOut(t *testing.T) {
	often(t, func(t *rapid.T) {
		u := drawPast(t, 3)
		u.notice()
		plan, _ := Decide(u.now, u.group, u.snapshot, u.ledger)
		for i, w := range u.group.Workloads {
			p := plan.Workloads[i]
			why, _ := u.frozen(plan, w)
			if why == "" {
				continue
			}
			spec := p.Replicas
			if p.Target > spec || p.Value > float64(spec) || p.Active && spec == 0 {
				t.Fatalf("%s though %s: KEDA is told %v, active %v, of %d replicas", w.ID, why, p.Value, p.Active, spec)
			}
			for j, use := range w.Databases {
				after, more := p.Uses[j].Granted, 0
				for _, a := range p.Admissions {
					if _, counted := u.counted[w.ID][a.UID]; !counted {
						more += a.Grant[use.Database.String()]
					}
				}
				if most := u.granted[w.ID][use.Database]; more > 0 && after+more > most {
					t.Fatalf("%s though %s: pods hold grants for %d of %s, %d more are admitted, but only %d were granted when that was known",
						w.ID, why, after, use.Database, more, most)
				}
			}
		}
	})
}

func TestUnknownQueueNeverScalesIn(t *testing.T) {
	often(t, func(t *rapid.T) {
		u := drawPast(t, 3)
		i := between(t, 0, len(u.group.Workloads)-1, "whose queue")
		w := u.group.Workloads[i]
		if !w.Queue() {
			return
		}
		u.snapshot.Queues[w.ID] = rapid.SampledFrom([]metrics.Reading[metrics.Queue]{
			{}, metrics.Unknown[metrics.Queue]("denied"), metrics.Known(metrics.Queue{}, u.now.Add(-time.Minute)).Failed("away"),
		}).Draw(t, "queue")
		plan, _ := Decide(u.now, u.group, u.snapshot, u.ledger)
		p := plan.Workloads[i]
		held := min(p.Replicas, p.Ceiling)
		if p.Target < held || p.Replicas > 0 && !p.Active {
			t.Fatalf("%d replicas and a ceiling of %d: target %d, active %v", p.Replicas, p.Ceiling, p.Target, p.Active)
		}
		if p.Failure != "" || p.Replicas == 0 {
			return // KEDA's fallback applies, or there is nothing to scale in
		}
		follow := follower(t, float64(u.fleets[i].tol)/1000)
		if got := follow(p.Replicas, hpa.Value(p.Value)); w.Mode != Observe && got < min(p.Replicas, max(1, held)) {
			t.Fatalf("%d replicas and a ceiling of %d: told %v the HPA goes to %d", p.Replicas, p.Ceiling, p.Value, got)
		}
	})
}

// TestMoreHeadroomNeverGivesFewerPods is about a workload that is alone.
func TestMoreHeadroomNeverGivesFewerPods(t *testing.T) {
	often(t, func(t *rapid.T) {
		u := drawPast(t, 1)
		before, _ := Decide(u.now, u.group, u.snapshot, u.ledger)
		more := between(t, 1, 30, "more")
		d := between(t, 0, len(u.group.Databases)-1, "database")
		what := rapid.SampledFrom([]string{"limit", "others", "reserve"}).Draw(t, "what")
		for i, database := range u.group.Databases {
			if data, _ := u.snapshot.Databases[database.ID].Last(); data.Full && u.leads[i] == u.leads[d] {
				what = "reserve" // a larger limit that is full all the same is not more headroom
			}
		}
		edit := func(data metrics.Database) metrics.Database {
			data.Constraints, data.Sessions = slices.Clone(data.Constraints), slices.Clone(data.Sessions)
			switch what {
			case "limit":
				for i := range data.Constraints {
					data.Constraints[i].Limit += more
				}
			case "others":
				for i := range data.Sessions {
					if data.Sessions[i].User == "web" {
						data.Sessions[i].Count = max(0, data.Sessions[i].Count-more)
					}
				}
			}
			return data
		}
		for i, database := range u.group.Databases {
			if u.leads[i] != u.leads[d] {
				continue
			}
			if what == "reserve" {
				u.group.Databases[i].Reserve = intorpercent.Count(0)
			}
			r := u.snapshot.Databases[database.ID]
			if data, known := r.Last(); known {
				u.snapshot.Databases[database.ID] = metrics.Known(edit(data), r.Began())
			}
			if m, ok := u.ledger.Databases[database.ID]; ok {
				m.Last = edit(m.Last)
				u.ledger.Databases[database.ID] = m
			}
		}
		after, _ := Decide(u.now, u.group, u.snapshot, u.ledger)
		a, b := before.Workloads[0], after.Workloads[0]
		if b.Target < a.Target || b.Ceiling < a.Ceiling || len(b.Admissions) < len(a.Admissions) {
			t.Fatalf("%d more %s:\n%sadmits %d of ceiling %d, before\n%sadmits %d of ceiling %d", more, what, Describe(b), len(b.Admissions), b.Ceiling, Describe(a), len(a.Admissions), a.Ceiling)
		}
	})
}

// TestMonotoneInBacklog: more messages never get fewer pods. With an objective that
// is so as long as they are not taken to be younger: the more there are, the more must
// have come since somebody looked, and what is known to be young can wait.
func TestMonotoneInBacklog(t *testing.T) {
	often(t, func(t *rapid.T) {
		u := drawPast(t, 3)
		i := between(t, 0, len(u.group.Workloads)-1, "whose queue")
		id := u.group.Workloads[i].ID
		counts := rapid.OneOf(rapid.Int64Range(0, 80), rapid.Int64Range(math.MaxInt64-3, math.MaxInt64))
		q := metrics.Queue{Visible: counts.Draw(t, "visible"), InFlight: counts.Draw(t, "in flight"), Delayed: counts.Draw(t, "delayed")}
		target := func(q metrics.Queue) WorkloadPlan {
			s := u.snapshot
			s.Queues = with(s.Queues, id, metrics.Known(q, u.now))
			plan, _ := Decide(u.now, u.group, s, u.ledger)
			return plan.Workloads[i]
		}
		less := target(q)
		more := q
		for _, n := range []*int64{&more.Visible, &more.InFlight, &more.Delayed} {
			*n += rapid.Int64Range(0, min(40, math.MaxInt64-*n)).Draw(t, "more")
		}
		got := target(more)
		if younger(got.Demand.Objective, less.Demand.Objective) {
			return
		}
		if got.Target < less.Target {
			t.Fatalf("%+v gives %d, more messages %+v give %d\n%s%s", q, less.Target, more, got.Target, Describe(less), Describe(got))
		}
	})
}

// younger reports whether the objective takes the oldest message for younger than another
// does, or knows how old it is where the other does not.
func younger(a, b *ObjectivePlan) bool {
	if a == nil || b == nil {
		return false
	}
	return a.Age.Known && !b.Age.Known || a.Age.Seconds+a.Age.Uncertainty < b.Age.Seconds+b.Age.Uncertainty
}

// TestDeterministic: the same inputs give the same bytes, in whatever order maps
// are walked, also after they were written down and read again; and no input is
// changed.
func TestDeterministic(t *testing.T) {
	type inputs struct {
		Group    Group    `json:"group"`
		Snapshot Snapshot `json:"snapshot"`
		Ledger   Ledger   `json:"ledger"`
	}
	type outputs struct {
		Plan   Plan   `json:"plan"`
		Ledger Ledger `json:"ledger"`
	}
	text := func(t *rapid.T, v any) string {
		data, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	often(t, func(t *rapid.T) {
		u := drawPast(t, 3)
		in := text(t, inputs{u.group, u.snapshot, u.ledger})
		plan, ledger := Decide(u.now, u.group, u.snapshot, u.ledger)
		first := text(t, outputs{plan, ledger})
		if after := text(t, inputs{u.group, u.snapshot, u.ledger}); after != in {
			t.Fatalf("the inputs were changed:\n%s", cmp.Diff(in, after))
		}
		for range 3 {
			var again inputs
			if err := json.Unmarshal([]byte(in), &again); err != nil {
				t.Fatal(err)
			}
			plan, ledger := Decide(u.now, again.Group, again.Snapshot, again.Ledger)
			if got := text(t, outputs{plan, ledger}); got != first {
				t.Fatalf("another time it is decided otherwise:\n%s", cmp.Diff(first, got))
			}
		}
	})
}

// TestRestartNeverPromisesMore: whoever takes over knows less, and promises no
// more for it. It begins with readings of its own, after the gate's fence has
// settled the earlier admissions: all of them came true. Where the past of others
// outlives a process, so must what a workload's pods were counted as, what KEDA was
// told and what was learned of its queue; else everything is forgotten, and nothing
// promised for a window. What CloudWatch tells of the minute in which nobody watched
// teaches only those who did: they are compared as if they hadn't.
func TestRestartNeverPromisesMore(t *testing.T) {
	often(t, func(t *rapid.T) {
		u := drawPast(t, 3)
		u.read(t, false)
		u.decide()
		for _, f := range u.fleets {
			for _, p := range f.pods {
				if issued, ok := u.issued[p.UID]; ok && p.Gated {
					p.Gated, p.Grant = false, issued.grants
				}
				delete(u.issued, p.UID)
			}
		}
		restart := u.now
		u.now = u.now.Add(2 * time.Second)
		u.read(t, false)
		u.notice()
		for id, r := range u.snapshot.Databases {
			if !r.Began().After(restart) {
				u.snapshot.Databases[id] = metrics.Unknown[metrics.Database]("away")
			}
		}
		watched := Ledger{Databases: u.ledger.Databases, Workloads: maps.Clone(u.ledger.Workloads)}
		kept := map[metrics.ID]WorkloadMemory{}
		for id, m := range u.ledger.Workloads {
			flow := m.Flow.Kept().Resume(u.now)
			kept[id] = WorkloadMemory{PerPod: m.PerPod, Pods: m.Pods, Departed: m.Departed, Ghosts: m.Ghosts, Told: m.Told, Flow: flow}
			if points, _ := u.snapshot.Points[id].Last(); tells(points, m.Flow.At) {
				m.Flow.Resumed = flow.Resumed
				watched.Workloads[id] = m
			}
		}
		stayed, _ := Decide(u.now, u.group, u.snapshot, watched)
		for _, lost := range []struct {
			what string
			left Ledger
		}{{"demand, admissions and what was carried", Ledger{Databases: u.ledger.Databases, Workloads: kept}}, {"everything", Ledger{}}} {
			plan, _ := Decide(u.now, u.group, u.snapshot, lost.left)
			if breach := u.breach(plan); breach != "" {
				t.Fatalf("with %s forgotten: %s", lost.what, breach)
			}
			for i, w := range plan.Workloads {
				before := stayed.Workloads[i]
				if lost.left.Databases == nil && (w.Target > w.Replicas || w.Replicas == 0 && w.Active || len(w.Admissions) > 0) {
					t.Fatalf("with everything forgotten:\n%sactive %v, admits %d", Describe(w), w.Active, len(w.Admissions))
				}
				if w.Target > max(before.Target, w.Replicas) || len(w.Admissions) > len(before.Admissions) {
					t.Fatalf("with %s forgotten:\n%sadmits %d, else\n%sadmits %d", lost.what, Describe(w), len(w.Admissions), Describe(before), len(before.Admissions))
				}
			}
		}
	})
}

// tells reports whether CloudWatch has published anything of the minute of t, or later.
func tells(points metrics.Points, t time.Time) bool {
	return slices.ContainsFunc(points.Minutes, func(m metrics.Minute) bool { return !m.Start.Before(t.Truncate(time.Minute)) })
}
