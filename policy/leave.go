package policy

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// evictionPatience is how long a pod may take to be seen leaving after its eviction
// was issued. One that is still there then was refused, by a PodDisruptionBudget
// say, and others go in its place; it is asked again once there are none.
const evictionPatience = 5 * time.Second

// leaves reports whether a pod is on its way out: it is terminating, or was told to
// go a moment ago.
func (f *fleet) leaves(now time.Time, p *pod) bool {
	e, told := f.memory.Evicted[p.UID]
	return p.Terminating || told && now.Sub(e.At) < evictionPatience
}

// begun reports whether a pod may hold connections that somebody works with. What
// has not begun is given up first.
func (p *pod) begun() bool {
	return p.Started || slices.ContainsFunc(p.observed, func(n int) bool { return n > 0 })
}

// leavers returns the pods past the gate that could be taken away, the first to go
// first: what has not begun, what is not ready, the oldest revision, the highest
// ordinal, the youngest. Whoever was asked before and stayed goes last.
func (f *fleet) leavers(now time.Time) []*pod {
	var out []*pod
	for _, p := range f.pods {
		if !p.promised && !f.leaves(now, p) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *pod) int {
		return cmp.Or(
			cmp.Compare(f.memory.Evicted[a.UID].Tries, f.memory.Evicted[b.UID].Tries),
			falseFirst(a.begun(), b.begun()), falseFirst(a.Ready, b.Ready),
			cmp.Compare(a.Revision, b.Revision), cmp.Compare(b.Ordinal, a.Ordinal),
			b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.UID, b.UID))
	})
	return out
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// mayEvict reports whether pods of the fleet may be taken away at all: it is in mode
// Gate, so that what comes in their place waits, and an eviction is no failure of a
// Job.
func (f *fleet) mayEvict() bool {
	return f.Mode == Gate && f.acts() && (f.state.Jobs == nil || f.state.Jobs.Disposable)
}

// evict takes a pod away.
func (f *fleet) evict(now time.Time, p *pod, reason EvictionReason, sentence string) {
	f.evictions = append(f.evictions, Eviction{
		UID: p.UID, Name: p.Name, Version: p.Version, Reason: reason, Sentence: sentence,
		IgnoreDisruptionBudgets: f.Shedding.IgnoreDisruptionBudgets,
	})
	if f.memory.Evicted == nil {
		f.memory.Evicted = map[string]Evicted{}
	}
	tries := f.memory.Evicted[p.UID].Tries + 1
	f.memory.Evicted[p.UID] = Evicted{At: now, Tries: tries, Reason: reason, Sentence: sentence}
}

// forgetEvicted drops evictions of pods that are gone.
func (f *fleet) forgetEvicted() {
	evicted := maps.Clone(f.memory.Evicted)
	maps.DeleteFunc(evicted, func(uid string, _ Evicted) bool {
		return !slices.ContainsFunc(f.state.Pods, func(p metrics.Pod) bool { return p.UID == uid && !p.Finished })
	})
	f.memory.Evicted = evicted
}

// reevict repeats evictions that are not seen to have happened: a request may have
// been lost, or refused for a moment. What was to be shed and need not be any more is
// not asked again.
func (f *fleet) reevict(now time.Time, all []*constraint) {
	if !f.mayEvict() {
		return
	}
	for _, p := range f.pods {
		e, told := f.memory.Evicted[p.UID]
		if !told || p.Terminating || p.promised || now.Sub(e.At) >= evictionPatience {
			continue
		}
		if e.Reason == Shed && !slices.ContainsFunc(all, func(c *constraint) bool { return c.tight && f.on(c, p.grants) > 0 }) {
			continue
		}
		f.evictions = append(f.evictions, Eviction{
			UID: p.UID, Name: p.Name, Version: p.Version, Reason: e.Reason, Sentence: e.Sentence,
			IgnoreDisruptionBudgets: f.Shedding.IgnoreDisruptionBudgets,
		})
	}
}

// overdue takes away the pods that were let through and have not become ready in
// time, while others wait for their connections.
func overdue(now time.Time, all []*constraint, fleets []*fleet) {
	if !slices.ContainsFunc(fleets, func(f *fleet) bool { return f.denied }) {
		return
	}
	for _, f := range fleets {
		if !f.mayEvict() {
			continue
		}
		for _, p := range f.leavers(now) {
			m := p.remembered
			if p.Grant == nil || p.Ready || !m.ReadySeen.IsZero() || m.PassedSeen.IsZero() || now.Sub(m.PassedSeen) < f.ReadyTimeout {
				continue
			}
			for _, c := range all {
				if f.on(c, p.grants) > 0 && waitsFor(c, fleets) {
					f.evict(now, p, ReadyTimeout, "it was let through "+now.Sub(m.PassedSeen).Round(time.Second).String()+
						" ago and is not ready yet, and others wait for its connections on "+c.label())
					break
				}
			}
		}
	}
}

// waitsFor reports whether a pod waits at the gate that needs connections of c.
func waitsFor(c *constraint, fleets []*fleet) bool {
	return slices.ContainsFunc(fleets, func(f *fleet) bool { return f.denied && f.cost[c.index] > 0 })
}
