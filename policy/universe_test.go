package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// universe is a small world drawn at random: servers, fleets, what pollers last
// read of them, and what Decide made of that so far. Nothing in it is meant to be
// likely; everything in it is possible.
type universe struct {
	now      time.Time
	group    Group
	servers  []*trueServer
	leads    []int // which server each of group.Databases leads to
	fleets   []*trueFleet
	ghosts   []trueGhost
	snapshot Snapshot
	ledger   Ledger // before the decision that is due
	born     int

	// What a witness wrote down of past decisions.
	seen    []sighting
	issued  map[string]issue                     // admissions that may still come true, by UID
	granted map[metrics.ID]map[metrics.ID]int    // by workload and database, when it was last free to grow
	counted map[metrics.ID]map[string]countedPod // pods that may hold connections, as last known
	gone    map[metrics.ID][]countedPod
}

type trueServer struct {
	identity            string
	limit, role, orders int // the server's limit, role worker's, database orders'; role and orders may be 0, for none
	others              int
	byLogin             bool
	full, away, replica bool
	asked               bool // about every login
}

type trueFleet struct {
	opens int // by each pod on each of its databases
	spec  int
	surge intorpercent.Value
	tol   int
	pods  []*truePod
	least int // the ScaledObject's own minimum
	queue metrics.Queue
}

type truePod struct {
	metrics.Pod
	conns int // on each of its databases
}

// write is what every write does to a pod, so that who relied on it as it was
// before is turned away.
func (p *truePod) write() { p.Version += "'" }

type trueGhost struct {
	server          int
	user, app, addr string
	n               int
}

// sighting is what one accepted reading of a server said of others.
type sighting struct {
	server string
	names  []metrics.ID
	began  time.Time
	others map[string]int // by constraint
}

type issue struct {
	version string
	grants  map[string]int
}

type countedPod struct {
	grants map[metrics.ID]int
	left   time.Time
	addr   string
}

// term is the one in which we lead, in every test.
const term = "us_1"

// drawUniverse draws a world in which nothing happened yet, but others may have
// been watched for long enough.
func drawUniverse(t *rapid.T, workloads int) *universe {
	u := &universe{
		now: noon, issued: map[string]issue{}, granted: map[metrics.ID]map[metrics.ID]int{},
		counted: map[metrics.ID]map[string]countedPod{}, gone: map[metrics.ID][]countedPod{},
		snapshot: Snapshot{
			Epoch:     term,
			Databases: map[metrics.ID]metrics.Reading[metrics.Database]{},
			Queues:    map[metrics.ID]metrics.Reading[metrics.Queue]{},
			Fleets:    map[metrics.ID]metrics.Reading[metrics.Fleet]{},
		},
	}
	for i := range between(t, 1, 2, "servers") {
		s := &trueServer{identity: fmt.Sprintf("server-%d", i), limit: between(t, 0, 60, "limit"), others: between(t, 0, 8, "others"), byLogin: oneIn(t, 4, "by login"), asked: true}
		if oneIn(t, 3, "role limited") {
			s.role = between(t, 1, 20, "role limit")
		}
		if oneIn(t, 3, "database limited") {
			s.orders = between(t, 1, 30, "database limit")
		}
		u.servers = append(u.servers, s)
	}
	for i := range max(len(u.servers), between(t, 1, 3, "names")) {
		u.leads = append(u.leads, i%len(u.servers))
		u.group.Databases = append(u.group.Databases, Database{
			ID:           metrics.ID{Namespace: "data", Name: fmt.Sprintf("name-%d", i)},
			Reserve:      rapid.SampledFrom([]intorpercent.Value{{}, intorpercent.Count(2), intorpercent.Percent(10)}).Draw(t, "reserve"),
			OthersWindow: 20 * time.Second, PollInterval: time.Second, MaxReadingAge: 5 * time.Second,
		})
	}
	for i := range between(t, 1, workloads, "workloads") {
		w := Workload{
			ID:   metrics.ID{Namespace: "shop", Name: fmt.Sprintf("fleet-%d", i)},
			Mode: rapid.SampledFrom([]Mode{Gate, Gate, Target, Target, Observe}).Draw(t, "mode"), MinReplicas: between(t, 0, 2, "min"), Priority: between(t, 0, 1, "priority"),
			SQS:                    &SQS{QueueName: "q", MessagesPerPod: int64(between(t, 1, 10, "messagesPerPod")), IncludeDelayed: oneIn(t, 2, "delayed"), StaleAfter: 10 * time.Second, ErrorAfter: 30 * time.Second},
			ScaleDownStabilization: rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(t, "stabilization"), ReadyTimeout: time.Minute,
		}
		if oneIn(t, 5, "max") {
			most := between(t, max(1, w.MinReplicas), 5, "maxReplicas")
			w.MaxReplicas = &most
		}
		if oneIn(t, 3, "sheds") {
			w.Shedding = Shedding{Enabled: true, MinReplicas: between(t, 0, 2, "never shed")}
		}
		if oneIn(t, 3, "objective") {
			w.SQS.MaxMessageAge = rapid.SampledFrom([]time.Duration{10 * time.Second, time.Minute, 10 * time.Minute}).Draw(t, "maxMessageAge")
			w.SQS.SecondsPerMessage = rapid.SampledFrom([]float64{0, 0.001, 0.5, 8}).Draw(t, "secondsPerMessage")
			w.SQS.PollInterval = time.Second
		}
		if oneIn(t, 12, "no queue") {
			w.SQS = nil
		}
		w.Stopped = oneIn(t, 12, "stopped")
		if oneIn(t, 10, "refused") {
			w.Refusal = &Refusal{Unauthorized, "not admitted"}
		}
		perPod := between(t, 1, 4, "perPod")
		app := rapid.SampledFrom([]string{fmt.Sprintf("fleet-%d", i), ""}).Draw(t, "application")
		user := rapid.SampledFrom([]string{"worker", "worker", "batch"}).Draw(t, "user")
		for j, d := range u.group.Databases {
			if j == i%len(u.group.Databases) || oneIn(t, 4, "uses") {
				w.Databases = append(w.Databases, Use{Database: d.ID, User: user, ApplicationName: app, ConnectionsPerPod: perPod})
			}
		}
		f := &trueFleet{opens: perPod, surge: rapid.SampledFrom([]intorpercent.Value{{}, intorpercent.Count(1), intorpercent.Percent(25)}).Draw(t, "surge"), tol: rapid.SampledFrom([]int{0, 100}).Draw(t, "tolerance")}
		if oneIn(t, 5, "underdeclared") {
			f.opens++
		}
		if oneIn(t, 4, "scaled object's minimum") {
			f.least = 2
		}
		u.group.Workloads = append(u.group.Workloads, w)
		u.fleets = append(u.fleets, f)
		f.spec = between(t, 0, 4, "spec")
		f.queue.Visible = int64(between(t, 0, 60, "messages"))
		f.queue.FIFO = oneIn(t, 6, "FIFO")
		u.fill(t, i)
		if oneIn(t, 2, "all started") {
			for _, p := range f.pods {
				u.start(i, p)
			}
		}
	}
	u.read(t, false)
	if !oneIn(t, 3, "starting") { // two looks, together longer than a window
		for range 2 {
			u.decide()
			u.now = u.now.Add(12 * time.Second)
			u.read(t, false)
		}
	}
	return u
}

func between(t *rapid.T, least, most int, label string) int {
	return rapid.IntRange(least, most).Draw(t, label)
}

func oneIn(t *rapid.T, n int, label string) bool {
	return rapid.IntRange(1, n).Draw(t, label) == n
}

// drawPast lets a world live through some decisions, of which the last is due.
func drawPast(t *rapid.T, workloads int) *universe {
	u := drawUniverse(t, workloads)
	for range between(t, 0, 6, "decisions") {
		u.decide()
		u.live(t)
	}
	return u
}

// decide makes the decision that is due, remembers it, and lets a witness write
// down what an independent check needs.
func (u *universe) decide() Plan {
	plan, next := Decide(u.now, u.group, u.snapshot, u.ledger)
	u.witness(plan)
	u.ledger = next
	return plan
}

// live lets the world go on after a decision: it follows what it was told, or
// does not, and much else happens.
func (u *universe) live(t *rapid.T) {
	plan, _ := Decide(u.now, u.group, u.snapshot, u.ledger) // what KEDA would hear again
	u.now = u.now.Add(rapid.SampledFrom([]time.Duration{500 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 2 * time.Second, 6 * time.Second, 15 * time.Second, 40 * time.Second}).Draw(t, "later"))
	for i, s := range u.servers {
		if oneIn(t, 3, "others change") {
			s.others = between(t, 0, 12, "others")
		}
		switch rapid.IntRange(0, 14).Draw(t, "server") {
		case 0:
			s.away = !s.away
		case 1:
			s.full = !s.full
		case 2:
			s.replica = !s.replica
		case 3:
			s.identity += "'" // restarted
			s.limit = between(t, 0, 60, "limit")
		case 4:
			s.limit = between(t, 0, 60, "limit")
		case 5:
			s.asked = !s.asked
		case 6:
			u.leads[i] = between(t, 0, len(u.servers)-1, "leads to")
		default:
			s.away, s.full, s.replica, s.asked = false, false, false, true
		}
	}
	for i, f := range u.fleets {
		w := plan.Workloads[i]
		switch rapid.IntRange(0, 3).Draw(t, "spec") {
		case 0:
			f.spec = between(t, 0, 6, "spec")
		case 1:
		default:
			f.spec = w.Target
		}
		if oneIn(t, 2, "messages come or go") {
			f.queue.Visible = int64(between(t, 0, 60, "messages"))
			f.queue.InFlight = int64(between(t, 0, 10, "in flight"))
		}
		for _, a := range w.Admissions {
			for _, p := range f.pods {
				if p.UID == a.UID && p.Gated && p.Version == a.Version && !oneIn(t, 3, "patch fails") {
					p.write()
					p.Gated, p.Grant = false, a.Grant
				}
			}
		}
		for _, s := range w.Stamps {
			for _, p := range f.pods {
				if p.UID == s.UID && p.Gated && !oneIn(t, 4, "stamp fails") {
					p.write()
					p.Epoch = s.Epoch
				}
			}
		}
		for _, e := range w.Evictions {
			for _, p := range f.pods {
				if p.UID == e.UID && !oneIn(t, 3, "eviction is refused") {
					p.Terminating = true
				}
			}
		}
		var kept []*truePod
		for _, p := range f.pods {
			switch rapid.IntRange(0, 9).Draw(t, "pod") {
			case 0:
				p.Terminating = true
			case 1:
				p.Ready = !p.Ready
			case 2: // gone, with or without its connections
				if p.conns > 0 && oneIn(t, 2, "leaves a ghost") {
					for _, use := range u.group.Workloads[i].Databases {
						u.ghosts = append(u.ghosts, trueGhost{u.serverOf(use.Database), use.User, use.ApplicationName, p.Address, p.conns})
					}
				}
				continue
			case 3:
				p.conns = min(p.conns, 1) // a pool that lets go
			case 4:
				if !p.Gated {
					p.Finished, p.conns = true, 0
				}
			default:
				u.start(i, p)
			}
			kept = append(kept, p)
		}
		f.pods = kept
		u.fill(t, i)
	}
	var left []trueGhost
	for _, g := range u.ghosts {
		if !oneIn(t, 3, "ghost goes") {
			left = append(left, g)
		}
	}
	u.ghosts = left
	u.read(t, true)
}

// fill creates and deletes pods of a fleet as its controller would.
func (u *universe) fill(t *rapid.T, i int) {
	f, w := u.fleets[i], u.group.Workloads[i]
	n := 0
	for _, p := range f.pods {
		if !p.Terminating && !p.Finished {
			n++
		}
	}
	for ; n < f.spec; n++ {
		u.born++
		name := fmt.Sprintf("pod-%d", u.born)
		f.pods = append(f.pods, &truePod{Pod: metrics.Pod{UID: name, Name: name, CreatedAt: u.now, Revision: int64(u.born % 2), Gated: w.Mode == Gate, OtherGates: oneIn(t, 8, "another gate")}})
	}
	for _, p := range f.pods {
		if n > f.spec && !p.Terminating && !p.Finished {
			p.Terminating = true
			n--
		}
	}
}

// start lets a pod run, unless its gate holds it back.
func (u *universe) start(i int, p *truePod) {
	if p.Gated || p.Finished || p.Terminating {
		return
	}
	if p.Address == "" {
		p.Address = "10.0.0." + strings.TrimPrefix(p.Name, "pod-")
		return // connections follow
	}
	p.Ready, p.conns = true, u.fleets[i].opens
}

func (u *universe) serverOf(name metrics.ID) int {
	return u.leads[slices.IndexFunc(u.group.Databases, func(d Database) bool { return d.ID == name })]
}

// read lets pollers read what there is; some of them fail, where they may.
func (u *universe) read(t *rapid.T, may bool) {
	fails := func(label string) bool { return may && oneIn(t, 8, label) }
	u.snapshot = Snapshot{Epoch: term, Databases: maps.Clone(u.snapshot.Databases), Queues: maps.Clone(u.snapshot.Queues), Fleets: maps.Clone(u.snapshot.Fleets), Points: maps.Clone(u.snapshot.Points)}
	for i, d := range u.group.Databases {
		s := u.servers[u.leads[i]]
		if s.away || fails("database unread") {
			u.snapshot.Databases[d.ID] = u.snapshot.Databases[d.ID].Failed("away")
			continue
		}
		began := u.now.Add(-time.Duration(rapid.IntRange(0, 400).Draw(t, "took")) * time.Millisecond)
		u.snapshot.Databases[d.ID] = metrics.Known(u.look(u.leads[i]), began)
	}
	for i, w := range u.group.Workloads {
		f := u.fleets[i]
		if fails("queue unread") {
			u.snapshot.Queues[w.ID] = u.snapshot.Queues[w.ID].Failed("away")
		} else {
			u.snapshot.Queues[w.ID] = metrics.Known(f.queue, u.now)
		}
		if w.Queue() && w.SQS.AsksCloudWatch() && !fails("points unread") {
			u.snapshot.Points = with(u.snapshot.Points, w.ID, metrics.Known(u.points(t), u.now))
		}
		if fails("fleet unread") {
			u.snapshot.Fleets[w.ID] = u.snapshot.Fleets[w.ID].Failed("away")
			continue
		}
		state := metrics.Fleet{SpecReplicas: f.spec, MinReplicas: f.least, MaxReplicas: 8, MaxSurge: f.surge, HPA: metrics.HPA{ScaleDownToleranceMilli: f.tol}}
		for _, p := range f.pods {
			if !p.Terminating && !p.Finished {
				state.StatusReplicas++
			}
			state.Pods = append(state.Pods, p.Pod)
		}
		u.snapshot.Fleets[w.ID] = metrics.Known(state, u.now)
	}
}

// points are what CloudWatch says of the latest minutes: anything, and little of it.
func (u *universe) points(t *rapid.T) metrics.Points {
	var points metrics.Points
	value := func(label string, most int) *float64 {
		if oneIn(t, 3, label+" late") {
			return nil
		}
		v := float64(between(t, 0, most, label))
		return &v
	}
	for ago := between(t, 0, 3, "minutes"); ago > 0; ago-- {
		points.Minutes = append(points.Minutes, metrics.Minute{
			Start: u.now.Truncate(time.Minute).Add(-time.Duration(ago) * time.Minute),
			Sent:  value("sent", 100), Deleted: value("deleted", 100), OldestAge: value("oldest", 200), Groups: value("groups", 4),
		})
	}
	return points
}

// look is what the i-th server would say now.
func (u *universe) look(i int) metrics.Database {
	s := u.servers[i]
	if s.full {
		return metrics.Database{Full: true}
	}
	d := metrics.Database{Server: s.identity, Name: "orders", ReadOnly: s.replica, Attribution: metrics.ByAddress,
		Constraints: []metrics.Constraint{{Name: "server", Limit: s.limit}}}
	for _, user := range []string{"worker", "batch"} {
		login := metrics.Login{User: user, Database: "orders", Constraints: []string{"server"}}
		if s.role > 0 && user == "worker" {
			login.Constraints = append(login.Constraints, "role/worker")
		}
		if s.orders > 0 {
			login.Constraints = append(login.Constraints, "database/orders")
		}
		if s.asked {
			d.Logins = append(d.Logins, login)
		}
	}
	if s.role > 0 {
		d.Constraints = append(d.Constraints, metrics.Constraint{Name: "role/worker", Limit: s.role, User: "worker"})
	}
	if s.orders > 0 {
		d.Constraints = append(d.Constraints, metrics.Constraint{Name: "database/orders", Limit: s.orders, Database: "orders"})
	}
	d.Sessions = append(d.Sessions, metrics.Sessions{User: "web", Database: "shop", Address: "10.9.0.1", Count: s.others})
	for j, f := range u.fleets {
		for _, use := range u.group.Workloads[j].Databases {
			for _, p := range f.pods {
				if u.serverOf(use.Database) == i && p.conns > 0 {
					d.Sessions = append(d.Sessions, metrics.Sessions{User: use.User, Database: "orders", Address: p.Address, Application: use.ApplicationName, Count: p.conns})
				}
			}
		}
	}
	for _, g := range u.ghosts {
		if g.server == i {
			d.Sessions = append(d.Sessions, metrics.Sessions{User: g.user, Database: "orders", Address: g.addr, Application: g.app, Count: g.n})
		}
	}
	if s.byLogin {
		d.Attribution = metrics.ByLogin
		for j := range d.Sessions {
			d.Sessions[j].Address = ""
		}
	}
	return d
}
