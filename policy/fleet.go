package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// fleetMaxAge is how old the state of pods and replicas may be. Watches deliver
// it within a second; half a minute without means the API server is away.
const fleetMaxAge = 30 * time.Second

// fleet is one workload as one decision sees it.
type fleet struct {
	Workload
	state metrics.Fleet
	began time.Time // of the reading that state is from
	// known is whether there is any state, frozen whether and why nobody may
	// scale out.
	known  bool
	frozen *Refusal
	// settling is whether Jobs were created a moment ago.
	settling bool
	memory   WorkloadMemory
	epoch    string // the term in which we lead, "" while we don't
	// ungated counts pods that came into being without the gate in mode Gate.
	ungated int

	uses []use
	pods []*pod // that may hold connections
	// uncounted is whether a pod that was counted before is not among them.
	uncounted bool
	departed  []departed

	// By constraint: which uses it counts, what one more pod costs, and whether a pod
	// must fit.
	counted [][]int
	cost    []int
	fits    []bool
	// kept[k][n] is what the n pods with the largest grants hold of constraint
	// k, of those that are not terminating; leaving is what the others hold.
	kept    [][]int
	leaving []int
	// staying counts the pods that are not terminating; coming is how many more
	// may appear without another word from us.
	staying int
	coming  int

	lo, hi int // bounds on replicas
	demand DemandPlan
	// objective is what is known of the age of messages, nil without an objective.
	objective *ObjectivePlan
	// hold is how many of the replicas that are there have work in hand.
	hold int

	share, ceiling, target int
	limit                  limit // what the ceiling follows from
	now                    int   // replicas that there is room for beside what is leaving
	claim                  []int // by constraint: what it holds, is due, or may hold at once

	// evictions are the pods that this plan takes away.
	evictions []Eviction
	// denied is whether a pod waits at the gate that this plan lets not through.
	denied bool
	// replaced is what is granted by use, admissions of this plan included,
	// while pods may only be replaced.
	replaced []int
}

// use is a Use with what the server says of it.
type use struct {
	Use
	key      string // what grants call the database: "namespace/name"
	server   *server
	database string         // on the server, resolved
	login    *metrics.Login // nil while the server was not asked about it
	perPod   int            // connections that one more pod is counted as
	ghosts   int            // where sessions can't be told apart by pod
}

// pod is a pod that may hold connections, with its connections by use.
type pod struct {
	*metrics.Pod // as the reading has it, never changed
	fleet        *fleet
	sibling      *pod // the next pod with the same address
	// remembered is what the last decision knew of it, and known whether it knew
	// anything; unmoved is whether its grants are those that are remembered.
	remembered     PodMemory
	known, unmoved bool
	// promised is true at the gate: an admission is on its way, ours or an earlier
	// leader's.
	promised bool
	grants   []int
	observed []int
	excused  []int // nil where none are
}

// departed is a pod that is gone, with its connections by use.
type departed struct {
	Departed
	grants   []int
	observed []int
}

// hpaFlight is how long the HPA may take from asking for a value to acting on
// it, and Kubernetes to show it: an API server under load takes seconds.
const hpaFlight = 5 * time.Second

// kedaMaxReplicas is KEDA's default for maxReplicaCount.
const kedaMaxReplicas = 100

// newFleet looks a workload up in the readings.
func newFleet(now time.Time, w Workload, t thought, s Snapshot, m WorkloadMemory) *fleet {
	f := &fleet{Workload: w, memory: m, epoch: s.Epoch}
	reading := s.Fleets[w.ID]
	f.began = reading.Began()
	f.state, f.known = reading.At(now, fleetMaxAge)
	if !f.known {
		f.frozen = &Refusal{ReplicasUnknown, "pods and replicas: " + reading.Why(now, fleetMaxAge)}
		if f.state, f.known = reading.Last(); !f.known {
			f.state, f.known = m.Fleet, m.FleetKnown
		}
	}
	f.memory.Fleet, f.memory.FleetKnown = f.state, f.known
	if jobs := f.state.Jobs; jobs != nil {
		f.settling = settling(now, *jobs)
	}
	f.bounds()
	for _, u := range w.Databases {
		f.uses = append(f.uses, f.newUse(u, t.serverOf[u.Database]))
	}
	f.counted = make([][]int, len(t.constraints))
	for k, c := range t.constraints {
		for i, u := range f.uses {
			if u.server == c.server && c.def.Counts(u.User, u.database) {
				f.counted[k] = append(f.counted[k], i)
			}
		}
	}
	if w.Refusal != nil && f.frozen == nil {
		f.frozen = w.Refusal
	}
	if w.Stopped && f.frozen == nil {
		f.frozen = &Refusal{Stopped, "somebody stopped the workload"}
	}
	if w.Mode != Gate {
		f.memory.GatedSince = time.Time{}
	} else if f.memory.GatedSince.IsZero() {
		f.memory.GatedSince = now
	}
	f.ungated = f.notGated()
	f.forget()
	f.forgetEvicted()
	f.grant()
	f.depart(now)
	return f
}

// bounds narrows the ScaledObject's own bounds by the policy's, and brings every
// number of replicas into the range that is looked at.
func (f *fleet) bounds() {
	for _, n := range []*int{&f.state.SpecReplicas, &f.state.StatusReplicas, &f.state.MinReplicas, &f.state.MaxReplicas} {
		*n = min(max(*n, 0), maxReplicas)
	}
	f.hi = f.state.MaxReplicas
	if f.hi == 0 && f.ScaleTarget == nil && f.PodSelector == nil {
		f.hi = kedaMaxReplicas
	}
	if f.hi == 0 {
		f.hi = maxReplicas
	}
	if f.MaxReplicas != nil {
		f.hi = min(f.hi, *f.MaxReplicas)
	}
	f.lo = min(f.hi, max(f.MinReplicas, f.state.MinReplicas))
}

// newUse looks at the server that a use is on, and freezes the workload where that
// is unknown or turns its login away.
func (f *fleet) newUse(u Use, s *server) use {
	out := use{Use: u, key: u.Database.String(), server: s, perPod: u.ConnectionsPerPod}
	if why := out.server.unread[u.Database]; why != "" {
		f.freeze(DatabaseUnknown, fmt.Sprintf("%s: %s", u.Database, why))
	}
	if out.server.unknown != "" {
		f.freeze(DatabaseUnknown, fmt.Sprintf("%s: %s", u.Database, out.server.unknown))
		return out
	}
	out.database = u.DatabaseName
	if out.database == "" {
		out.database = out.server.data.Name
	}
	out.login = s.logins[login{u.User, out.database}]
	switch {
	case out.login == nil:
		f.freeze(DatabaseUnknown, fmt.Sprintf("%s: not yet asked what limits user %q in database %q", u.Database, u.User, out.database))
	case out.login.Refused != "":
		f.freeze(Unauthorized, fmt.Sprintf("%s: %s", u.Database, out.login.Refused))
	}
	return out
}

// freeze keeps the workload from scaling out; the first cause is the one named.
func (f *fleet) freeze(reason Reason, sentence string) {
	if f.frozen == nil {
		f.frozen = &Refusal{reason, sentence}
	}
}

// forget drops admissions that did not come true and can't any more: their pods
// were written to since, which a patch on the version before does not outlive.
func (f *fleet) forget() {
	if len(f.memory.Admitted) == 0 || f.frozen != nil && f.frozen.Reason == ReplicasUnknown {
		return
	}
	admitted := maps.Clone(f.memory.Admitted)
	for i := range f.state.Pods {
		p := &f.state.Pods[i]
		if a, ok := admitted[p.UID]; ok && p.Gated && p.Version != a.Version {
			delete(admitted, p.UID)
		}
	}
	f.memory.Admitted = admitted
}

// fenced reports whether no patch of an earlier leader can let a gated pod through
// any more: our term was written on it since.
func (f *fleet) fenced(p *metrics.Pod) bool {
	rest, ours := strings.CutPrefix(p.Epoch, f.epoch)
	return f.epoch != "" && ours && (rest == "" || rest[0] == '/')
}

// grant counts what each pod may hold: what was stamped on it or else what its
// policy declares, but never less than it was counted as before.
func (f *fleet) grant() {
	pods := make([]pod, len(f.state.Pods))
	counts := make([]int, 2*len(pods)*len(f.uses))
	byUse := func() []int {
		vector := counts[:len(f.uses):len(f.uses)]
		counts = counts[len(f.uses):]
		return vector
	}
	f.pods = make([]*pod, 0, len(pods))
	for i := range f.state.Pods {
		p := &f.state.Pods[i]
		admitted, issued := f.memory.Admitted[p.UID]
		if p.Finished || (p.Gated && !issued && f.fenced(p)) {
			continue
		}
		out := &pods[i]
		*out = pod{Pod: p, fleet: f, promised: p.Gated, grants: byUse(), observed: byUse()}
		out.remembered, out.known = f.memory.Pods[p.UID]
		out.unmoved = out.remembered.Grants != nil && len(out.remembered.Grants) == len(f.uses)
		for i := range f.uses {
			u := &f.uses[i]
			granted, stamped := p.Grant[u.key]
			if !stamped {
				granted = u.ConnectionsPerPod
			}
			before, counted := out.remembered.Grants[u.Database]
			out.grants[i] = max(granted, admitted.Grants[u.Database], before)
			out.unmoved = out.unmoved && counted && out.grants[i] == before
		}
		f.pods = append(f.pods, out)
	}
}

// depart notes pods that were counted before and are gone now. Nothing is
// released by that.
func (f *fleet) depart(now time.Time) {
	living := make(map[string]bool, len(f.state.Pods)) // true where it is counted
	for _, p := range f.pods {
		living[p.UID] = true
	}
	for i := range f.state.Pods {
		if p := &f.state.Pods[i]; p.Gated && !living[p.UID] {
			living[p.UID] = false // it never passed, and holds nothing
		}
	}
	var gone []Departed
	for uid, m := range f.memory.Pods {
		counted, lives := living[uid]
		f.uncounted = f.uncounted || !counted
		if !lives {
			gone = append(gone, Departed{PodMemory: m, UID: uid, At: now})
		}
	}
	slices.SortFunc(gone, func(a, b Departed) int { return strings.Compare(a.UID, b.UID) })
	for _, d := range slices.Concat(f.memory.Departed, gone) {
		if _, lives := living[d.UID]; lives {
			continue // a stale state was shown in between
		}
		out := departed{Departed: d, grants: make([]int, len(f.uses)), observed: make([]int, len(f.uses))}
		for i, u := range f.uses {
			if u.releases(d.At) && (u.server.full || u.server.data.Attribution == metrics.ByAddress) {
				continue // whatever it still holds is visible, as ghosts
			}
			out.grants[i] = d.Grants[u.Database]
		}
		f.departed = append(f.departed, out)
	}
}

// releases reports whether the server's reading counts what a pod that was gone
// at left still holds. A full server counts everything as used.
func (u use) releases(left time.Time) bool {
	return u.server.unknown == "" && u.server.began.After(left)
}

// release lets go of departed pods where sessions can't be told apart by pod: a
// reading that began after they left shows no more than the living pods' grants.
func (f *fleet) release() {
	for i := range f.departed {
		d := &f.departed[i]
		for u := range f.uses {
			if f.uses[u].releases(d.At) && d.observed[u] == 0 {
				d.grants[u] = 0
			}
		}
	}
}

// raiseGrants lets no pod count as less than it was seen to hold.
func (f *fleet) raiseGrants() {
	for _, p := range f.pods {
		for u := range f.uses {
			if p.observed[u] > p.grants[u] {
				p.grants[u], p.unmoved = p.observed[u], false
			}
		}
	}
}

// observe learns from the pods what one of them opens. Where more than one pod
// is seen the largest is left out: a container that restarted in mid-query holds
// two pools for a while, and that one pod's own grant already says so.
func (f *fleet) observe(now time.Time) {
	if f.memory.PerPod == nil {
		f.memory.PerPod = map[metrics.ID]Peak{}
	}
	for i := range f.uses {
		u := &f.uses[i]
		window := u.server.window()
		if u.server.unknown == "" && u.server.data.Attribution == metrics.ByAddress && !u.server.full {
			most, second := 0, 0
			for _, p := range f.pods {
				second = max(second, min(most, p.observed[i]))
				most = max(most, p.observed[i])
			}
			if second == 0 {
				second = most // of only one
			}
			before := f.memory.PerPod[u.Database]
			if peak := before.Add(u.server.began, second, window); second > 0 && !peak.is(before) {
				f.memory.PerPod = maps.Clone(f.memory.PerPod)
				f.memory.PerPod[u.Database] = peak
			}
		}
		if most, ok := f.memory.PerPod[u.Database].Max(now, window); ok {
			u.perPod = max(u.perPod, most)
		}
	}
}

// on returns what connections by use amount to on one constraint.
func (f *fleet) on(c *constraint, byUse []int) int {
	sum := 0
	for _, i := range f.counted[c.index] {
		sum += byUse[i]
	}
	return sum
}

// measure fills in what the fleet holds and would need of each constraint.
func (f *fleet) measure(now time.Time, all []*constraint) {
	perPod := make([]int, len(f.uses))
	for i, u := range f.uses {
		perPod[i] = u.perPod
	}
	f.cost = make([]int, len(all))
	f.fits = make([]bool, len(all))
	f.leaving = make([]int, len(all))
	f.kept = make([][]int, len(all))
	f.replaced = make([]int, len(f.uses))
	for _, p := range f.pods {
		if !p.Terminating {
			f.staying++
		}
		for i, granted := range p.grants {
			f.replaced[i] += granted
		}
	}
	if !f.gates() {
		// Pods above spec.replicas are about to be deleted, or are already.
		f.staying = min(f.staying, f.podsFor(f.state.SpecReplicas))
	}
	for k, c := range all {
		f.cost[k] = f.on(c, perPod)
		f.fits[k] = f.mustFit(c)
		kept := make([]int, 1, len(f.pods)+1)
		for _, p := range f.pods {
			if p.Terminating {
				f.leaving[k] += f.on(c, p.grants)
			} else {
				kept = append(kept, f.on(c, p.grants))
			}
		}
		slices.SortFunc(kept[1:], func(a, b int) int { return b - a })
		for _, going := range kept[1+f.staying:] {
			f.leaving[k] += going
		}
		f.kept[k] = kept[:1+f.staying]
		for n := range f.staying {
			f.kept[k][n+1] += f.kept[k][n]
		}
	}
	if !f.gates() {
		// Without the gate whatever KEDA was told may still happen, if the state of
		// the pods is too old to show it.
		told, _ := f.memory.Told.Max(now, f.state.HPA.ScaleDownStabilization+hpaFlight+min(fleetMaxAge, max(0, now.Sub(f.began))))
		// With what a rollout of theirs would add.
		f.coming = max(0, f.podsFor(max(f.state.SpecReplicas, min(told, f.hi)))-f.staying)
	}
}

// mustFit reports whether a pod of this workload has to fit under a constraint:
// it is refused by it, or takes from what everybody on the server shares.
func (f *fleet) mustFit(c *constraint) bool {
	for _, i := range f.counted[c.index] {
		if c.def.User == "" && c.def.Database == "" {
			return true
		}
		// A login that was not asked about yet may be refused by any of them.
		if login := f.uses[i].login; login == nil || slices.Contains(login.Constraints, c.Name) {
			return true
		}
	}
	return false
}

// podsFor is how many pods n replicas can be at once. Without the gate a rollout
// adds its surge.
func (f *fleet) podsFor(n int) int {
	if f.gates() || n == 0 {
		return n
	}
	return n + f.state.MaxSurge.Up(n)
}

// gates reports whether pods of the fleet wait at the gate: it is in mode Gate, and
// no pod came past no gate since.
func (f *fleet) gates() bool { return f.Mode == Gate && f.ungated == 0 }

// gateSkew is by how much the API server's clock, which says when a pod was
// created, may be ahead of ours.
const gateSkew = 5 * time.Second

// notGated counts the pods that came into being without the gate since the
// fleet is in mode Gate.
func (f *fleet) notGated() int {
	if f.Mode != Gate {
		return 0
	}
	n := 0
	for i := range f.state.Pods {
		p := &f.state.Pods[i]
		if p.Holds() && p.Grant == nil && p.CreatedAt.Sub(f.memory.GatedSince) > gateSkew {
			n++
		}
	}
	return n
}

// need is what n replicas need of constraint k once whatever is leaving has
// left: what the pods hold that stay, and the cost of those that come.
func (f *fleet) need(n, k int) int { return f.needPods(f.podsFor(n), k) }

func (f *fleet) needPods(pods, k int) int {
	if pods <= f.staying {
		return f.kept[k][pods]
	}
	return f.kept[k][f.staying] + (pods-f.staying)*f.cost[k]
}

// committed is what the fleet holds of constraint k, or will without another
// word from us.
func (f *fleet) committed(k int) int {
	return f.leaving[k] + f.needPods(f.staying+f.coming, k)
}
