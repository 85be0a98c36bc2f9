package forecast

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/keda-headroom/headroom/internal/hpa"
	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/internal/kedasim"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// term is the one in which Headroom leads all through a run.
const term = "1"

type recordFunc func(at time.Time, g policy.Group, s policy.Snapshot, l policy.Ledger, p policy.Plan)

// headroom is policy.Decide between readings and KEDA.
type headroom struct {
	scaledObject
	record   recordFunc
	group    policy.Group
	workload policy.Workload
	ledger   policy.Ledger
	snapshot policy.Snapshot
	plan     policy.WorkloadPlan
	waiting  bool // a decision is on its way

	fleet   metrics.Fleet
	fleetAt int   // r.changed when fleet was made
	readAt  []int // changes of each server when it was read
	reads   []metrics.Database

	told     time.Duration // since when the plan is in force
	byReason map[policy.Reason]time.Duration
}

func newHeadroom(r *run, g policy.Group, record recordFunc) (*headroom, error) {
	if len(g.Workloads) != 1 || g.Workloads[0].SQS == nil || len(g.Databases) != len(r.servers) {
		return nil, fmt.Errorf("expected one workload with a queue, and its databases, found %d workloads and %d databases", len(g.Workloads), len(g.Databases))
	}
	// What the shipped ScaledObject says: follow at once.
	c, err := hpa.New(hpa.Options{
		MinReplicas: r.world.MinReplicas, MaxReplicas: r.world.MaxReplicas,
		Behavior: &hpa.Behavior{ScaleUp: hpa.Unbraked(), ScaleDown: hpa.Unbraked()},
	})
	if err != nil {
		return nil, err
	}
	h := &headroom{
		record: record, group: g, workload: g.Workloads[0], fleetAt: -1, readAt: make([]int, len(r.servers)), reads: make([]metrics.Database, len(r.servers)),
		byReason: map[policy.Reason]time.Duration{},
		snapshot: policy.Snapshot{
			Epoch: term, Databases: map[metrics.ID]metrics.Reading[metrics.Database]{}, Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{},
			Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{},
		},
	}
	h.scaledObject = scaledObject{r: r, executor: executorFor(r.world, r.world.MaxReplicas), hpa: c, metric: h.metricNow, active: h.activeNow}
	r.gates = h.workload.Mode == policy.Gate
	for i, v := range r.servers {
		h.readAt[i] = -1
		v.held++ // the session that watches
		v.peak = max(v.peak, v.used())
	}
	return h, nil
}

func (h *headroom) replicas() int { return max(h.r.world.MinReplicas, h.workload.MinReplicas) }

func (h *headroom) limited() map[policy.Reason]time.Duration {
	h.count()
	return h.byReason
}

// count adds up for how long the plan in force has been.
func (h *headroom) count() {
	if h.plan.Reason != "" {
		h.byReason[h.plan.Reason] += h.r.now - h.told
	}
	h.told = h.r.now
}

func (h *headroom) begin() {
	h.watch()
	for i := range h.r.servers {
		h.r.every(0, h.group.Databases[i].PollInterval, func() {
			h.read(i, h.r.clock())
			h.soon()
		})
	}
	h.r.every(0, h.workload.SQS.PollInterval, func() {
		h.ask(h.r.clock())
		h.soon()
	})
	if h.workload.SQS.AsksCloudWatch() {
		h.r.every(0, time.Minute, h.publish)
	}
	h.scaledObject.begin()
}

// watch decides while nothing happens, for as long before the trace as others have to
// be watched.
func (h *headroom) watch() {
	window := time.Duration(0)
	for _, d := range h.group.Databases {
		window = max(window, d.OthersWindow)
	}
	const looks = 40
	for i := looks; i > 0; i-- {
		at := h.r.clock().Add(-window * time.Duration(i) / (looks - 2))
		for k := range h.r.servers {
			h.read(k, at)
		}
		h.snapshot.Queues[h.workload.ID] = metrics.Known(metrics.Queue{}, at)
		h.decide(at)
	}
}

// read takes a reading of a server.
func (h *headroom) read(i int, at time.Time) {
	v := h.r.servers[i]
	if h.readAt[i] != v.changed+h.r.changed {
		h.readAt[i] = v.changed + h.r.changed
		h.reads[i] = h.sessions(i)
	}
	h.snapshot.Databases[v.ID] = metrics.Known(h.reads[i], at)
}

// databaseName is what the monitor is connected to.
const databaseName = "database"

func (h *headroom) sessions(i int) metrics.Database {
	v, u := h.r.servers[i], h.workload.Databases[i]
	name := u.DatabaseName
	if name == "" {
		name = databaseName
	}
	d := metrics.Database{
		Server: v.ID.String(), Name: databaseName, Attribution: metrics.ByAddress,
		Constraints: []metrics.Constraint{{Name: "server", Limit: v.Limit}},
		Logins:      []metrics.Login{{User: u.User, Database: name, Constraints: []string{"server"}}},
		Sessions:    make([]metrics.Sessions, 0, len(h.r.pods)+2),
	}
	d.Sessions = append(d.Sessions, metrics.Sessions{User: "headroom", Database: databaseName, Application: "headroom", Count: 1})
	if v.others > 0 {
		d.Sessions = append(d.Sessions, metrics.Sessions{User: "others", Database: databaseName, Address: "192.0.2.1", Application: "others", Count: v.others})
	}
	for _, p := range h.r.pods {
		if p.conns[i] > 0 {
			d.Sessions = append(d.Sessions, metrics.Sessions{User: u.User, Database: name, Address: p.address, Application: u.ApplicationName, Count: p.conns[i]})
		}
	}
	return d
}

// ask reads the queue: one call of GetQueueAttributes.
func (h *headroom) ask(at time.Time) {
	h.r.calls.QueueAttributes++
	h.snapshot.Queues[h.workload.ID] = metrics.Known(metrics.Queue{Visible: int64(h.r.queue.len()), InFlight: int64(h.r.inFlight)}, at)
}

// publish takes a reading of what CloudWatch has published.
func (h *headroom) publish() {
	h.r.calls.CloudWatchMetrics += cloudWatchMetrics
	if h.snapshot.Points == nil {
		h.snapshot.Points = map[metrics.ID]metrics.Reading[metrics.Points]{}
	}
	h.snapshot.Points[h.workload.ID] = metrics.Known(h.r.minute.published(h.r.clock().Add(-h.r.world.PublishDelay)), h.r.clock())
	h.soon()
}

// soon decides when everything that happens now has happened.
func (h *headroom) soon() {
	if h.waiting {
		return
	}
	h.waiting = true
	h.r.at(h.r.now, func() {
		h.waiting = false
		h.decide(h.r.clock())
		h.act()
	})
}

// decide makes a plan of what is known.
func (h *headroom) decide(at time.Time) {
	if h.fleetAt != h.r.changed {
		h.fleetAt, h.fleet = h.r.changed, h.state()
	}
	h.snapshot.Fleets[h.workload.ID] = metrics.Known(h.fleet, at)
	plan, next := policy.Decide(at, h.group, h.snapshot, h.ledger)
	if h.record != nil {
		h.record(at, h.group, h.snapshot, h.ledger, plan)
	}
	h.ledger = next
	h.count()
	h.plan = plan.Workloads[0]
}

// act does what a plan wants at once: it pushes activity to KEDA, and does to pods
// what the gate's hands do.
func (h *headroom) act() {
	if h.r.spec == 0 && h.plan.Active {
		h.r.scale(h.executor.Push(h.r.clock(), 0, true))
	}
	for _, s := range h.plan.Stamps {
		if p := h.pod(s.UID, s.Version); p != nil {
			p.epoch = s.Epoch
			p.version++
			h.r.changed++
		}
	}
	for _, a := range h.plan.Admissions {
		if p := h.pod(a.UID, a.Version); p != nil && p.gated && !p.terminating {
			p.grant = a.Grant
			h.r.pass(p)
		}
	}
	for _, e := range h.plan.Evictions {
		if p := h.pod(e.UID, e.Version); p != nil {
			h.r.terminate(p)
			h.r.reconcile()
		}
	}
}

func (h *headroom) pod(uid, version string) *pod {
	for _, p := range h.r.pods {
		if p.uid == uid && strconv.Itoa(p.version) == version {
			return p
		}
	}
	return nil
}

// state is what Kubernetes says of the pods.
func (h *headroom) state() metrics.Fleet {
	f := metrics.Fleet{
		SpecReplicas: h.r.spec, StatusReplicas: h.r.living(), MinReplicas: h.r.world.MinReplicas, MaxReplicas: h.r.world.MaxReplicas,
		MaxSurge: intorpercent.Count(0), Pods: make([]metrics.Pod, 0, len(h.r.pods)),
	}
	for _, p := range h.r.pods {
		pd := metrics.Pod{
			UID: p.uid, Name: p.uid, Version: strconv.Itoa(p.version), Epoch: p.epoch, CreatedAt: h.r.base.Add(p.created), Revision: 1,
			Gated: p.gated, Ready: p.ready(), Started: p.started, Terminating: p.terminating, Grant: p.grant,
		}
		if p.started {
			pd.Address = p.address
		}
		f.Pods = append(f.Pods, pd)
	}
	return f
}

var errAnswered = errors.New("headroom answered with an error")

// metricNow answers the HPA.
func (h *headroom) metricNow() hpa.Metric {
	if h.plan.Failure != "" {
		return hpa.Failed(errAnswered)
	}
	return hpa.Metric{Milli: kedasim.Milli(h.plan.Value)}
}

func (h *headroom) activeNow() (active, failed bool) { return h.plan.Active, h.plan.Failure != "" }
