package policy

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// cluster is a fake that does what it is told: a server, another application,
// and fleets whose controllers follow KEDA at once. Time passes in seconds, and
// all is read every second.
type cluster struct {
	t      testing.TB
	now    time.Time
	group  Group
	limit  int
	others int
	away   bool // the server can't be read
	fleets []*clusterFleet
	born   int

	databases map[metrics.ID]metrics.Reading[metrics.Database]
	ledger    Ledger
	plan      Plan
	most      int // connections at once, ever
}

type clusterFleet struct {
	Workload
	spec     int
	messages int64
	works    int64 // messages that a ready pod finishes in a second
	lives    time.Duration
	pods     []*clusterPod
	orphans  []metrics.Sessions // connections that outlived their pod
}

type clusterPod struct {
	metrics.Pod
	since time.Time // when it passed the gate
	until time.Time // when it is gone, if it is terminating
}

// startup is how long a pod takes to become ready, grace how long to go.
const (
	startup = 2 * time.Second
	grace   = 2 * time.Second
)

// newCluster reads policy documents as the program does.
func newCluster(t testing.TB, limit, others int, documents string) *cluster {
	t.Helper()
	parsed, problems := Parse(Source{Where: "story"}, []byte(documents))
	set, more := Resolve(parsed)
	groups := set.Groups(nil)
	if len(problems)+len(more) > 0 || len(groups) != 1 {
		t.Fatalf("%d groups, problems %v %v", len(groups), problems, more)
	}
	c := &cluster{t: t, now: noon, group: groups[0], limit: limit, others: others, databases: map[metrics.ID]metrics.Reading[metrics.Database]{}}
	for _, w := range c.group.Workloads {
		c.fleets = append(c.fleets, &clusterFleet{Workload: w})
	}
	return c
}

// fleet returns the fleet of a workload.
func (c *cluster) fleet(name string) *clusterFleet {
	i := slices.IndexFunc(c.fleets, func(f *clusterFleet) bool { return f.ID.Name == name })
	return c.fleets[i]
}

// pass lets seconds pass.
func (c *cluster) pass(seconds int) {
	for range seconds {
		c.now = c.now.Add(time.Second)
		for _, f := range c.fleets {
			c.control(f)
		}
		c.decide()
		used := c.others
		for i, f := range c.fleets {
			c.follow(f, c.plan.Workloads[i])
			for _, s := range c.sessions(f) {
				used += s.Count
			}
		}
		c.most = max(c.most, used)
	}
}

// control is the fleet's controller, its pods and its queue.
func (c *cluster) control(f *clusterFleet) {
	f.pods = slices.DeleteFunc(f.pods, func(p *clusterPod) bool { return !p.until.IsZero() && !c.now.Before(p.until) })
	n := 0
	for _, p := range f.pods {
		if f.lives > 0 && p.Ready && !c.now.Before(p.since.Add(f.lives)) {
			c.end(p)
		}
		if !p.Gated && !p.Terminating && p.Address == "" {
			p.Address = "10.0.0." + p.Name
		}
		p.Ready = !p.Gated && !p.Terminating && !c.now.Before(p.since.Add(startup))
		if p.Ready {
			f.messages = max(0, f.messages-f.works)
		}
		if !p.Terminating {
			n++
		}
	}
	for ; n < f.spec; n++ {
		c.born++
		name := fmt.Sprint(c.born)
		f.pods = append(f.pods, &clusterPod{Pod: metrics.Pod{UID: name, Name: name, CreatedAt: c.now, Gated: f.Mode == Gate, Epoch: term}, since: c.now})
	}
	for _, gated := range []bool{true, false} {
		for i := len(f.pods) - 1; i >= 0 && n > f.spec; i-- {
			if p := f.pods[i]; !p.Terminating && p.Gated == gated {
				c.end(p)
				n--
			}
		}
	}
}

func (c *cluster) end(p *clusterPod) {
	p.Terminating, p.Ready, p.until = true, false, c.now.Add(grace)
	if p.Gated {
		p.until = c.now
	}
}

// vanish takes a fleet's first ready pod from the API by force; its connections
// stay until settled is called.
func (c *cluster) vanish(f *clusterFleet) {
	i := slices.IndexFunc(f.pods, func(p *clusterPod) bool { return p.Ready })
	f.orphans = append(f.orphans, metrics.Sessions{User: f.Databases[0].User, Database: "orders", Address: f.pods[i].Address, Count: f.Databases[0].ConnectionsPerPod})
	f.pods = slices.Delete(f.pods, i, i+1)
}

// sessions is what a fleet's pods have open.
func (c *cluster) sessions(f *clusterFleet) []metrics.Sessions {
	out := slices.Clone(f.orphans)
	for _, p := range f.pods {
		if !p.Gated && !c.now.Before(p.since.Add(startup)) {
			out = append(out, metrics.Sessions{User: f.Databases[0].User, Database: "orders", Address: p.Address, Count: f.Databases[0].ConnectionsPerPod})
		}
	}
	return out
}

// decide reads everything and makes a plan.
func (c *cluster) decide() {
	database := c.group.Databases[0].ID
	s := Snapshot{Epoch: term, Databases: c.databases, Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{}, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{}}
	data := metrics.Database{Server: "A", Name: "orders", Attribution: metrics.ByAddress, Constraints: []metrics.Constraint{{Name: "server", Limit: c.limit}},
		Sessions: []metrics.Sessions{{User: "web", Database: "shop", Address: "10.9.0.1", Count: c.others}}}
	for _, f := range c.fleets {
		state := metrics.Fleet{SpecReplicas: f.spec}
		for _, p := range f.pods {
			state.Pods = append(state.Pods, p.Pod)
			if !p.Terminating {
				state.StatusReplicas++
			}
		}
		s.Fleets[f.ID] = metrics.Known(state, c.now)
		s.Queues[f.ID] = metrics.Known(metrics.Queue{Visible: f.messages}, c.now)
		data.Logins = append(data.Logins, metrics.Login{User: f.Databases[0].User, Database: "orders", Constraints: []string{"server"}})
		data.Sessions = append(data.Sessions, c.sessions(f)...)
	}
	if c.away {
		c.databases[database] = c.databases[database].Failed("connection refused")
	} else {
		c.databases[database] = metrics.Known(data, c.now)
	}
	c.plan, c.ledger = Decide(c.now, c.group, s, c.ledger)
}

// follow is KEDA, the HPA and the gate, all without delay.
func (c *cluster) follow(f *clusterFleet, p WorkloadPlan) {
	switch {
	case p.Failure != "" || f.Mode == Observe:
	case f.spec == 0 && p.Active, f.spec > 0 && !p.Active:
		f.spec = int(math.Ceil(p.Value))
	case f.spec > 0:
		f.spec = max(1, int(math.Ceil(p.Value)))
	}
	for _, a := range p.Admissions {
		for _, pod := range f.pods {
			if pod.UID == a.UID && pod.Gated {
				pod.Gated, pod.Grant, pod.since = false, a.Grant, c.now
			}
		}
	}
}

// expect holds the last decision to a target and its reason, and what there is to
// what was promised.
func (c *cluster) expect(name string, target int, reason Reason) {
	c.t.Helper()
	p, _ := c.plan.Workload(c.fleet(name).ID)
	if p.Target != target || p.Reason != reason {
		c.t.Errorf("%s after noon: want %d replicas (%s), got\n%s", c.now.Sub(noon), target, reason, Describe(p))
	}
}

// running counts a fleet's pods that are past the gate and stay.
func (f *clusterFleet) running() int {
	n := 0
	for _, p := range f.pods {
		if !p.Gated && !p.Terminating {
			n++
		}
	}
	return n
}
