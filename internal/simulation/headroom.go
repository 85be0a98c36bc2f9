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

// answer is what Headroom says of one workload, with what that rests on.
type answer struct {
	plan  policy.WorkloadPlan
	basis *basis
	ok    bool
}

// headroom is one process: everything between the world and policy.Decide.
type headroom struct {
	w      *world
	id     int
	group  *policy.Group
	names  []metrics.ID
	ledger policy.Ledger

	databases map[metrics.ID]metrics.Reading[metrics.Database]
	queues    map[metrics.ID]metrics.Reading[metrics.Queue]
	fleets    map[metrics.ID]metrics.Reading[metrics.Fleet]
	truths    map[metrics.ID]*sample
	watch     watch // of others
	carried   []int
	issued    map[string]int       // versions of the pods that it let through
	underWay  map[string]time.Time // requests, by pod, until they are given up

	reads []*reading
	next  map[metrics.ID]time.Time
	plan  *policy.Plan
	basis *basis

	downUntil   time.Time
	pausedUntil time.Time
	pauseFor    time.Duration // from after the next plan
	kicked      bool          // its connection to the server was closed
	candidacy
}

// written is what outlives a process.
type written struct {
	ledger policy.Ledger
	watch  watch
}

// states is what the API server said at one time.
type states struct {
	at     time.Time
	fleets []metrics.Fleet
	passed []int
}

// groupOf is the policy of a world.
func groupOf(w *world) (*policy.Group, []metrics.ID) {
	var names []metrics.ID
	group := &policy.Group{}
	for i, name := range []string{"a", "b"} {
		if i == 1 && (!w.s.TwoNames || len(w.fleets) < 2) {
			break
		}
		id := metrics.ID{Namespace: "data", Name: name}
		names = append(names, id)
		group.Databases = append(group.Databases, policy.Database{ID: id, Reserve: intorpercent.Count(w.s.Reserve), OthersWindow: w.s.Window,
			PollInterval: w.s.ReadEvery, MaxReadingAge: 3*w.s.ReadEvery + w.s.ReadTakes})
	}
	// All names are decided together, as they are once they are known to be one
	// server; the planner's first plan, before that, can promise nothing.
	for i, d := range w.fleets {
		group.Workloads = append(group.Workloads, policy.Workload{ID: workloadID(i), Mode: d.Mode, Priority: d.Priority, MinReplicas: d.Min,
			Databases:    []policy.Use{{Database: w.database(i), User: "worker", DatabaseName: "orders", ApplicationName: fmt.Sprintf("fleet-%d", i), ConnectionsPerPod: d.Declared}},
			SQS:          &policy.SQS{QueueName: "q", MessagesPerPod: d.PerPod, StaleAfter: 10 * time.Second, ErrorAfter: 40 * time.Second},
			ReadyTimeout: time.Minute, ScaleDownStabilization: 5 * time.Second,
			Shedding: policy.Shedding{Enabled: d.Sheds, MinReplicas: d.Min}})
	}
	return group, names
}

func newHeadroom(w *world, id int) *headroom {
	h := &headroom{w: w, id: id, next: map[metrics.ID]time.Time{}}
	h.group, h.names = w.group, w.names
	h.forget()
	return h
}

func workloadID(i int) metrics.ID {
	return metrics.ID{Namespace: "shop", Name: fmt.Sprintf("fleet-%d", i)}
}

// forget is what a process knows that has just started.
func (h *headroom) forget() {
	h.databases = map[metrics.ID]metrics.Reading[metrics.Database]{}
	h.queues = map[metrics.ID]metrics.Reading[metrics.Queue]{}
	h.fleets = map[metrics.ID]metrics.Reading[metrics.Fleet]{}
	h.truths = map[metrics.ID]*sample{}
	h.issued, h.underWay = map[string]int{}, map[string]time.Time{}
	h.carried = make([]int, len(h.w.fleets))
	h.plan, h.basis, h.reads = nil, nil, nil
	h.ledger, h.watch = policy.Ledger{}, watch{}
	h.candidacy = candidacy{}
}

// restart ends the process. Another comes in its place.
func (h *headroom) restart(until time.Time) {
	h.forget()
	h.downUntil, h.pausedUntil = until, time.Time{}
}

// runs reports whether the process does anything at all now.
func (h *headroom) runs() bool {
	return !h.w.now.Before(h.downUntil) && !h.w.now.Before(h.pausedUntil)
}

// load reads what was written down.
func (h *headroom) load() {
	h.ledger = policy.Ledger{Databases: map[metrics.ID]policy.DatabaseMemory{}, Workloads: map[metrics.ID]policy.WorkloadMemory{}}
	for id, m := range h.w.written.ledger.Databases {
		h.ledger.Databases[id] = policy.DatabaseMemory{Server: m.Server, Last: m.Last, Others: m.Others}
	}
	for id, m := range h.w.written.ledger.Workloads {
		h.ledger.Workloads[id] = policy.WorkloadMemory{PerPod: m.PerPod, Told: m.Told}
	}
	h.watch = h.w.written.watch
}

// observe lets readings begin, be taken and arrive.
func (h *headroom) observe() {
	w := h.w
	if !h.runs() {
		return
	}
	for i := range w.fleets {
		id := workloadID(i)
		if w.now.Before(w.apiAway) {
			h.fleets[id] = h.fleets[id].Failed("away")
			continue
		}
		seen := w.history[0]
		if _, known := h.fleets[id].Last(); !known {
			seen = w.history[len(w.history)-1] // the first list is a quorum read
		}
		if seen.at.After(h.fleets[id].Began()) {
			h.fleets[id] = metrics.Known(seen.fleets[i], seen.at)
		}
	}
	if !h.leads {
		return // followers read nothing else
	}
	for _, name := range h.names {
		if w.now.Before(h.next[name]) {
			continue
		}
		h.next[name] = w.now.Add(w.s.ReadEvery)
		h.reads = append(h.reads, &reading{name: name, taken: w.now.Add(time.Duration(w.rand.Int64N(int64(w.s.ReadTakes) + 1))),
			deliver: w.now.Add(w.s.ReadTakes), truth: &sample{began: w.now}})
	}
	left := h.reads[:0]
	for _, r := range h.reads {
		if r.truth.taken.IsZero() && !w.now.Before(r.taken) {
			h.take(r)
		}
		switch {
		case w.now.Before(r.deliver) || r.truth.taken.IsZero():
			left = append(left, r)
		case r.failed != "":
			h.databases[r.name] = h.databases[r.name].Failed(r.failed)
		default:
			h.databases[r.name] = metrics.Known(r.data, r.truth.began)
			h.truths[r.name] = r.truth
		}
	}
	h.reads = left
	for i, d := range w.fleets {
		id := workloadID(i)
		if w.now.Before(w.queueAway[i]) {
			h.queues[id] = h.queues[id].Failed("away")
		} else {
			h.queues[id] = metrics.Known(metrics.Queue{Visible: int64(d.backlog)}, w.now)
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
	case w.now.Before(w.dbAway):
		r.failed = "away"
	case h.kicked && w.held()+w.others >= w.limit:
		r.data = metrics.Database{Full: true}
		w.turnedAway = w.now
	default:
		h.kicked = false
		r.data = w.read()
		if w.now.Before(w.demoted) {
			r.data.ReadOnly = true
			r.data.Sessions = nil
		}
	}
}

// decide makes a plan and sends off what it wants done.
func (h *headroom) decide() {
	w := h.w
	if !h.runs() || !h.leads {
		return
	}
	if !w.now.Before(w.apiAway) { // what is written down is of the plan before
		w.written = written{ledger: h.ledger, watch: h.watch.clone()}
	}
	s := policy.Snapshot{Databases: h.databases, Queues: h.queues, Fleets: h.fleets}
	if h.ready && h.fresh(w.now) {
		s.Epoch = h.term
	}
	plan, ledger := policy.Decide(w.now, *h.group, s, h.ledger)
	h.ledger = ledger
	h.plan = &plan
	h.basis = h.restsOn(plan)
	for len(w.bases) > 0 && w.now.Sub(w.bases[0].at) > longestPatch+tick {
		w.bases = w.bases[1:]
	}
	w.bases = append(w.bases, h.basis)
	h.send(plan)
}

// says is what KEDA hears of a workload now: from the process that is published.
func (w *world) says(i int) answer {
	for _, h := range w.processes {
		if w.lease.holder != h.id || !h.leads || !h.runs() || h.plan == nil {
			continue
		}
		p := h.plan.Workloads[i]
		return answer{plan: p, basis: h.basis, ok: p.Failure == ""}
	}
	return answer{}
}

// scale is KEDA and the HPA: they ask, and act some time later.
func (w *world) scale(d *workload) {
	if w.now.Before(w.apiAway) {
		return
	}
	said := w.says(d.index)
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
