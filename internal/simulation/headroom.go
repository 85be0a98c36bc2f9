package simulation

import (
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/internal/hpa"
	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// sample is the truth behind one reading of the server.
type sample struct {
	began, taken time.Time
	limit        int
	others       int
	conns        map[string]int // by pod
}

// reading is a reading of the server on its way.
type reading struct {
	name    metrics.ID
	taken   time.Time
	deliver time.Time
	truth   *sample
	data    metrics.Database
	failed  string
}

// basis is what a plan could rest on: the truth behind the newest reading that it
// accepted, by name.
type basis struct {
	at      time.Time
	samples map[metrics.ID]*sample
	high    int // the most that others were, in samples accepted within the window
	watched time.Duration
	carried []int // pods past the gate or on their way, by fleet, when the name's last good plan was made
	good    []bool
}

// answer is what Headroom says of one workload, with what that rests on.
type answer struct {
	plan  policy.WorkloadPlan
	basis *basis
	ok    bool
}

// patch is an admission on its way to the API server.
type patch struct {
	at     time.Time
	fleet  int
	a      policy.Admission
	basis  *basis
	failed bool
}

// headroom is everything between the world and policy.Decide.
type headroom struct {
	w      *world
	group  policy.Group
	names  []metrics.ID
	ledger policy.Ledger

	databases map[metrics.ID]metrics.Reading[metrics.Database]
	queues    map[metrics.ID]metrics.Reading[metrics.Queue]
	fleets    map[metrics.ID]metrics.Reading[metrics.Fleet]
	truths    map[metrics.ID]*sample
	accepted  []*sample
	first     time.Time // of the unbroken watch of others
	carried   []int
	issued    map[string]time.Time // admissions, by pod

	reads   []*reading
	patches []patch
	history []states
	next    map[metrics.ID]time.Time
	plan    *policy.Plan
	basis   *basis

	downUntil, dbAway, demoted time.Time
	queueAway                  []time.Time
	kicked                     bool
}

// patchLife is how long an admission may take to come true, as policy has it.
const patchLife = 45 * time.Second

// states is what the API server said at one time.
type states struct {
	at     time.Time
	fleets []metrics.Fleet
	passed []int
}

func newHeadroom(w *world) *headroom {
	h := &headroom{w: w, databases: map[metrics.ID]metrics.Reading[metrics.Database]{}, queues: map[metrics.ID]metrics.Reading[metrics.Queue]{},
		fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{}, truths: map[metrics.ID]*sample{}, next: map[metrics.ID]time.Time{},
		queueAway: make([]time.Time, len(w.fleets)), carried: make([]int, len(w.fleets)), issued: map[string]time.Time{}}
	set := policy.Set{}
	for i, name := range []string{"a", "b"} {
		if i == 1 && (!w.s.TwoNames || len(w.fleets) < 2) {
			break
		}
		id := metrics.ID{Namespace: "data", Name: name}
		h.names = append(h.names, id)
		set.Databases = append(set.Databases, policy.Database{ID: id, Reserve: intorpercent.Count(w.s.Reserve), OthersWindow: w.s.Window,
			PollInterval: w.s.ReadEvery, MaxReadingAge: 3*w.s.ReadEvery + w.s.ReadTakes})
	}
	for i, d := range w.fleets {
		set.Workloads = append(set.Workloads, policy.Workload{ID: workloadID(i), Mode: d.Mode, Priority: d.Priority, MinReplicas: d.Min,
			Databases:    []policy.Use{{Database: w.database(i), User: "worker", DatabaseName: "orders", ApplicationName: fmt.Sprintf("fleet-%d", i), ConnectionsPerPod: d.Declared}},
			SQS:          &policy.SQS{QueueName: "q", MessagesPerPod: d.PerPod, StaleAfter: 10 * time.Second, ErrorAfter: 40 * time.Second},
			ReadyTimeout: time.Minute, ScaleDownStabilization: 5 * time.Second})
	}
	// All names are decided together, as they are once they are known to be one
	// server; the planner's first plan, before that, can promise nothing.
	h.group = policy.Group{Databases: set.Databases, Workloads: set.Workloads}
	return h
}

func workloadID(i int) metrics.ID {
	return metrics.ID{Namespace: "shop", Name: fmt.Sprintf("fleet-%d", i)}
}

// restart forgets what a process forgets; bare forgets what it wrote down, too.
func (h *headroom) restart(until time.Time, bare bool) {
	h.downUntil, h.plan = until, nil
	h.reads, h.patches = nil, nil
	clear(h.issued)
	clear(h.databases)
	clear(h.queues)
	clear(h.fleets)
	clear(h.truths)
	if bare {
		h.ledger, h.accepted, h.first = policy.Ledger{}, nil, time.Time{}
		return
	}
	h.ledger = policy.Ledger{Databases: h.ledger.Databases}
}

// observe lets readings begin, be taken and arrive.
func (h *headroom) observe() {
	w := h.w
	now := states{at: w.now}
	for _, d := range w.fleets {
		now.fleets = append(now.fleets, w.state(d))
		passed := 0
		for _, p := range d.pods {
			if !p.gated {
				passed++
			}
		}
		now.passed = append(now.passed, passed)
	}
	h.history = append(h.history, now)
	for len(h.history) > 2 && w.now.Sub(h.history[1].at) > w.s.WatchLag+tick {
		h.history = h.history[1:]
	}
	if w.now.Before(h.downUntil) {
		return
	}
	for _, name := range h.names {
		if w.now.Before(h.next[name]) {
			continue
		}
		h.next[name] = w.now.Add(w.s.ReadEvery)
		h.reads = append(h.reads, &reading{name: name, taken: w.now.Add(time.Duration(w.rand.Int64N(int64(w.s.ReadTakes) + 1))),
			deliver: w.now.Add(w.s.ReadTakes), truth: &sample{began: w.now}})
	}
	var left []*reading
	for _, r := range h.reads {
		if r.truth.taken.IsZero() && !w.now.Before(r.taken) {
			h.take(r)
		}
		if w.now.Before(r.deliver) || r.truth.taken.IsZero() {
			left = append(left, r)
			continue
		}
		if r.failed != "" {
			h.databases[r.name] = h.databases[r.name].Failed(r.failed)
			continue
		}
		h.databases[r.name] = metrics.Known(r.data, r.truth.began)
		h.truths[r.name] = r.truth
	}
	h.reads = left
	for i, d := range w.fleets {
		id := workloadID(i)
		if w.now.Before(h.queueAway[i]) {
			h.queues[id] = h.queues[id].Failed("away")
		} else {
			h.queues[id] = metrics.Known(metrics.Queue{Visible: int64(d.backlog)}, w.now)
		}
		if w.now.Before(w.apiAway) {
			h.fleets[id] = h.fleets[id].Failed("away")
			continue
		}
		seen := h.history[0]
		if _, known := h.fleets[id].Last(); !known {
			seen = now // the first list is a quorum read
		}
		if seen.at.After(h.fleets[id].Began()) {
			h.fleets[id] = metrics.Known(seen.fleets[i], seen.at)
		}
	}
}

// take is the moment at which the server answers.
func (h *headroom) take(r *reading) {
	w := h.w
	r.truth.taken, r.truth.limit, r.truth.others, r.truth.conns = w.now, w.limit, w.others, map[string]int{}
	for _, d := range w.fleets {
		for _, p := range d.pods {
			r.truth.conns[p.uid] = p.conns
		}
	}
	switch {
	case w.now.Before(h.dbAway):
		r.failed = "away"
	case h.kicked && w.held()+w.others >= w.limit:
		r.data = metrics.Database{Full: true}
		w.turnedAway = w.now
	default:
		h.kicked = false
		r.data = w.read()
		if w.now.Before(h.demoted) {
			r.data.ReadOnly = true
			r.data.Sessions = nil
		}
	}
}

// decide makes a plan and sends its admissions off.
func (h *headroom) decide() {
	w := h.w
	if w.now.Before(h.downUntil) {
		return
	}
	plan, ledger := policy.Decide(w.now, h.group, policy.Snapshot{Databases: h.databases, Queues: h.queues, Fleets: h.fleets}, h.ledger)
	h.ledger = ledger
	h.plan = &plan
	h.basis = h.restsOn(plan)
	for i, p := range plan.Workloads {
		for _, a := range p.Admissions {
			h.issued[a.UID] = w.now
			h.patches = append(h.patches, patch{at: w.now.Add(time.Duration(w.rand.Int64N(int64(w.s.PatchTakes) + 1))), fleet: i, a: a, basis: h.basis,
				failed: w.rand.Float64() < w.s.PatchFails})
		}
	}
}

// restsOn finds the truth that a plan could know.
func (h *headroom) restsOn(plan policy.Plan) *basis {
	w := h.w
	b := &basis{at: w.now, samples: map[metrics.ID]*sample{}, good: make([]bool, len(w.fleets))}
	var speaks *sample // the newest, by whichever name
	var full, starting bool
	for _, d := range plan.Databases {
		starting = starting || d.Starting != "" // a gap in the watch begins it anew
		truth := h.truths[d.ID]
		if d.Unknown != "" || truth == nil {
			continue
		}
		b.samples[d.ID] = truth
		if speaks == nil || truth.began.After(speaks.began) {
			data, _ := h.databases[d.ID].Last()
			speaks, full = truth, data.Full
		}
	}
	if speaks != nil && !full {
		h.accepted = append(h.accepted, speaks)
		if h.first.IsZero() {
			h.first = speaks.began
		}
	}
	kept := h.accepted[:0]
	for _, s := range h.accepted {
		if w.now.Sub(s.began) <= w.s.Window {
			kept = append(kept, s)
			b.high = max(b.high, s.others)
		}
	}
	h.accepted = kept
	if !h.first.IsZero() {
		b.watched = w.now.Sub(h.first)
	}
	for i := range w.fleets {
		passed := h.history[len(h.history)-1].passed[i]
		for _, s := range h.history {
			passed = max(passed, s.passed[i])
		}
		// An admission that did not come true yet may still do so.
		pending := func(uid string, gated bool) bool {
			issued, ok := h.issued[uid]
			return ok && gated && w.now.Sub(issued) <= patchLife
		}
		for _, p := range w.fleets[i].pods {
			if pending(p.uid, p.gated) {
				passed++
			}
		}
		known := 0 // by the API server's last word, which may be older still
		state, _ := h.fleets[workloadID(i)].Last()
		for _, p := range state.Pods {
			if p.Holds() || pending(p.UID, p.Gated) {
				known++
			}
		}
		passed = max(passed, known)
		for _, a := range plan.Workloads[i].Admissions {
			if _, ok := h.issued[a.UID]; !ok {
				passed++
			}
		}
		b.good[i] = b.samples[w.database(i)] != nil && b.watched >= w.s.Window && !starting
		if b.good[i] || h.carried[i] == 0 {
			h.carried[i] = passed
		} else if b.samples[w.database(i)] != nil {
			h.carried[i] = max(h.carried[i], passed)
		}
	}
	b.carried = append([]int(nil), h.carried...)
	return b
}

// says is what KEDA hears of a workload now.
func (h *headroom) says(i int) answer {
	if h.plan == nil || h.w.now.Before(h.downUntil) {
		return answer{}
	}
	p := h.plan.Workloads[i]
	return answer{plan: p, basis: h.basis, ok: p.Failure == ""}
}

// scale is KEDA and the HPA: they ask, and act some time later.
func (h *headroom) scale(d *workload) {
	w := h.w
	if w.now.Before(w.apiAway) {
		return
	}
	said := h.says(d.index)
	after := w.now.Add(time.Duration(w.rand.Int64N(int64(w.s.ActTakes) + 1)))
	if d.spec == 0 && said.ok && said.plan.Active && len(d.pending) == 0 {
		d.pending = append(d.pending, write{at: after, answer: said, activate: true})
	}
	if !w.now.Before(d.nextSync) {
		d.nextSync = w.now.Add(hpa.SyncPeriod)
		d.pending = append(d.pending, write{at: after, answer: said})
	}
}

// wrote is what a write of spec.replicas would set it to.
func (w *world) wrote(d *workload, x write) int {
	if x.activate {
		if d.spec > 0 {
			return d.spec
		}
		return max(1, d.Min)
	}
	metric := hpa.Failed(fmt.Errorf("no answer"))
	if x.answer.ok {
		metric = hpa.Value(x.answer.plan.Value)
	}
	status := 0
	for _, p := range d.pods {
		if p.until.IsZero() {
			status++
		}
	}
	return d.hpa.Sync(w.now, d.spec, status, metric)
}
