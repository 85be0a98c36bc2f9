package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// Decide makes one plan for a group from what was known at now, and returns what
// the next decision must remember. It changes none of its arguments.
//
// Every key of g must be resolved ([Resolve]); readings that s lacks are
// unknown. l is the ledger that Decide returned for the same databases and
// workloads before; the zero Ledger, as after a restart without memory, promises
// nothing beyond what is present until others were watched for one window.
func Decide(now time.Time, g Group, s Snapshot, l Ledger) (Plan, Ledger) {
	t := think(now, g, s, l)
	plan := Plan{At: now, Group: g.Name(), Databases: databasePlans(g, t.serverOf), Workloads: make([]WorkloadPlan, 0, len(t.fleets))}
	for i, f := range t.fleets {
		plan.Workloads = append(plan.Workloads, f.decide(t.asked[i], t.failures[i], t.constraints, t.fleets))
	}
	// What is let through the gate must fit beside the targets just decided.
	admissions := admit(t.constraints, t.fleets)
	for _, f := range t.fleets {
		f.reevict(now, t.constraints)
	}
	shed(now, t.constraints, t.fleets)
	overdue(now, t.constraints, t.fleets)
	for _, f := range t.fleets {
		f.swap(now, admissions[f.ID])
	}
	next := Ledger{Databases: t.databases, Workloads: make(map[metrics.ID]WorkloadMemory, len(t.fleets))}
	for i, f := range t.fleets {
		w := &plan.Workloads[i]
		w.Admissions, w.Stamps, w.Evictions = admissions[f.ID], f.stamps(admissions[f.ID]), f.evictions
		next.Workloads[f.ID] = f.remember(now, *w)
	}
	return plan, next
}

// thought is everything that a plan is made of.
type thought struct {
	servers     []*server
	serverOf    map[metrics.ID]*server // by each of their names
	databases   map[metrics.ID]DatabaseMemory
	constraints []*constraint
	fleets      []*fleet
	asked       [][]Step
	failures    []string
}

// think goes from readings to shares and ceilings.
func think(now time.Time, g Group, s Snapshot, l Ledger) thought {
	t := thought{asked: make([][]Step, len(g.Workloads)), failures: make([]string, len(g.Workloads))}
	t.servers, t.databases = identify(now, g, s, l)
	t.serverOf = map[metrics.ID]*server{}
	for _, sv := range t.servers {
		for _, name := range sv.policies {
			t.serverOf[name.ID] = sv
		}
	}
	t.constraints = constrain(t.servers)
	t.fleets = make([]*fleet, 0, len(g.Workloads))
	for _, w := range g.Workloads {
		t.fleets = append(t.fleets, newFleet(now, w, t, s, l.Workloads[w.ID]))
	}
	byAddress := addresses(t.fleets)
	for _, sv := range t.servers {
		if sv.unknown == "" {
			account(sv, t.fleets, byAddress)
			sv.remember(now, t.databases)
		}
	}
	for _, f := range t.fleets {
		f.raiseGrants()
		f.release()
		f.observe(now)
	}
	settle(t.constraints, t.fleets)
	press(now, t.servers, t.fleets, t.databases)
	for i, f := range t.fleets {
		f.measure(now, t.constraints)
		t.asked[i], t.failures[i] = f.ask(now, s.Queues[f.ID], s.Points[f.ID])
	}
	allocate(t.constraints, t.fleets)
	ceilings(t.constraints, t.fleets)
	return t
}

// databasePlans renders the accounts, for each name of each server.
func databasePlans(g Group, serverOf map[metrics.ID]*server) []DatabasePlan {
	plans := make([]DatabasePlan, 0, len(g.Databases))
	for _, p := range g.Databases {
		s := serverOf[p.ID]
		d := DatabasePlan{ID: p.ID, Server: s.data.Server, Unknown: cmp.Or(s.unknown, s.unread[p.ID]), Starting: s.starting}
		for _, c := range s.constraints {
			d.Constraints = append(d.Constraints, c.ConstraintPlan)
		}
		plans = append(plans, d)
	}
	return plans
}

// remember is what the next decision has to know of the fleet.
func (f *fleet) remember(now time.Time, p WorkloadPlan) WorkloadMemory {
	m := f.memory
	m.Pods = f.rememberPods(now, p.Admissions)
	m.Admitted = map[string]Admitted{}
	for _, pd := range f.pods {
		if a, issued := f.memory.Admitted[pd.UID]; pd.Gated && issued {
			m.Admitted[pd.UID] = a
		}
	}
	for _, a := range p.Admissions {
		m.Admitted[a.UID] = Admitted{Version: a.Version, Grants: f.granted(a)}
	}
	m.Ghosts = map[metrics.ID]int{}
	for _, u := range f.uses {
		if u.ghosts > 0 {
			m.Ghosts[u.Database] += u.ghosts
		}
	}
	m.Departed = nil
	for _, d := range f.departed {
		d.Departed.Grants = f.byDatabase(d.grants)
		for _, n := range d.grants {
			if n > 0 {
				m.Departed = append(m.Departed, d.Departed)
				break
			}
		}
	}
	m.Told = Peak{}
	if f.Mode == Target {
		m.Told = f.memory.Told.Add(now, p.Target, f.state.HPA.ScaleDownStabilization+hpaFlight+fleetMaxAge)
	}
	if f.frozen == nil || !m.CarriedKnown && f.frozen.Reason == Stopped {
		grants := map[metrics.ID]int{}
		for i, u := range f.uses {
			held, some := 0, false
			for _, pd := range f.pods {
				// What is promised and about to be taken back is not carried.
				if !pd.promised || slices.ContainsFunc(p.Admissions, func(a Admission) bool { return a.UID == pd.UID }) {
					held, some = held+pd.grants[i], true
				}
			}
			if some {
				grants[u.Database] += held
			}
			for _, a := range p.Admissions {
				if !f.holds(a.UID) {
					grants[u.Database] += u.perPod
				}
			}
			if f.starting() != "" {
				// A pod that goes while others are still being watched may be replaced.
				grants[u.Database] = max(grants[u.Database], f.memory.CarriedGrants[u.Database])
			}
		}
		m.Carried, m.CarriedKnown, m.CarriedGrants = p.Target, true, grants
	}
	return m
}

// rememberPods is what the next decision has to know of the pods: mostly the very same
// as this one had to.
func (f *fleet) rememberPods(now time.Time, admissions []Admission) map[string]PodMemory {
	same := !f.uncounted && len(admissions) == 0 && f.memory.Pods != nil
	var like *pod // the one before
	for _, p := range f.pods {
		same = f.renew(now, p, like) && same
		like = p
	}
	if same {
		return f.memory.Pods
	}
	out := make(map[string]PodMemory, len(f.pods)+len(admissions))
	for _, p := range f.pods {
		out[p.UID] = p.remembered
	}
	for _, a := range admissions {
		if !f.holds(a.UID) {
			// It may pass, open its connections and be deleted before the next plan.
			out[a.UID] = PodMemory{Grants: f.granted(a)}
		}
	}
	return out
}

// renew brings what is remembered of a pod up to date, and reports whether it was.
// Grants that are like those of the pod before, as most are, are kept once.
func (f *fleet) renew(now time.Time, p, like *pod) (same bool) {
	m := &p.remembered
	same = p.known
	if m.Address != p.Address {
		m.Address, same = p.Address, false
	}
	if p.Ready && m.ReadySeen.IsZero() {
		m.ReadySeen, same = now, false
	}
	if !p.Gated && m.PassedSeen.IsZero() {
		m.PassedSeen, same = now, false
	}
	switch {
	case p.unmoved:
	case like != nil && slices.Equal(p.grants, like.grants):
		m.Grants, same = like.remembered.Grants, false
	default:
		m.Grants, same = f.byDatabase(p.grants), false
	}
	return same
}

// granted is what an admission grants, by database.
func (f *fleet) granted(a Admission) map[metrics.ID]int {
	grants := map[metrics.ID]int{}
	for _, u := range f.uses {
		grants[u.Database] = a.Grant[u.key]
	}
	return grants
}

// holds reports whether the pod is counted among those that may hold
// connections.
func (f *fleet) holds(uid string) bool {
	return slices.ContainsFunc(f.pods, func(p *pod) bool { return p.UID == uid })
}

func (f *fleet) byDatabase(byUse []int) map[metrics.ID]int {
	out := map[metrics.ID]int{}
	for i, u := range f.uses {
		out[u.Database] += byUse[i]
	}
	return out
}
