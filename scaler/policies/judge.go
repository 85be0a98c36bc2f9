package policies

import (
	"cmp"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/policy"
)

// verdict is a [Verdict] in the making.
type verdict struct {
	Verdict
	at      address
	inForce version
	// named are the documents of its newest version, or of the last good one
	// where that has none.
	named []policy.Document
	// good is the last good version, where there is one.
	good    version
	hasGood bool
	// unseen is an input of which it is not known whether it is still there.
	unseen bool
}

// judge makes what is right of everything that was found the policy in force, and
// tells what came of it.
func (k *Keeper) judge() Result {
	var verdicts []*verdict
	var problems []policy.Problem
	newest, good := map[address]version{}, map[address]version{}
	for _, o := range k.origins {
		of, wrong := o.judge(newest)
		verdicts, problems = append(verdicts, of...), append(problems, wrong...)
	}
	slices.SortStableFunc(verdicts, func(a, b *verdict) int {
		return cmp.Or(strings.Compare(a.Source.Where, b.Source.Where), strings.Compare(a.at.origin, b.at.origin), strings.Compare(a.at.key, b.at.key))
	})
	set, between := k.resolve(verdicts)
	problems = append(problems, between...)

	for _, v := range verdicts {
		if v.State == Accepted {
			good[v.at] = v.inForce
		} else if v.hasGood {
			good[v.at] = v.good
		}
		if v.State != Conflict || v.LastGood {
			k.own(v.inForce)
		}
	}
	k.leave(good)
	k.newest, k.good = newest, good
	problems = append(problems, stop(set, verdicts)...)
	set, held := k.hold(set)
	problems = append(problems, held...)

	if k.anything(verdicts, problems) {
		k.set, k.inForce = set, true
	}
	k.last = Result{
		Set: k.set, InForce: k.inForce, Valid: !policy.HasErrors(problems),
		Documents: documents(verdicts), Problems: problems, Kept: k.kept(),
	}
	byPlace := map[string][]policy.Problem{}
	for _, p := range problems {
		byPlace[p.Where] = append(byPlace[p.Where], p)
	}
	for _, v := range verdicts {
		if !v.unseen {
			v.Problems = byPlace[v.Source.Where]
			k.last.Verdicts = append(k.last.Verdicts, v.Verdict)
		}
	}
	for _, w := range k.set.Workloads {
		if k.frozen[w.ID] {
			k.last.Frozen = append(k.last.Frozen, w.ID)
		}
	}
	k.log(k.last)
	k.options.Loaded(k.last)
	return k.last
}

// anything reports whether there is something to put in force: a document, or
// origins that are right without one. Nothing but errors in files means that
// whoever started this has yet to write a policy; one bad ConfigMap of somebody
// must not keep everybody else waiting.
func (k *Keeper) anything(verdicts []*verdict, problems []policy.Problem) bool {
	return !policy.HasErrors(problems) ||
		slices.ContainsFunc(verdicts, func(v *verdict) bool { return len(v.inForce.documents) > 0 }) ||
		slices.ContainsFunc(k.origins, func(o *Origin) bool { return !o.together })
}

// judge judges every input of an origin by itself, and those of one that is
// together with each other. It notes what was parsed in newest.
func (o *Origin) judge(newest map[address]version) (verdicts []*verdict, problems []policy.Problem) {
	for _, u := range o.found.Unread {
		problems = append(problems, unreadable(u.Where, u.Err))
	}
	good := o.lastGood()
	for _, in := range o.found.Inputs {
		v := &verdict{Verdict: Verdict{Input: in, State: Accepted}, at: address{o.name, in.Key}}
		v.good, v.hasGood = good[v.at]
		delete(good, v.at)
		if in.Err != nil {
			v.inForce.problems = []policy.Problem{unreadable(in.Source.Where, in.Err)}
		} else {
			if v.inForce = o.keeper.newest[v.at]; !v.inForce.of(in.Source, in.Content) {
				v.inForce = parse(in.Source, in.Content)
			}
			newest[v.at] = v.inForce
		}
		problems = append(problems, v.inForce.problems...)
		if v.named = v.inForce.documents; !v.inForce.good() {
			v.State = Rejected
			if v.hasGood {
				v.inForce, v.named, v.LastGood = v.good, v.good.documents, true
			}
		}
		verdicts = append(verdicts, v)
	}
	for at, last := range good {
		verdicts = append(verdicts, &verdict{
			Verdict: Verdict{Input: Input{Key: at.key, Source: last.source}, State: Rejected, LastGood: true},
			at:      at, inForce: last, named: last.documents, good: last, hasGood: true, unseen: true,
		})
	}
	if o.together {
		problems = append(problems, o.agree(verdicts)...)
	}
	return verdicts, problems
}

// agree takes an edit that makes the origin's inputs contradict each other back,
// as far as they ever agreed. What it returns is then not found again between
// what is left in force.
func (o *Origin) agree(verdicts []*verdict) (contradictions []policy.Problem) {
	_, between := policy.Resolve(all(verdicts))
	wrong := map[string]bool{}
	for _, p := range between {
		if p.Severity == policy.SeverityError {
			wrong[p.Where] = true
			contradictions = append(contradictions, p)
		}
	}
	now := map[address]version{}
	for _, v := range verdicts {
		now[v.at] = v.inForce
	}
	switch {
	case len(contradictions) == 0:
		o.agreed = now
		return nil
	case o.agreed == nil: // from the start: the first wins, which resolve finds out
		return nil
	}
	for _, v := range verdicts {
		agreed := o.agreed[v.at]
		if wrong[v.Source.Where] || (v.State == Accepted && !agreed.of(v.inForce.source, v.inForce.content)) {
			v.State = Conflict
			v.LastGood = len(agreed.documents) > 0
		}
		v.inForce, v.good, v.hasGood = agreed, agreed, len(agreed.documents) > 0
	}
	return contradictions
}

// resolve puts all origins' documents together. An input that claims what an
// older one governs falls back on its last good version.
func (k *Keeper) resolve(verdicts []*verdict) (policy.Set, []policy.Problem) {
	var conflicts []policy.Problem
	for {
		set, between := policy.Resolve(all(verdicts))
		lost := map[string]bool{}
		for _, p := range between {
			if p.Severity == policy.SeverityError {
				lost[p.Where] = true
			}
		}
		again := false
		for _, v := range verdicts {
			if !lost[v.Source.Where] {
				continue
			}
			if v.State == Accepted {
				v.State = Conflict
			}
			if v.hasGood && !v.LastGood && !v.good.of(v.inForce.source, v.inForce.content) {
				v.inForce, v.LastGood, again = v.good, true, true
			}
		}
		if !again {
			return set, append(between, missing(conflicts, between)...)
		}
		conflicts = append(conflicts, between...)
	}
}

// missing returns the errors among earlier that are not among now: what was
// wrong with a version that is not in force any more.
func missing(earlier, now []policy.Problem) []policy.Problem {
	var out []policy.Problem
	for _, p := range earlier {
		if p.Severity == policy.SeverityError && !slices.Contains(now, p) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// all returns every document that is to be in force.
func all(verdicts []*verdict) []policy.Document {
	var out []policy.Document
	for _, v := range verdicts {
		out = append(out, v.inForce.documents...)
	}
	return out
}
