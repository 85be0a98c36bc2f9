package policy

import (
	"cmp"
	"slices"

	"github.com/keda-headroom/headroom/metrics"
)

// admit lets waiting pods pass the gate by the admission rule: for each
// constraint that a pod must fit, from one reading of bounded age,
//
//	used + Σ max(0, grant − observed) + grant(pod) ≤ limit − reserve − max(0, high water − others)
//
// where the sum goes over all living granted pods, and over departed ones that
// the reading can't speak for yet. As used = others + ghosts + Σ observed, that
// is grant(pod) ≤ [ConstraintPlan].Free less what is promised to pods that
// nobody gates.
//
// Pods go in the order of the shares; within one workload the newest revision
// first, then the lowest ordinal, then the oldest. A pod that does not fit keeps
// its place: what is free stays free for it, nothing smaller slips in.
func admit(all []*constraint, fleets []*fleet) map[metrics.ID][]Admission {
	free := make([]int, len(all))
	for k, c := range all {
		free[k] = c.Free
		for _, f := range fleets {
			free[k] -= f.uncontrolled() * f.cost[k]
		}
	}
	unfenced := unfenced(all, fleets)
	out := map[metrics.ID][]Admission{}
	var queue units
	waiting := make([][]*metrics.Pod, len(fleets))
	for i, f := range fleets {
		if f.Mode == Observe {
			out[f.ID] = f.letAll()
			continue
		}
		out[f.ID] = f.readmit(free)
		waiting[i] = f.waiting()
		f.denied = len(waiting[i]) > 0
		if next, ok := f.next(i, f.staying+1, len(waiting[i])); ok {
			queue = append(queue, next)
		}
	}
	queue.order()
	for len(queue) > 0 {
		u := queue[0]
		f := fleets[u.fleet]
		p := waiting[u.fleet][0]
		waiting[u.fleet] = waiting[u.fleet][1:]
		fits := f.replaceable()
		for k := range all {
			if f.fits[k] && (unfenced[k] || f.cost[k] > free[k]) {
				fits = false
			}
		}
		for k := range all {
			free[k] -= f.cost[k] // taken, or kept free for it
		}
		if fits {
			f.denied = len(waiting[u.fleet]) > 0
			out[f.ID] = append(out[f.ID], f.admission(p))
		}
		next, more := f.next(u.fleet, u.n+1, len(waiting[u.fleet]))
		queue.follow(next, fits && more)
	}
	return out
}

// unfenced returns on which constraints an earlier leader may still let pods through:
// with which grant, by which policy, nobody can know. A pod without any term on it was
// never let through by the rule.
func unfenced(all []*constraint, fleets []*fleet) []bool {
	out := make([]bool, len(all))
	for k, c := range all {
		for _, f := range fleets {
			for _, p := range f.pods {
				out[k] = out[k] || p.promised && p.Epoch != "" && !f.issued(p.Pod) && f.on(c, p.grants) > 0
			}
		}
	}
	return out
}

// uncontrolled is how many pods may appear that nobody gates: those on their
// way, those that this very plan asks for, and a rollout's surge. Of those, pods
// that are left at the gate from before are not, they wait their turn.
func (f *fleet) uncontrolled() int {
	if f.gates() {
		return 0
	}
	n := f.coming
	if f.Mode == Target {
		n = max(n, f.podsFor(f.target)-f.staying)
	}
	if f.Mode != Observe {
		n = max(0, n-len(f.waiting()))
	}
	return n
}

// next is the fleet's n-th pod in the order of admission, or false where none
// waits or the ceiling carries no more. Shares come before what lies between
// share and ceiling.
func (f *fleet) next(index, n, waiting int) (unit, bool) {
	if waiting == 0 || n > max(f.share, f.ceiling) {
		return unit{}, false
	}
	u, ok := f.unit(index, n)
	if !ok || n > f.share {
		u = unit{stage: 5, priority: f.Priority, n: n, missing: true, fleet: index}
	}
	return u, true
}

// acts reports whether anything may be done to the fleet's pods: we lead, and know
// which there are.
func (f *fleet) acts() bool {
	return f.epoch != "" && (f.frozen == nil || f.frozen.Reason != ReplicasUnknown)
}

// waiting returns the pods that only our gate holds back, in order.
func (f *fleet) waiting() []*metrics.Pod {
	if !f.acts() {
		return nil
	}
	var out []*metrics.Pod
	for i := range f.state.Pods {
		p := &f.state.Pods[i]
		if p.Gated && !p.OtherGates && !p.Terminating && !p.Finished && !f.issued(p) && f.fenced(p) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *metrics.Pod) int {
		return cmp.Or(cmp.Compare(b.Revision, a.Revision), cmp.Compare(a.Ordinal, b.Ordinal),
			a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	return out
}

// letAll lets every pod through that is left at the gate of a fleet in mode
// Observe, which holds nothing back.
func (f *fleet) letAll() []Admission {
	if !f.acts() {
		return nil
	}
	var out []Admission
	for i := range f.state.Pods {
		p := &f.state.Pods[i]
		if p.Gated && !p.OtherGates && !p.Terminating && !p.Finished {
			out = append(out, f.admission(p))
		}
	}
	return out
}

// replaceable reports whether the fleet may have one more pod, as far as its
// budgets have no say: a fleet that may not scale out may only replace, inside
// what was granted to it at the last good reading. It takes the pod's place
// there.
func (f *fleet) replaceable() bool {
	if f.frozen == nil && f.starting() == "" {
		return true
	}
	for i, u := range f.uses {
		if f.replaced[i]+u.perPod > f.memory.CarriedGrants[u.Database] {
			return false
		}
	}
	for i, u := range f.uses {
		f.replaced[i] += u.perPod
	}
	return true
}

// beyondCarried reports whether a fleet that may only replace has been promised
// more than was granted to it at the last good reading: by another mode, say.
func (f *fleet) beyondCarried() bool {
	if f.frozen == nil && f.starting() == "" {
		return false
	}
	for i, u := range f.uses {
		if f.replaced[i] > f.memory.CarriedGrants[u.Database] {
			return true
		}
	}
	return false
}

// issued reports whether the pod was admitted by an earlier plan.
func (f *fleet) issued(p *metrics.Pod) bool {
	_, ok := f.memory.Admitted[p.UID]
	return ok
}

// readmit repeats admissions that are not seen to have happened. They are
// counted already; while that is more than there is, they stay counted, for they
// may yet come true, but are not repeated: see [fleet.stamps].
func (f *fleet) readmit(free []int) []Admission {
	for k, fits := range f.fits {
		if fits && free[k] < 0 {
			return nil
		}
	}
	if !f.acts() || f.beyondCarried() {
		return nil
	}
	var out []Admission
	for _, p := range f.pods {
		if a, issued := f.memory.Admitted[p.UID]; p.Gated && issued {
			grant := map[string]int{}
			for _, u := range f.uses {
				grant[u.key] = a.Grants[u.Database]
			}
			out = append(out, Admission{UID: p.UID, Name: p.Name, Version: a.Version, Epoch: f.epoch, Grant: grant})
		}
	}
	return out
}

func (f *fleet) admission(p *metrics.Pod) Admission {
	grant := map[string]int{}
	for _, u := range f.uses {
		grant[u.key] = u.perPod
	}
	return Admission{UID: p.UID, Name: p.Name, Version: p.Version, Epoch: f.epoch, Grant: grant}
}

// stamps returns the gated pods that are written to, so that nothing that was sent
// before can come true any more: our term on those that an earlier leader may have
// let through, and on those whose admission, unanswered so far, no longer fits.
func (f *fleet) stamps(admissions []Admission) []Stamp {
	if !f.acts() || f.Mode == Observe {
		return nil
	}
	var out []Stamp
	for _, p := range f.pods {
		switch {
		case !p.promised || p.Terminating:
		case slices.ContainsFunc(admissions, func(a Admission) bool { return a.UID == p.UID }):
		case f.issued(p.Pod):
			// The same text again would change nothing, and so fence nothing.
			out = append(out, Stamp{UID: p.UID, Name: p.Name, Version: p.Version, Epoch: f.epoch + "/" + p.Version})
		default:
			out = append(out, Stamp{UID: p.UID, Name: p.Name, Version: p.Version, Epoch: f.epoch})
		}
	}
	return out
}
