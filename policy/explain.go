package policy

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// Explanation is a decision with what would have changed it.
type Explanation struct {
	At time.Time `json:"at"`
	// Plan is the workload's part of the decision, Databases the accounts of
	// the databases it uses.
	Plan      WorkloadPlan   `json:"plan"`
	Databases []DatabasePlan `json:"databases"`
	// Changes are, for each input for which there is one, the smallest change
	// of it alone that raises the target by at least one replica.
	Changes []Change `json:"changes"`
}

// Change is a change of one input.
type Change struct {
	Input    string `json:"input"` // for example "limit platform/orders-db server"
	Unit     string `json:"unit"`  // messages, connections, percent, replicas, or "" for a priority
	From     int64  `json:"from"`
	To       int64  `json:"to"`
	Target   int    `json:"target"` // the target with this change
	Sentence string `json:"sentence"`
}

// input is something that can be changed, in steps that never lower the target.
type input struct {
	name, unit string
	from       int64
	sign       int64 // which way helps
	most       int64 // steps that make sense
	apply      func(value int64, g Group, s Snapshot, l Ledger) (Group, Snapshot, Ledger)
}

// Explain makes the decision for one workload again and finds the smallest
// change of each input that would add a replica, by deciding with the change
// made. Arguments are those of [Decide]; ok is false where the group has no such
// workload.
func Explain(now time.Time, g Group, s Snapshot, l Ledger, workload metrics.ID) (e Explanation, ok bool) {
	w, ok := g.Workload(workload)
	if !ok {
		return Explanation{}, false
	}
	plan, _ := Decide(now, g, s, l)
	e.At = now
	e.Plan, _ = plan.Workload(workload)
	for _, d := range plan.Databases {
		if slices.ContainsFunc(w.Databases, func(u Use) bool { return u.Database == d.ID }) {
			e.Databases = append(e.Databases, d)
		}
	}
	for _, in := range inputs(think(now, g, s, l), w, s) {
		if change, found := in.smallest(now, g, s, l, workload, e.Plan.Target); found {
			e.Changes = append(e.Changes, change)
		}
	}
	return e, true
}

// smallest finds the fewest steps of the input that raise the target above base.
func (in input) smallest(now time.Time, g Group, s Snapshot, l Ledger, workload metrics.ID, base int) (Change, bool) {
	target := func(steps int64) int {
		cg, cs, cl := in.apply(in.from+in.sign*steps, g, s, l)
		plan, _ := Decide(now, cg, cs, cl)
		w, _ := plan.Workload(workload)
		return w.Target
	}
	if in.most < 1 {
		return Change{}, false
	}
	low, high := int64(0), int64(1) // target(low) ≤ base
	for target(high) <= base {
		if high >= in.most {
			return Change{}, false
		}
		low, high = high, min(high*2, in.most)
	}
	for high-low > 1 {
		if mid := low + (high-low)/2; target(mid) > base {
			high = mid
		} else {
			low = mid
		}
	}
	c := Change{Input: in.name, Unit: in.unit, From: in.from, To: in.from + in.sign*high, Target: target(high)}
	unit := ""
	if c.Unit != "" {
		unit = " " + c.Unit
	}
	c.Sentence = fmt.Sprintf("%s %d instead of %d%s gives %s", c.Input, c.To, c.From, unit, replicas(c.Target))
	return c, true
}

// inputs lists what can be changed about a workload's decision.
func inputs(t thought, w Workload, s Snapshot) []input {
	i := slices.IndexFunc(t.fleets, func(f *fleet) bool { return f.ID == w.ID })
	f := t.fleets[i]
	list := []input{backlogInput(w, s.Queues[w.ID]), maxReplicasInput(f), minReplicasInput(f), priorityInput(f)}
	for _, u := range f.uses {
		if u.server.unknown == "" {
			list = append(list, perPodInput(w.ID, u))
		}
	}
	for _, sv := range t.servers {
		if slices.ContainsFunc(f.uses, func(u use) bool { return u.server == sv && sv.unknown == "" }) {
			list = append(list, reserveInput(sv))
		}
	}
	for _, c := range t.constraints {
		if f.fits[c.index] {
			list = append(list, limitInput(c), sessionsInput(c, "others", max(c.Others, c.OthersHighWater), c.server.others), sessionsInput(c, "ghosts", c.Ghosts, c.server.ghosts))
		}
	}
	return list
}

// farAway bounds how far an input is changed.
const farAway = 1_000_000_000

func backlogInput(w Workload, r metrics.Reading[metrics.Queue]) input {
	q, known := r.Last()
	if !known {
		return input{}
	}
	return input{name: "messages visible", unit: "messages", from: q.Visible, sign: 1, most: farAway, apply: func(value int64, g Group, s Snapshot, l Ledger) (Group, Snapshot, Ledger) {
		q := q
		q.Visible = value
		s.Queues = with(s.Queues, w.ID, metrics.Known(q, r.Began()))
		return g, s, l
	}}
}

func maxReplicasInput(f *fleet) input {
	return input{name: "maxReplicas", unit: "replicas", from: int64(f.hi), sign: 1, most: int64(maxReplicas - f.hi), apply: func(value int64, g Group, s Snapshot, l Ledger) (Group, Snapshot, Ledger) {
		most := int(value)
		s = withFleet(s, f.ID, func(state *metrics.Fleet) { state.MaxReplicas = most })
		return withWorkload(g, f.ID, func(w *Workload) { w.MaxReplicas = &most }), s, l
	}}
}

func minReplicasInput(f *fleet) input {
	return input{name: "minReplicas", unit: "replicas", from: int64(f.lo), sign: 1, most: int64(f.hi - f.lo), apply: func(value int64, g Group, s Snapshot, l Ledger) (Group, Snapshot, Ledger) {
		return withWorkload(g, f.ID, func(w *Workload) { w.MinReplicas = int(value) }), s, l
	}}
}

func priorityInput(f *fleet) input {
	return input{name: "priority", from: int64(f.Priority), sign: 1, most: farAway, apply: func(value int64, g Group, s Snapshot, l Ledger) (Group, Snapshot, Ledger) {
		return withWorkload(g, f.ID, func(w *Workload) { w.Priority = int(value) }), s, l
	}}
}

func perPodInput(id metrics.ID, u use) input {
	return input{name: "connectionsPerPod on " + u.Database.String(), unit: "connections", from: int64(u.ConnectionsPerPod), sign: -1, most: int64(u.ConnectionsPerPod - 1), apply: func(value int64, g Group, s Snapshot, l Ledger) (Group, Snapshot, Ledger) {
		return withWorkload(g, id, func(w *Workload) {
			w.Databases = slices.Clone(w.Databases)
			for i := range w.Databases {
				if w.Databases[i].Database == u.Database {
					w.Databases[i].ConnectionsPerPod = int(value)
				}
			}
		}), s, l
	}}
}

func limitInput(c *constraint) input {
	return input{name: "limit " + c.label(), unit: "connections", from: int64(c.Limit), sign: 1, most: farAway, apply: func(value int64, g Group, s Snapshot, l Ledger) (Group, Snapshot, Ledger) {
		s, l = withReading(c.server, s, l, func(d *metrics.Database) {
			d.Constraints = slices.Clone(d.Constraints)
			for i := range d.Constraints {
				if d.Constraints[i].Name == c.Name {
					d.Constraints[i].Limit = int(value)
				}
			}
		})
		return g, s, l
	}}
}

// reserveInput lowers the reserve of a server, as its policy gives it: in
// connections or in percent. Of several names the largest counts.
func reserveInput(sv *server) input {
	const whole = 1_000_000 // to compare percentages with counts where there is no limit
	limit := whole
	for _, c := range sv.constraints {
		if c.def.User == "" && c.def.Database == "" {
			limit = c.Limit
		}
	}
	largest := slices.MaxFunc(sv.policies, func(a, b Database) int { return a.Reserve.Up(limit) - b.Reserve.Up(limit) }).Reserve
	in := input{name: "reserve " + sv.label(), unit: "connections", from: int64(largest.Number()), sign: -1, most: int64(largest.Number())}
	value := intorpercent.Count
	if largest.IsPercent() {
		in.unit, value = "percent", intorpercent.Percent
	}
	in.apply = func(n int64, g Group, s Snapshot, l Ledger) (Group, Snapshot, Ledger) {
		lower := value(int(n))
		g.Databases = slices.Clone(g.Databases)
		for i, d := range g.Databases {
			named := slices.ContainsFunc(sv.policies, func(p Database) bool { return p.ID == d.ID })
			if named && d.Reserve.Up(limit) > lower.Up(limit) {
				g.Databases[i].Reserve = lower
			}
		}
		return g, s, l
	}
	return in
}

// sessionsInput takes sessions away: others' (and their high water) or ghosts.
// counts says how many of each group of the server's sessions are of that kind.
func sessionsInput(c *constraint, name string, from int, counts []int) input {
	return input{name: name + " " + c.label(), unit: "connections", from: int64(from), sign: -1, most: int64(from), apply: func(value int64, g Group, s Snapshot, l Ledger) (Group, Snapshot, Ledger) {
		now := 0
		for i, group := range c.server.data.Sessions {
			if i < len(counts) && c.def.Counts(group.User, group.Database) {
				now += counts[i]
			}
		}
		s, l = withReading(c.server, s, l, func(d *metrics.Database) {
			d.Sessions = slices.Clone(d.Sessions)
			for i, left := 0, now-int(value); i < len(counts) && left > 0; i++ {
				if c.def.Counts(d.Sessions[i].User, d.Sessions[i].Database) {
					n := min(left, counts[i])
					d.Sessions[i].Count -= n
					left -= n
				}
			}
		})
		if name == "others" {
			l = withHighWater(c, int(value), l)
		}
		return g, s, l
	}}
}

func with[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	out := map[K]V{}
	maps.Copy(out, m)
	out[key] = value
	return out
}

func withWorkload(g Group, id metrics.ID, edit func(*Workload)) Group {
	g.Workloads = slices.Clone(g.Workloads)
	for i := range g.Workloads {
		if g.Workloads[i].ID == id {
			edit(&g.Workloads[i])
		}
	}
	return g
}

func withFleet(s Snapshot, id metrics.ID, edit func(*metrics.Fleet)) Snapshot {
	r := s.Fleets[id]
	if state, known := r.Last(); known {
		edit(&state)
		s.Fleets = with(s.Fleets, id, metrics.Known(state, r.Began()))
	}
	return s
}

// withReading edits the reading of a server under each of its names, and what is
// remembered of it where the server is full.
func withReading(sv *server, s Snapshot, l Ledger, edit func(*metrics.Database)) (Snapshot, Ledger) {
	for _, p := range sv.policies {
		data := sv.data
		edit(&data)
		if sv.full {
			m := l.Databases[p.ID]
			m.Last = data
			l.Databases = with(l.Databases, p.ID, m)
			continue
		}
		s.Databases = with(s.Databases, p.ID, metrics.Known(data, s.Databases[p.ID].Began()))
	}
	return s, l
}

// withHighWater lowers what is remembered of others to at most value.
func withHighWater(c *constraint, value int, l Ledger) Ledger {
	for _, p := range c.server.policies {
		m := l.Databases[p.ID]
		peak := m.Others[c.Name]
		peak.Values = slices.Clone(peak.Values)
		for i := range peak.Values {
			peak.Values[i].Value = min(peak.Values[i].Value, value)
		}
		m.Others = with(m.Others, c.Name, peak)
		l.Databases = with(l.Databases, p.ID, m)
	}
	return l
}
