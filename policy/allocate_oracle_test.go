package policy

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// smallFleet is one workload of a case that is small enough to try everything.
type smallFleet struct {
	name     string
	mode     Mode
	priority int
	user     string // "worker", "batch", or "admin", whom only the server refuses
	perPod   int
	surge    intorpercent.Value
	spec     int
	least    int // guaranteed minimum
	backlog  int // replicas that the queue asks for
	earlier  int // replicas that it asked for a moment ago
	refused  bool
	carried  int // replicas of the last good plan, if refused

	staying, leaving, gated []int // grants of its pods
}

// smallCase is one server with up to three workloads.
type smallCase struct {
	limits  []metrics.Constraint
	reserve int
	others  int
	ghosts  int // of user worker
	fleets  []smallFleet
}

const mostPods = 5

func drawSmallCase(t *rapid.T) smallCase {
	n := func(least, most int, label string) int { return rapid.IntRange(least, most).Draw(t, label) }
	c := smallCase{reserve: n(0, 3, "reserve"), others: n(0, 6, "others"), ghosts: n(0, 3, "ghosts")}
	c.limits = append(c.limits, metrics.Constraint{Name: "server", Limit: n(0, 40, "server")})
	if rapid.Bool().Draw(t, "limit the role") {
		c.limits = append(c.limits, metrics.Constraint{Name: "role/worker", Limit: n(0, 20, "role"), User: "worker"})
	}
	if rapid.Bool().Draw(t, "limit the database") {
		c.limits = append(c.limits, metrics.Constraint{Name: "database/orders", Limit: n(0, 30, "database"), Database: "orders"})
	}
	for i := range n(1, 3, "workloads") {
		f := smallFleet{
			name: fmt.Sprintf("w%d", i), mode: rapid.SampledFrom([]Mode{Gate, Target}).Draw(t, "mode"),
			priority: n(0, 1, "priority"), user: rapid.SampledFrom([]string{"worker", "worker", "batch", "admin"}).Draw(t, "user"),
			perPod: n(1, 4, "perPod"), spec: n(0, mostPods, "spec"), least: n(0, 2, "least"),
			backlog: n(0, mostPods+1, "backlog"), earlier: n(0, mostPods, "earlier"),
			refused: n(0, 5, "refused") == 0, carried: n(0, mostPods, "carried"),
		}
		f.surge = rapid.SampledFrom([]intorpercent.Value{{}, intorpercent.Count(1), intorpercent.Percent(25), intorpercent.Percent(100)}).Draw(t, "surge")
		grants := rapid.SliceOfN(rapid.IntRange(0, 5), 0, mostPods)
		f.staying = grants.Draw(t, "staying")
		f.leaving = rapid.SliceOfN(rapid.IntRange(0, 5), 0, 2).Draw(t, "leaving")
		if f.mode == Gate {
			f.gated = make([]int, n(0, 2, "gated"))
		}
		c.fleets = append(c.fleets, f)
	}
	return c
}

// decide gives the case to what is tested.
func (c smallCase) decide() (thought, Plan) {
	orders := metrics.ID{Namespace: "data", Name: "orders"}
	g := Group{Databases: []Database{{ID: orders, Reserve: intorpercent.Count(c.reserve), OthersWindow: time.Minute, PollInterval: time.Second, MaxReadingAge: 10 * time.Second}}}
	reading := metrics.Database{
		Server: "A", Name: "orders", Attribution: metrics.ByAddress, Constraints: c.limits,
		Sessions: []metrics.Sessions{
			{User: "web", Database: "orders", Address: "10.9.0.1", Count: c.others},
			{User: "worker", Database: "orders", Address: "10.9.0.2", Count: c.ghosts},
		},
	}
	for _, user := range []string{"admin", "batch", "worker"} {
		login := metrics.Login{User: user, Database: "orders"}
		for k, limit := range c.limits {
			if c.refuses(k, user) {
				login.Constraints = append(login.Constraints, limit.Name)
			}
		}
		reading.Logins = append(reading.Logins, login)
	}
	s := Snapshot{Epoch: term, Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{}, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{}}
	l := Ledger{
		Databases: map[metrics.ID]DatabaseMemory{orders: {Server: "A", Others: map[string]Peak{"server": {Since: noon.Add(-time.Hour)}}}},
		Workloads: map[metrics.ID]WorkloadMemory{},
	}
	ghosts := len(c.fleets) > 0 && slices.ContainsFunc(c.fleets, func(f smallFleet) bool { return f.user == "worker" })
	if !ghosts {
		reading.Sessions[1].User = "web"
	}
	for i, f := range c.fleets {
		id := metrics.ID{Namespace: "shop", Name: f.name}
		w := Workload{
			ID: id, Mode: f.mode, MinReplicas: f.least, Priority: f.priority, ScaleDownStabilization: time.Minute,
			Databases: []Use{{Database: orders, User: f.user, ConnectionsPerPod: f.perPod}},
			SQS:       &SQS{QueueName: "q", MessagesPerPod: 10, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
		}
		m := WorkloadMemory{Demand: Peak{}.Add(noon.Add(-time.Second), f.earlier, time.Minute)}
		if f.refused {
			w.Refusal = &Refusal{Unauthorized, "not admitted"}
			m.Carried, m.CarriedKnown = f.carried, true
		}
		state := metrics.Fleet{SpecReplicas: f.spec, MaxReplicas: mostPods, MaxSurge: f.surge}
		pod := func(kind string, j, grant int) *metrics.Pod {
			name := fmt.Sprintf("%s-%s-%d", f.name, kind, j)
			state.Pods = append(state.Pods, metrics.Pod{UID: name, Name: name, Address: fmt.Sprintf("10.%d.%d.%d", i, len(kind), j), Ready: true, Grant: map[string]int{orders.String(): grant}})
			return &state.Pods[len(state.Pods)-1]
		}
		for j, grant := range f.staying {
			pod("stays", j, grant)
		}
		for j, grant := range f.leaving {
			pod("leaving", j, grant).Terminating = true
		}
		for j := range f.gated {
			p := pod("gated", j, 0)
			p.Gated, p.Grant, p.Address, p.Ready, p.Epoch = true, nil, "", false, term
		}
		g.Workloads = append(g.Workloads, w)
		s.Queues[id] = metrics.Known(metrics.Queue{Visible: max(0, int64(f.backlog)*10-3)}, noon)
		s.Fleets[id] = metrics.Known(state, noon)
		l.Workloads[id] = m
	}
	s.Databases = map[metrics.ID]metrics.Reading[metrics.Database]{orders: metrics.Known(reading, noon.Add(-time.Second))}
	plan, _ := Decide(noon, g, s, l)
	return think(noon, g, s, l), plan
}

// refuses reports whether the k-th limit turns a user away.
func (c smallCase) refuses(k int, user string) bool {
	switch c.limits[k].Name {
	case "server":
		return true
	case "role/worker":
		return user == "worker"
	}
	return user != "admin"
}

// counts reports whether the k-th limit counts a user, whom it may not refuse.
func (c smallCase) counts(k int, user string) bool {
	return c.limits[k].Name != "role/worker" || user == "worker"
}

// budget is what the k-th limit leaves for workers.
func (c smallCase) budget(k int) int {
	limit := c.limits[k]
	worker := slices.ContainsFunc(c.fleets, func(f smallFleet) bool { return f.user == "worker" })
	if limit.Name == "role/worker" { // no reserve: nobody else is turned away
		if worker {
			return limit.Limit - c.ghosts
		}
		return limit.Limit
	}
	return limit.Limit - min(c.reserve, limit.Limit) - c.others - c.ghosts
}

// there is the grants of the pods that stay, largest first: those that no
// replica asks for are as good as leaving, where no gate holds back others.
func (f smallFleet) there() (stay, leave []int) {
	stay = slices.Clone(f.staying)
	slices.SortFunc(stay, func(a, b int) int { return b - a })
	leave = slices.Clone(f.leaving)
	if n := f.pods(f.spec); f.mode == Target && n < len(stay) {
		leave = append(leave, stay[n:]...)
		stay = stay[:n]
	}
	return stay, leave
}

// pods is how many pods there can be of n replicas.
func (f smallFleet) pods(n int) int {
	if f.mode == Gate || n == 0 {
		return n
	}
	return n + f.surge.Up(n)
}

// needs is the connections of n replicas: the pods that are there, the largest
// first, and new ones.
func (f smallFleet) needs(n int) int {
	stay, _ := f.there()
	sum := 0
	for i := range f.pods(n) {
		if i < len(stay) {
			sum += stay[i]
		} else {
			sum += f.perPod
		}
	}
	return sum
}

// wants says in which class of the order the n-th pod is; 0 is none.
func (f smallFleet) wants(n int) int {
	stay, _ := f.there()
	asked := min(max(f.backlog, f.least), mostPods)
	lately := asked // an earlier demand keeps what is asked for to run
	if f.earlier > asked {
		lately = max(asked, min(f.earlier, f.spec))
	}
	switch {
	case f.refused:
		if n <= min(f.carried, f.spec) {
			return 1
		}
		return 0
	case n <= f.least:
		return 1
	case n <= asked && n == 1:
		return 2
	case n <= asked:
		return 3
	case n <= lately && n <= len(stay):
		return 4
	}
	return 0
}

// place is one unit of the order: the n-th pod of one workload.
type place struct{ class, fleet, n int }

// order is all units that anybody wants, the most deserving first.
func (c smallCase) order() []place {
	var all []place
	for i, f := range c.fleets {
		for n := 1; n <= mostPods; n++ {
			if class := f.wants(n); class > 0 {
				all = append(all, place{class, i, n})
			}
		}
	}
	slices.SortFunc(all, func(a, b place) int {
		fa, fb := c.fleets[a.fleet], c.fleets[b.fleet]
		new := func(f smallFleet, n int) int {
			if stay, _ := f.there(); n > len(stay) {
				return 1
			}
			return 0
		}
		return cmp.Or(
			a.class-b.class,
			fb.priority-fa.priority,
			a.n-b.n, // max-min fair
			new(fa, a.n)-new(fb, b.n),
			cmp.Compare(fa.name, fb.name),
		)
	})
	return all
}

// feasible reports whether each pod of an allocation fits beside those before it.
func (c smallCase) feasible(allocation []int, order []place) bool {
	given := make([]int, len(c.fleets))
	for _, p := range order {
		if p.n > allocation[p.fleet] {
			continue
		}
		given[p.fleet] = p.n
		for k := range c.limits {
			if !c.refuses(k, c.fleets[p.fleet].user) {
				continue
			}
			sum := 0
			for i, f := range c.fleets {
				if c.counts(k, f.user) {
					sum += f.needs(given[i])
				}
			}
			if sum > c.budget(k) {
				return false
			}
		}
	}
	return true
}

// best tries every allocation that anybody could want.
func (c smallCase) best() []int {
	order := c.order()
	most := make([]int, len(c.fleets))
	for _, p := range order {
		most[p.fleet] = max(most[p.fleet], p.n)
	}
	has := func(allocation []int) []int {
		v := make([]int, len(order))
		for i, p := range order {
			if p.n <= allocation[p.fleet] {
				v[i] = 1
			}
		}
		return v
	}
	var best []int
	try := make([]int, len(c.fleets))
	for {
		if c.feasible(try, order) && (best == nil || slices.Compare(has(try), has(best)) > 0) {
			best = slices.Clone(try)
		}
		i := 0
		for ; i < len(try) && try[i] == most[i]; i++ {
			try[i] = 0
		}
		if i == len(try) {
			return best
		}
		try[i]++
	}
}

// TestAllocationAgainstEveryOther: the shares are, of all allocations whose pods
// fit, the one that serves the most deserving pods first.
func TestAllocationAgainstEveryOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			c := drawSmallCase(t)
			thought, _ := c.decide()
			var got []int
			for _, f := range thought.fleets {
				got = append(got, f.share)
			}
			if want := c.best(); !slices.Equal(got, want) {
				t.Fatalf("shares %v, the best are %v of %v in\n%+v", got, want, c.order(), c)
			}
		}
	})
}

// TestPromisesTogetherFitTheBudget: if every workload takes its target at the
// same time, and every pod starts that was let through the gate, all pods fit
// beside each other, those included that only leave by and by.
func TestPromisesTogetherFitTheBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			c := drawSmallCase(t)
			_, plan := c.decide()
			for k, limit := range c.limits {
				if slices.ContainsFunc(c.fleets, func(f smallFleet) bool { return c.counts(k, f.user) && !c.refuses(k, f.user) }) {
					continue // who is counted but not refused may go over it
				}
				sum, promised := 0, false
				for i, f := range c.fleets {
					more := len(plan.Workloads[i].Admissions)
					if f.mode != Gate {
						more = f.more(plan.Workloads[i].Target)
					}
					if c.counts(k, f.user) {
						sum += f.holds() + more*f.perPod
					}
					promised = promised || more > 0 && more > f.more(0) && c.refuses(k, f.user)
				}
				if promised && sum > c.budget(k) {
					for _, w := range plan.Workloads {
						t.Logf("%s  admits %v", Describe(w), w.Admissions)
					}
					t.Fatalf("%s carries %d for workers, but they were promised %d:\n%+v", limit.Name, c.budget(k), sum, c)
				}
			}
		}
	})
}

// holds is the grants of all pods that are there.
func (f smallFleet) holds() int {
	sum := 0
	for _, grant := range append(slices.Clone(f.staying), f.leaving...) {
		sum += grant
	}
	return sum
}

// more is how many pods may come on the way to a target. Without the gate that
// is what the replicas that there are still lack, whatever the target is.
func (f smallFleet) more(target int) int {
	if f.mode == Gate {
		return 0
	}
	stay, _ := f.there()
	pods := f.spec
	if target > f.spec {
		pods = f.pods(target)
	}
	return max(0, pods-len(stay))
}
