package policy

import (
	"fmt"
	"sort"
	"strconv"
)

// maxReplicas bounds every number of replicas that is looked at, far above what
// a cluster runs and far below where arithmetic could overflow.
const maxReplicas = 1_000_000

// limit is how many replicas something allows, and what said no to one more.
type limit struct {
	replicas int
	binding  *constraint // nil where nothing did
}

// ceilings sets every fleet's ceiling: how many replicas the budget carries
// after the other fleets' grants and shares.
//
// A pod that comes needs room now, beside everything that is held, is leaving,
// or is on its way without another word from us. A pod that is there needs only
// its share: it is counted already, and taking it away because others are still
// leaving would take away too much.
//
// What is leaving stands beside what comes until it has left. As long as there is
// less room for that than the shares need together, it goes to the same pods
// first as a share does: nobody waits for a slot that is free to be enough for
// two.
func ceilings(all []*constraint, fleets []*fleet) {
	claimed := make([]int, len(all)) // Σ over fleets of what each may hold at once
	for k, c := range all {
		for _, f := range fleets {
			f.claim = append(f.claim, f.committed(k))
			claimed[k] += f.claim[k]
		}
		claimed[k] += c.Departed
	}
	inOrder(fleets, func(f *fleet, n int) bool { return n <= f.share && f.come(n, all, claimed) })
	for k := range all {
		for _, f := range fleets {
			due := max(f.claim[k], f.need(f.share, k))
			claimed[k] += due - f.claim[k]
			f.claim[k] = due
		}
	}
	for _, f := range fleets {
		f.limit = f.fit(all, func(n, k int) bool {
			return claimed[k]-f.claim[k]+f.leaving[k]+f.need(n, k) <= all[k].Budget
		})
		f.ceiling = max(f.limit.replicas, f.now, min(f.share, f.state.SpecReplicas))
	}
}

// come lets the fleet's n-th pod come now, if there is room for it beside what
// all may hold at once. A replica that is there stays, with or without.
func (f *fleet) come(n int, all []*constraint, claimed []int) bool {
	could := func(k int) int { return max(f.claim[k], f.leaving[k]+f.need(n, k)) }
	for k, c := range all {
		if f.fits[k] && claimed[k]-f.claim[k]+could(k) > c.Budget {
			return n <= f.state.SpecReplicas
		}
	}
	for k := range all {
		claim := could(k)
		claimed[k] += claim - f.claim[k]
		f.claim[k] = claim
	}
	f.now = n
	return true
}

// fit returns the largest number of replicas for which ok holds on every
// constraint that the fleet must fit. ok must not become true again as n grows.
func (f *fleet) fit(all []*constraint, ok func(n, k int) bool) limit {
	out := limit{replicas: maxReplicas}
	for k, c := range all {
		if !f.fits[k] {
			continue
		}
		n := sort.Search(out.replicas+1, func(n int) bool { return !ok(n, k) }) - 1
		if n < out.replicas {
			out = limit{replicas: max(0, n), binding: c}
		}
		if n < 0 {
			return out
		}
	}
	return out
}

// frozenAt is how many replicas a frozen fleet keeps: what there is, and no more
// than the last plan that could see everything carried.
func (f *fleet) frozenAt() int {
	if !f.memory.CarriedKnown {
		return f.state.SpecReplicas
	}
	return min(f.memory.Carried, f.state.SpecReplicas)
}

// cap lowers wanted to what may be, and says why.
func (f *fleet) cap(wanted int, all []*constraint, fleets []*fleet) []Step {
	var steps []Step
	lower := func(to int, reason Reason, sentence string) {
		if wanted > to {
			steps = append(steps, Step{reason, wanted, to, sentence})
			wanted = to
		}
	}
	// What freezes the fleet speaks first where the budget has nothing to add.
	if wanted > f.ceiling && (f.frozen == nil || f.ceiling < f.frozenAt()) {
		reason, sentence := f.bound(wanted, all, fleets)
		lower(f.ceiling, reason, sentence)
	}
	if f.frozen != nil {
		f.ceiling = min(f.ceiling, f.frozenAt())
		lower(f.ceiling, f.frozen.Reason, fmt.Sprintf("%s: nobody scales out, the present %s may be replaced", f.frozen.Sentence, replicas(f.ceiling)))
	}
	if starting := f.starting(); starting != "" && f.ceiling > f.state.SpecReplicas {
		f.ceiling = f.state.SpecReplicas
		lower(f.ceiling, Starting, fmt.Sprintf("%s: until then nothing beyond the present %s", starting, replicas(f.ceiling)))
	}
	return steps
}

// starting says for how long others must still be watched on one of the fleet's
// databases, "" where they were.
func (f *fleet) starting() string {
	for _, u := range f.uses {
		if u.server.starting != "" {
			return u.server.starting
		}
	}
	return ""
}

// bound says which of the ceiling's parts keeps the fleet from wanted replicas:
// what others have of it where alone it could have one more, else its surge where
// without that it could have as many as wanted.
func (f *fleet) bound(wanted int, all []*constraint, fleets []*fleet) (Reason, string) {
	alone := f.fit(all, func(n, k int) bool { return f.leaving[k]+f.need(n, k) <= all[k].Budget })
	bare := f.fit(all, func(n, k int) bool { return f.needPods(n, k) <= all[k].Budget })
	c := f.limit.binding
	if alone.replicas <= f.ceiling || c == nil {
		c = alone.binding
	}
	if c == nil {
		return ConnectionBudget, ""
	}
	perPod := f.cost[c.index]
	switch {
	case alone.replicas > f.ceiling:
		beside := c.Departed
		for _, g := range fleets {
			if g != f {
				beside += g.claim[c.index]
			}
		}
		return FairShare, c.label() + " carries " + connections(c.Budget) + " for workers; others hold, are due or still leave with " + connections(beside) +
			" of them, which leaves " + replicas(f.ceiling) + " at " + strconv.Itoa(perPod) + " per pod"
	case bare.replicas >= wanted:
		return RolloutOverlap, fmt.Sprintf("%s carries %s; a rollout may add %d pods (maxSurge %s), so that %s at %d per pod fit at any time",
			c.label(), connections(c.Budget), f.podsFor(f.ceiling)-f.ceiling, f.state.MaxSurge, replicas(f.ceiling), perPod)
	}
	sentence := fmt.Sprintf("%s carries %s at %d per pod: of %s, %d are reserved, %d are others' (now %d), %d are ghosts",
		c.label(), replicas(f.ceiling), perPod, connections(c.Limit), c.Reserve, max(c.Others, c.OthersHighWater), c.Others, c.Ghosts)
	if leaving := f.leaving[c.index]; leaving > 0 {
		sentence += fmt.Sprintf("; %d are held by pods that leave", leaving)
	}
	if surge := f.podsFor(f.ceiling) - f.ceiling; surge > 0 {
		sentence += fmt.Sprintf("; beside them a rollout may add %d pods (maxSurge %s)", surge, f.state.MaxSurge)
	}
	return ConnectionBudget, sentence
}
