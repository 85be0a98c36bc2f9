package policy

import (
	"fmt"

	"github.com/keda-headroom/headroom/metrics"
)

// decide turns a fleet's demand and ceiling into what KEDA is told, noting each
// rule that changes the number.
func (f *fleet) decide(asked []Step, failure string, all []*constraint, fleets []*fleet) WorkloadPlan {
	p := WorkloadPlan{
		ID: f.ID, Mode: f.Mode, Demand: f.demand, Replicas: f.state.SpecReplicas,
		Holding: len(f.pods), Gated: f.gated(), Ungated: f.ungated, Share: f.share, Steps: asked, Failure: failure,
	}
	n := f.demand.Backlog
	step := func(s Step) {
		p.Steps = append(p.Steps, s)
		n = s.After
	}
	if f.demand.Known {
		if n < f.lo {
			step(Step{MinReplicas, n, f.lo, fmt.Sprintf("at least %s are kept", replicas(f.lo))})
		}
		if n > f.hi {
			step(Step{MaxReplicas, n, f.hi, fmt.Sprintf("at most %s are allowed", replicas(f.hi))})
		}
		if f.demand.Smoothed > n {
			step(Step{ScaleDownStabilization, n, f.demand.Smoothed, f.whyKept()})
		}
	}
	for _, s := range f.cap(n, all, fleets) {
		if n <= f.lo {
			s.Sentence += fmt.Sprintf("; this wins over the minimum of %d", f.lo)
		}
		step(s)
	}
	f.target = n
	p.Target, p.Ceiling = n, min(f.ceiling, maxReplicas)
	last := p.Steps[len(p.Steps)-1]
	p.Reason, p.Sentence = last.Reason, last.Sentence
	limited := p.Reason == ConnectionBudget || p.Reason == FairShare || p.Reason == RolloutOverlap
	if c := f.limit.binding; limited && c != nil {
		p.Binding = c.label()
	}

	if p.Reason != Demand && p.Reason != MinReplicas && p.Reason != ScaleDownStabilization {
		if short := f.unreachable(n, limited); short != nil {
			step(*short)
		}
	}

	if f.Mode == Observe {
		p.Failure = "" // an error would let KEDA's fallback change something
	}
	if !f.known {
		p.Failure = fmt.Sprintf("the pods and replicas of %s were never read: %s", f.ID, f.frozen.Sentence)
	}
	p.Value, p.Active = f.answer(p)
	if f.Mode == Observe {
		p.Value, p.Active = float64(f.state.SpecReplicas), f.state.SpecReplicas > 0
		if f.state.Jobs != nil {
			p.Value, p.Active = 0, false // those that are there stay by themselves
		}
		p.Steps = append(p.Steps, Step{Observing, p.Target, f.state.SpecReplicas, fmt.Sprintf("nothing is changed: the present %s are held", replicas(f.state.SpecReplicas))})
	}
	for i := range f.uses {
		p.Uses = append(p.Uses, f.usePlan(i))
	}
	return p
}

// answer is what KEDA is told of a plan.
//
// KEDA goes from zero to max(minReplicaCount, 1) without a look at the value, so
// only where the ceiling carries that many. It goes to zero when inactive, so
// never where there are replicas and the queue has work or can't be read. Of a
// ScaledJob it ends nothing, and creates only what is active.
func (f *fleet) answer(p WorkloadPlan) (value float64, active bool) {
	if jobs := f.state.Jobs; jobs != nil {
		if !f.settling {
			value = encodeJobs(p.Target, f.state.MinReplicas, *jobs)
		}
		return value, p.Target > jobs.Running
	}
	value = float64(p.Target)
	if f.state.StatusReplicas > p.Ceiling || !f.demand.Known {
		value = encode(p.Target, f.state.StatusReplicas, f.state.HPA.ScaleDownToleranceMilli)
	}
	if f.state.SpecReplicas == 0 {
		return value, f.wanted() && p.Target > 0 && p.Target >= f.state.MinReplicas
	}
	return value, !f.demand.Known || f.wanted()
}

// wanted says whether the queue, or the policy, wants any replica. The
// ScaledObject's own minimum does not: KEDA keeps it by itself, or goes below it
// where nothing is wanted and there is an idleReplicaCount.
func (f *fleet) wanted() bool {
	if !f.Queue() {
		return false // whoever asks says so to KEDA
	}
	floor := 0
	if f.MinReplicas == 0 {
		floor = f.lo
	}
	return f.demand.Backlog > 0 || f.demand.Smoothed > floor
}

// gated counts the pods that wait at the gate.
func (f *fleet) gated() int {
	n := 0
	for i := range f.state.Pods {
		p := &f.state.Pods[i]
		if p.Gated && !p.Finished && !p.Terminating {
			n++
		}
	}
	return n
}

// usePlan accounts for what the fleet has of its i-th database.
func (f *fleet) usePlan(i int) UsePlan {
	u := f.uses[i]
	out := UsePlan{Database: u.Database, PerPod: u.perPod, Declared: u.ConnectionsPerPod}
	out.ObservedKnown = u.server.unknown == "" && !u.server.full
	byAddress := out.ObservedKnown && u.server.data.Attribution == metrics.ByAddress
	ready := 0
	for _, p := range f.pods {
		out.Granted += p.grants[i]
		if p.Ready {
			ready++
		}
		if !out.ObservedKnown {
			continue
		}
		out.Observed += p.observed[i]
		if byAddress {
			out.ObservedMax = max(out.ObservedMax, p.observed[i])
		}
	}
	out.Unattributed = out.ObservedKnown && ready > 0 && out.Observed == 0
	return out
}
