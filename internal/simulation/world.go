package simulation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/keda-headroom/headroom/internal/hpa"
	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

const tick = 500 * time.Millisecond

// world is what really is.
type world struct {
	s     Schedule
	rand  *rand.Rand
	start time.Time
	now   time.Time

	limit  int
	server string // identity of the running server
	others int    // connections that others hold
	wanted int    // connections that others want
	ghosts []ghost
	fleets []*workload

	group     *policy.Group // what is decided together
	names     []metrics.ID
	processes []*headroom
	lease     lease
	network   []patch
	written   written  // what outlives a process
	history   []states // of the API server, oldest first
	bases     []*basis // of the plans of the last longestPatch and more, oldest first

	refusedWorkers, refusedOthers int
	pods                          int // ever made

	dbAway, demoted time.Time // until when the monitor doesn't reach the writer
	queueAway       []time.Time

	apiAway    time.Time // until when
	turnedAway time.Time // when others, or the monitor, were last refused
	disturbed  time.Time // when pods that nobody gates last came or went by themselves
}

// ghost is connections that outlived their pod.
type ghost struct {
	address string
	fleet   int
	n       int
	until   time.Time
}

// workload is a queue, its Deployment and its HPA.
type workload struct {
	FleetSchedule
	index    int
	backlog  float64
	spec     int
	revision int64
	pods     []*simPod
	hpa      *hpa.Controller
	nextSync time.Time
	pending  []write
}

// write is a change of spec.replicas on its way.
type write struct {
	at       time.Time
	answer   answer
	activate bool
}

type simPod struct {
	uid, address string
	fleet        int
	revision     int64
	created      time.Time
	gated        bool
	version      int
	epoch        string
	grant        map[string]int
	running      time.Time // when its process starts, once it is past the gate
	until        time.Time // when it ends, zero while it is not terminating
	conns        int
	shown        [2]bool // started and ready, as the API server has it
}

func (p *simPod) started(now time.Time) bool { return !p.gated && !now.Before(p.running) }

func newWorld(s Schedule) *world {
	w := &world{s: s, rand: rand.New(rand.NewPCG(s.Seed, 1)), limit: s.Limit, wanted: s.OthersStart, others: s.OthersStart}
	w.start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w.now = w.start
	w.server = "server-0"
	w.lease.holder = -1
	w.queueAway = make([]time.Time, len(s.Fleets))
	for i, f := range s.Fleets {
		tolerance := float64(f.ToleranceMil) / 1000
		zero := time.Duration(0)
		stabilize := f.Stabilize
		controller, err := hpa.New(hpa.Options{MinReplicas: max(1, f.Min), MaxReplicas: 100, Behavior: &hpa.Behavior{
			ScaleUp:   hpa.Rules{StabilizationWindow: &zero, Tolerance: &tolerance, Policies: []hpa.Policy{{Type: hpa.Pods, Value: 1000, Period: time.Second}}},
			ScaleDown: hpa.Rules{StabilizationWindow: &stabilize, Tolerance: &tolerance, Policies: []hpa.Policy{{Type: hpa.Pods, Value: 1000, Period: time.Second}}},
		}})
		if err != nil {
			panic(err) // the options above are constant
		}
		d := &workload{FleetSchedule: f, index: i, spec: f.Start, hpa: controller, revision: 1, nextSync: w.start.Add(f.SyncOffset)}
		w.fleets = append(w.fleets, d)
		for range f.Start {
			p := w.create(d)
			p.gated, p.running, p.conns = false, w.start, d.Opens
			if d.Mode == policy.Gate {
				p.grant = map[string]int{w.database(i).String(): d.Declared}
			}
		}
	}
	w.group, w.names = groupOf(w)
	for id := range max(1, s.Replicas) {
		w.processes = append(w.processes, newHeadroom(w, id))
	}
	return w
}

// database is the name by which a fleet's pods and policy reach the server.
func (w *world) database(fleet int) metrics.ID {
	if w.s.TwoNames && fleet%2 == 1 {
		return metrics.ID{Namespace: "data", Name: "b"}
	}
	return metrics.ID{Namespace: "data", Name: "a"}
}

func (w *world) create(d *workload) *simPod {
	w.pods++
	p := &simPod{uid: fmt.Sprintf("%d-%d", d.index, w.pods), address: fmt.Sprintf("10.0.%d.%d", w.pods/250, w.pods%250), fleet: d.index,
		revision: d.revision, created: w.now, gated: d.Mode == policy.Gate, version: 1, running: w.now.Add(d.StartDelay)}
	d.pods = append(d.pods, p)
	return p
}

// held counts the connections that workers and ghosts hold.
func (w *world) held() int {
	n := 0
	for _, d := range w.fleets {
		for _, p := range d.pods {
			n += p.conns
		}
	}
	for _, g := range w.ghosts {
		n += g.n
	}
	return n
}

// accepts reports whether the server has a slot for one more worker connection.
func (w *world) accepts(worker bool) bool {
	held := w.held()
	return held+w.others < w.limit && (!worker || w.s.RoleLimit == 0 || held < w.s.RoleLimit)
}

// step lets everything but Headroom go on for one tick.
func (w *world) step() {
	w.now = w.now.Add(tick)
	w.others = min(w.others, w.wanted)
	for w.others < w.wanted {
		if !w.accepts(false) {
			w.refusedOthers++
			w.turnedAway = w.now
			break
		}
		w.others++
	}
	kept := w.ghosts[:0]
	for _, g := range w.ghosts {
		if w.now.Before(g.until) {
			kept = append(kept, g)
		}
	}
	w.ghosts = kept
	for _, d := range w.fleets {
		w.work(d)
		if w.now.Before(w.apiAway) {
			continue // nothing comes or goes without the API server
		}
		w.end(d)
		w.control(d)
	}
}

// work lets a fleet's pods open connections and take messages.
func (w *world) work(d *workload) {
	for _, p := range d.pods {
		if !p.started(w.now) {
			continue
		}
		want := d.Opens
		if d.Lazy {
			want = w.rand.IntN(d.Opens + 1)
		}
		p.conns = min(p.conns, want)
		for p.conns < want {
			if !w.accepts(true) {
				w.refusedWorkers++
				break
			}
			p.conns++
		}
		if p.conns > 0 {
			d.backlog = math.Max(0, d.backlog-d.Rate*tick.Seconds())
		}
	}
}

// end lets terminating pods go when their grace is over.
func (w *world) end(d *workload) {
	kept := d.pods[:0]
	for _, p := range d.pods {
		if p.until.IsZero() || w.now.Before(p.until) {
			kept = append(kept, p)
		}
	}
	d.pods = kept
}

// control is the Deployment's controller.
func (w *world) control(d *workload) {
	var old, fresh []*simPod
	for _, p := range d.pods {
		switch {
		case !p.until.IsZero():
		case p.revision < d.revision:
			old = append(old, p)
		default:
			fresh = append(fresh, p)
		}
	}
	surge := 0
	if len(old) > 0 {
		surge = intorpercent.Percent(d.Surge).Up(d.spec)
		w.disturb(d)
		if surge == 0 && len(old)+len(fresh) >= d.spec && d.spec > 0 {
			w.terminate(d, old[0]) // maxUnavailable 1
			old = old[1:]
		}
	}
	for len(old)+len(fresh) < d.spec+surge && len(fresh) < d.spec {
		fresh = append(fresh, w.create(d))
	}
	available := 0
	for _, p := range append(append([]*simPod{}, old...), fresh...) {
		if p.started(w.now) {
			available++
		}
	}
	for len(old) > 0 && (available > d.spec || !old[0].started(w.now) || len(old)+len(fresh) > d.spec+surge) {
		if old[0].started(w.now) {
			available--
		}
		w.terminate(d, old[0])
		old = old[1:]
	}
	for len(fresh) > d.spec { // unassigned first, as ReplicaSets do
		i := len(fresh) - 1
		for j, p := range fresh {
			if p.gated {
				i = j
			}
		}
		w.terminate(d, fresh[i])
		fresh = append(fresh[:i], fresh[i+1:]...)
	}
}

// disturb notes that pods of an ungated fleet come or go by themselves.
func (w *world) disturb(d *workload) {
	if d.Mode != policy.Gate {
		w.disturbed = w.now
	}
}

func (w *world) terminate(d *workload, p *simPod) {
	p.version++
	p.until = w.now.Add(d.Grace)
	if p.gated || !p.started(w.now) {
		p.until = w.now
	}
}

// forceDelete takes a pod from the API while its process lives on.
func (w *world) forceDelete(d *workload, i int, lives time.Duration) {
	p := d.pods[i]
	d.pods = append(d.pods[:i], d.pods[i+1:]...)
	if p.conns > 0 {
		w.ghosts = append(w.ghosts, ghost{address: p.address, fleet: d.index, n: p.conns, until: w.now.Add(lives)})
	}
}

// state is what the API server says of a fleet now.
func (w *world) state(d *workload) metrics.Fleet {
	f := metrics.Fleet{SpecReplicas: d.spec, MinReplicas: d.Min, MaxReplicas: 100, MaxSurge: intorpercent.Percent(d.Surge),
		MaxUnavailable: intorpercent.Count(d.unavailable()),
		HPA:            metrics.HPA{ScaleDownToleranceMilli: d.ToleranceMil, ScaleDownStabilization: d.Stabilize}}
	for _, p := range d.pods {
		if shown := [2]bool{p.started(w.now), p.started(w.now) && (d.Lazy || p.conns >= d.Opens)}; shown != p.shown {
			p.shown = shown
			p.version++
		}
		pod := metrics.Pod{UID: p.uid, Name: p.uid, Version: versionText(p.version), Epoch: p.epoch, Address: p.address, CreatedAt: p.created,
			Revision: p.revision, Gated: p.gated, Started: p.shown[0], Ready: p.shown[1], Terminating: !p.until.IsZero(), Grant: p.grant}
		if !p.started(w.now) {
			pod.Address = ""
		}
		if p.until.IsZero() {
			f.StatusReplicas++
		}
		f.Pods = append(f.Pods, pod)
	}
	return f
}

// unavailable is how many of its pods the Deployment may do without in a rollout.
func (d *workload) unavailable() int {
	if d.Surge == 0 {
		return 1
	}
	return 0
}

// remember keeps what the API server says, as far as a watch may be behind it.
func (w *world) remember() {
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
	w.history = append(w.history, now)
	for len(w.history) > 2 && w.now.Sub(w.history[1].at) > w.s.WatchLag+tick {
		w.history = w.history[1:]
	}
}

// database is what the server says of its connections now.
func (w *world) read() metrics.Database {
	d := metrics.Database{Server: w.server, Name: "orders", Attribution: metrics.ByAddress,
		Constraints: []metrics.Constraint{{Name: "server", Limit: w.limit}},
		Logins:      []metrics.Login{{User: "worker", Database: "orders", Constraints: []string{"server"}}},
		Sessions:    []metrics.Sessions{{User: "web", Database: "shop", Address: "10.9.9.9", Count: w.others}}}
	if w.s.RoleLimit > 0 {
		d.Constraints = append(d.Constraints, metrics.Constraint{Name: "role/worker", Limit: w.s.RoleLimit, User: "worker"})
		d.Logins[0].Constraints = append(d.Logins[0].Constraints, "role/worker")
	}
	add := func(address string, fleet, n int) {
		if n > 0 {
			d.Sessions = append(d.Sessions, metrics.Sessions{User: "worker", Database: "orders", Address: address, Application: fmt.Sprintf("fleet-%d", fleet), Count: n})
		}
	}
	for _, f := range w.fleets {
		for _, p := range f.pods {
			add(p.address, f.index, p.conns)
		}
	}
	for _, g := range w.ghosts {
		add(g.address, g.fleet, g.n)
	}
	if w.s.ByLogin {
		d.Attribution = metrics.ByLogin
		for i := range d.Sessions {
			d.Sessions[i].Address = ""
		}
	}
	return d
}
