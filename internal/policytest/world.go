package policytest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// world is what a test has said is, put together from its steps.
type world struct {
	set       policy.Set
	databases map[metrics.ID]*databaseWorld
	workloads map[metrics.ID]*workloadWorld
}

// databaseWorld and workloadWorld keep what was given last, and the last reading
// that could be taken.
type databaseWorld struct {
	databaseGiven
	last metrics.Reading[metrics.Database]
}

type workloadWorld struct {
	workloadGiven
	queue queueGiven
	// born is when each pod was first there.
	born      map[string]time.Time
	lastQueue metrics.Reading[metrics.Queue]
	lastFleet metrics.Reading[metrics.Fleet]
}

// term is the one in which Headroom leads all through a test. Pods that wait at the
// gate carry it.
const term = "test"

// Why a reading is unknown that no step gave.
const notGiven = "the test does not give it"

func newWorld(set policy.Set) *world {
	w := &world{set: set, databases: map[metrics.ID]*databaseWorld{}, workloads: map[metrics.ID]*workloadWorld{}}
	for _, d := range set.Databases {
		w.databases[d.ID] = &databaseWorld{last: metrics.Unknown[metrics.Database](notGiven)}
	}
	for _, wl := range set.Workloads {
		w.workloads[wl.ID] = &workloadWorld{
			born:      map[string]time.Time{},
			lastQueue: metrics.Unknown[metrics.Queue](notGiven), lastFleet: metrics.Unknown[metrics.Fleet](notGiven),
		}
	}
	return w
}

// give changes what is.
func (w *world) give(g *given) {
	if g == nil {
		return
	}
	for key, d := range g.Databases {
		old := &w.databases[metrics.ID(key)].databaseGiven
		if d.Limits != nil {
			old.Limits = d.Limits
		}
		old.Others, old.Ghosts = cmp.Or(d.Others, old.Others), cmp.Or(d.Ghosts, old.Ghosts)
		old.Unknown, old.Server = cmp.Or(d.Unknown, old.Unknown), cmp.Or(d.Server, old.Server)
		old.Full, old.ReadOnly = cmp.Or(d.Full, old.Full), cmp.Or(d.ReadOnly, old.ReadOnly)
		old.Name, old.Attribution = cmp.Or(d.Name, old.Name), cmp.Or(d.Attribution, old.Attribution)
	}
	for key, n := range g.Workloads {
		world := w.workloads[metrics.ID(key)]
		old := &world.workloadGiven
		if n.Replicas != nil && n.Pods == nil {
			old.Pods = nil // as many ready ones
		}
		old.Queue = cmp.Or(n.Queue, old.Queue)
		old.Replicas, old.ConnectionsPerPod, old.Pods = cmp.Or(n.Replicas, old.Replicas), cmp.Or(n.ConnectionsPerPod, old.ConnectionsPerPod), cmp.Or(n.Pods, old.Pods)
		old.MinReplicas, old.MaxReplicas, old.MaxSurge = cmp.Or(n.MinReplicas, old.MinReplicas), cmp.Or(n.MaxReplicas, old.MaxReplicas), cmp.Or(n.MaxSurge, old.MaxSurge)
		old.ScaleDownTolerance, old.ScaleDownStabilization = cmp.Or(n.ScaleDownTolerance, old.ScaleDownTolerance), cmp.Or(n.ScaleDownStabilization, old.ScaleDownStabilization)
		old.Unknown = cmp.Or(n.Unknown, old.Unknown)
		if q := n.Queue; q != nil {
			world.queue = queueGiven{
				Visible: cmp.Or(q.Visible, world.queue.Visible), InFlight: cmp.Or(q.InFlight, world.queue.InFlight),
				Delayed: cmp.Or(q.Delayed, world.queue.Delayed), FIFO: cmp.Or(q.FIFO, world.queue.FIFO), Unknown: cmp.Or(q.Unknown, world.queue.Unknown),
			}
		}
	}
}

// snapshot takes every reading that can be taken now.
func (w *world) snapshot(now time.Time) policy.Snapshot {
	s := policy.Snapshot{
		Epoch:     term,
		Databases: map[metrics.ID]metrics.Reading[metrics.Database]{},
		Queues:    map[metrics.ID]metrics.Reading[metrics.Queue]{},
		Fleets:    map[metrics.ID]metrics.Reading[metrics.Fleet]{},
	}
	for id, wl := range w.workloads {
		wl.lastFleet = read(wl.lastFleet, wl.Unknown, wl.Replicas != nil || wl.Pods != nil, now, func() metrics.Fleet { return wl.fleet(id, now) })
		wl.lastQueue = read(wl.lastQueue, wl.queue.Unknown, wl.Queue != nil, now, func() metrics.Queue {
			return metrics.Queue{Visible: value(wl.queue.Visible), InFlight: value(wl.queue.InFlight), Delayed: value(wl.queue.Delayed), FIFO: value(wl.queue.FIFO)}
		})
		s.Fleets[id], s.Queues[id] = wl.lastFleet, wl.lastQueue
	}
	for id, d := range w.databases {
		d.last = read(d.last, d.Unknown, d.Limits != nil || value(d.Full), now, func() metrics.Database { return w.server(id, d, now) })
		s.Databases[id] = d.last
	}
	return s
}

// read renews a reading, unless it was never given or is unknown now.
func read[T any](last metrics.Reading[T], unknown *string, given bool, now time.Time, take func() T) metrics.Reading[T] {
	if why := value(unknown); why != "" {
		return last.Failed(why)
	}
	if !given {
		return last
	}
	return metrics.Known(take(), now)
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// fleet is the workload's pods.
func (w *workloadWorld) fleet(id metrics.ID, now time.Time) metrics.Fleet {
	f := metrics.Fleet{
		MinReplicas: value(w.MinReplicas), MaxReplicas: value(w.MaxReplicas), MaxSurge: intorpercent.Value(value(w.MaxSurge)),
		HPA: metrics.HPA{ScaleDownStabilization: time.Duration(value(w.ScaleDownStabilization))},
	}
	if t := intorpercent.Value(value(w.ScaleDownTolerance)); t.IsPercent() {
		f.HPA.ScaleDownToleranceMilli = 10 * t.Number()
	}
	alive := map[string]bool{}
	for i, group := range w.groups() {
		for j := range group.Count {
			name := fmt.Sprintf("%s-%d-%d", id.Name, i, j)
			alive[name] = true
			if w.born[name].IsZero() {
				w.born[name] = now
			}
			pod := metrics.Pod{
				UID: fmt.Sprintf("%s/%s@%s", id.Namespace, name, w.born[name].Format(time.RFC3339)), Name: name, Address: address(id, i, j), CreatedAt: w.born[name],
				Revision: group.Revision, Ready: !group.NotReady && !group.Gated, Gated: group.Gated, Terminating: group.Terminating, Finished: group.Finished,
			}
			if pod.Gated {
				pod.Epoch = term
			}
			if !group.Terminating && !group.Finished {
				f.StatusReplicas++
			}
			f.Pods = append(f.Pods, pod)
		}
	}
	maps.DeleteFunc(w.born, func(name string, _ time.Time) bool { return !alive[name] })
	f.SpecReplicas = f.StatusReplicas
	if w.Replicas != nil {
		f.SpecReplicas = *w.Replicas
	}
	return f
}

// groups are the workload's pods: those that were given, or one for each replica.
func (w *workloadWorld) groups() []podsGiven {
	if w.Pods != nil {
		return *w.Pods
	}
	return []podsGiven{{Count: value(w.Replicas)}}
}

// address is a pod's: any text that no other pod has will do.
func address(id metrics.ID, group, pod int) string {
	return fmt.Sprintf("pod-%d-%d.%s.%s", group, pod, id.Name, id.Namespace)
}

// Names of what a test does not name.
const (
	defaultServer   = "server"
	defaultDatabase = "app"
)

// server is what a database's server shows.
func (w *world) server(id metrics.ID, d *databaseWorld, now time.Time) metrics.Database {
	if value(d.Full) {
		return metrics.Database{Full: true}
	}
	out := metrics.Database{
		Server: cmp.Or(value(d.Server), defaultServer+" of "+id.String()), Name: cmp.Or(value(d.Name), defaultDatabase), ReadOnly: value(d.ReadOnly),
		Attribution: metrics.Attribution(cmp.Or(value(d.Attribution), string(metrics.ByAddress))),
	}
	for _, name := range slices.SortedFunc(maps.Keys(d.Limits), serverFirst) {
		c, _ := constraint(name, d.Limits[name])
		out.Constraints = append(out.Constraints, c)
	}
	show := func(s metrics.Sessions) {
		if out.Attribution == metrics.ByLogin {
			s.Address = ""
		}
		if s.Count > 0 {
			out.Sessions = append(out.Sessions, s)
		}
	}
	if d.Others != nil {
		for _, key := range slices.Sorted(maps.Keys(*d.Others)) {
			user, database, _ := strings.Cut(key, "@")
			show(metrics.Sessions{User: user, Database: cmp.Or(database, out.Name), Address: "others", Application: user, Count: (*d.Others)[key]})
		}
	}
	if d.Ghosts != nil {
		for _, key := range slices.Sorted(maps.Keys(*d.Ghosts)) {
			user, database, _ := strings.Cut(key, "@")
			use, _ := useOf(w.set, id, key)
			show(metrics.Sessions{User: user, Database: cmp.Or(database, use.DatabaseName, out.Name), Address: "nobody", Application: use.ApplicationName, Count: (*d.Ghosts)[key]})
		}
	}
	for _, wl := range w.set.Workloads {
		for _, use := range wl.Databases {
			if use.Database == id {
				out.Logins = append(out.Logins, login(out, use))
				w.workloads[wl.ID].sessions(wl.ID, use, cmp.Or(use.DatabaseName, out.Name), show)
			}
		}
	}
	return out
}

// sessions shows what the workload's pods hold on one database.
func (w *workloadWorld) sessions(id metrics.ID, use policy.Use, database string, show func(metrics.Sessions)) {
	for i, group := range w.groups() {
		if group.Gated || group.Finished {
			continue
		}
		held := use.ConnectionsPerPod
		for _, given := range []*int{w.ConnectionsPerPod, group.ConnectionsPerPod} {
			if given != nil {
				held = *given
			}
		}
		for j := range group.Count {
			show(metrics.Sessions{User: use.User, Database: database, Address: address(id, i, j), Application: use.ApplicationName, Count: held})
		}
	}
}

// login says which limits stand before a use.
func login(d metrics.Database, use policy.Use) metrics.Login {
	l := metrics.Login{User: use.User, Database: cmp.Or(use.DatabaseName, d.Name)}
	for _, c := range d.Constraints {
		if c.Counts(l.User, l.Database) {
			l.Constraints = append(l.Constraints, c.Name)
		}
	}
	return l
}

// serverFirst orders limits by name, the server's before all others.
func serverFirst(a, b string) int {
	if (a == "server") != (b == "server") {
		if a == "server" {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}
