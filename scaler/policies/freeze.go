package policies

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// leave notes the versions of inputs that are no longer there.
func (k *Keeper) leave(good map[address]version) {
	for at, v := range k.good {
		if _, there := good[at]; !there {
			k.gone[at] = v
		}
	}
	maps.DeleteFunc(k.gone, func(at address, _ version) bool {
		_, there := good[at]
		return there
	})
}

// hold adds to set what it no longer describes and still has to count: workloads
// that nobody opted out, frozen; those that were, as long as pods of them wait at
// the gate, to let these through; and the databases in use.
func (k *Keeper) hold(set policy.Set) (policy.Set, []policy.Problem) {
	before, frozen := k.set, k.frozen
	k.frozen = map[metrics.ID]bool{}
	if k.options.OptedOut == nil {
		return set, nil
	}
	var problems []policy.Problem
	governed, scaled := map[metrics.ID]bool{}, map[metrics.ID]bool{}
	for _, w := range set.Workloads {
		governed[w.ID], scaled[scaledObject(w)] = true, true
	}
	workloads := slices.Clone(set.Workloads)
	for _, w := range before.Workloads {
		if governed[w.ID] || scaled[scaledObject(w)] {
			continue
		}
		leaving := w.Mode == policy.Observe || k.options.OptedOut(w)
		if leaving {
			more := false
			if w, more = k.leaves(w, set.Workloads); !more {
				continue
			}
			w.Mode = policy.Observe // which lets every pod through
		}
		w.Stopped = false // who would resume it? It is frozen all the same.
		where := cmp.Or(k.owners[w.ID], "one that is gone")
		problem := policy.Problem{Severity: policy.SeverityWarning, Code: CodeDeleted, Where: k.owners[w.ID]}
		if leaving {
			w.Refusal = &policy.Refusal{Reason: policy.PolicyInvalid, Sentence: fmt.Sprintf(
				"no policy in force describes %s any more (it stood in %s): its pods are let through the gate, and it is forgotten when none waits there", w.ID, where)}
			problem.Rule = fmt.Sprintf("no policy in force describes workload %s any more, while pods of it wait at the gate or its template makes such pods: they are let through; take the gate out of the template, and the label that asks for it", w.ID)
		} else {
			if !frozen[w.ID] {
				w.Refusal = &policy.Refusal{Reason: policy.PolicyInvalid, Sentence: fmt.Sprintf(
					"no policy in force describes %s any more (it stood in %s), while its %s still names it", w.ID, where, kind(w))}
			}
			problem.Rule = fmt.Sprintf("no policy in force describes workload %s any more: it is frozen at what it holds until one does again, or until no trigger of its %s names it", w.ID, kind(w))
		}
		k.frozen[w.ID] = true
		workloads = append(workloads, w)
		problems = append(problems, problem)
	}
	set.Workloads = workloads
	databases := withUsed(before, &set)
	problems = append(problems, k.undescribed(databases)...)
	k.forget(set)
	slices.SortFunc(set.Databases, func(a, b policy.Database) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(set.Workloads, func(a, b policy.Workload) int { return a.ID.Compare(b.ID) })
	return set, problems
}

// withUsed adds the databases to set that its workloads used before and that
// nobody describes any more, and those uses, which Resolve had to leave out. It
// returns which they are.
func withUsed(before policy.Set, set *policy.Set) []metrics.ID {
	described := map[metrics.ID]bool{}
	for _, d := range set.Databases {
		described[d.ID] = true
	}
	uses := map[metrics.ID][]policy.Use{}
	for _, w := range before.Workloads {
		uses[w.ID] = w.Databases
	}
	used := map[metrics.ID]bool{}
	for i, w := range set.Workloads {
		if w.Refusal == nil {
			continue
		}
		databases := slices.Clone(w.Databases)
		for _, u := range uses[w.ID] {
			if described[u.Database] {
				continue
			}
			used[u.Database] = true
			if !slices.ContainsFunc(databases, func(v policy.Use) bool { return v.Database == u.Database }) {
				databases = append(databases, u)
			}
		}
		slices.SortFunc(databases, func(a, b policy.Use) int { return a.Database.Compare(b.Database) })
		set.Workloads[i].Databases = databases
	}
	var kept []metrics.ID
	set.Databases = slices.Clone(set.Databases)
	for _, d := range before.Databases {
		if used[d.ID] {
			set.Databases = append(set.Databases, d)
			kept = append(kept, d.ID)
		}
	}
	return kept
}

// undescribed warns of databases that are in use and that nobody describes.
func (k *Keeper) undescribed(databases []metrics.ID) []policy.Problem {
	var out []policy.Problem
	for _, id := range databases {
		p := policy.Problem{
			Severity: policy.SeverityWarning, Code: CodeDeleted,
			Rule: fmt.Sprintf("no policy in force describes database %s any more while workloads use it: it is still read, and they are frozen", id),
		}
		for _, v := range k.gone {
			if slices.Contains(v.databases, id) {
				p.Where = v.source.Where
			}
		}
		out = append(out, p)
	}
	return out
}

// forget drops what is known of inputs that are gone and describe nothing that
// is still held.
func (k *Keeper) forget(set policy.Set) {
	databases := map[metrics.ID]bool{}
	for _, d := range set.Databases {
		databases[d.ID] = true
	}
	for _, v := range k.good {
		for _, id := range v.databases {
			delete(databases, id) // described by something that is there
		}
	}
	maps.DeleteFunc(k.gone, func(_ address, v version) bool {
		return !slices.ContainsFunc(v.workloads, func(id metrics.ID) bool { return k.frozen[id] }) &&
			!slices.ContainsFunc(v.databases, func(id metrics.ID) bool { return databases[id] })
	})
	governed := map[metrics.ID]bool{}
	for _, w := range set.Workloads {
		governed[w.ID] = true
	}
	maps.DeleteFunc(k.owners, func(id metrics.ID, _ string) bool { return !governed[id] })
}

// kept returns everything that has to outlive the process, in a stable order.
func (k *Keeper) kept() []Describing {
	var out []Describing
	for _, versions := range []map[address]version{k.good, k.gone} {
		for at, v := range versions {
			out = append(out, v.kept(at))
		}
	}
	slices.SortFunc(out, func(a, b Describing) int {
		return cmp.Or(strings.Compare(a.Origin, b.Origin), strings.Compare(a.Key, b.Key))
	})
	return out
}

// scaledObject is what has the workload's pods, told apart by kind.
func scaledObject(w policy.Workload) metrics.ID {
	name := cmp.Or(w.ScaledJob, w.ScaledObject, w.ID.Name)
	switch {
	case w.ScaleTarget != nil:
		name = w.ScaleTarget.Name
	case len(w.PodSelector) > 0:
		name = fmt.Sprint(w.PodSelector) // in the order of the labels' names
	}
	return metrics.ID{Namespace: w.ID.Namespace, Name: kind(w) + "/" + name}
}

// kind names the kind of what has the workload's pods. Versions of one are one.
func kind(w policy.Workload) string {
	switch {
	case w.ScaledJob != "":
		return "ScaledJob"
	case w.ScaleTarget != nil:
		group, _, _ := strings.Cut(w.ScaleTarget.APIVersion, "/")
		return w.ScaleTarget.Kind + " of " + group
	case len(w.PodSelector) > 0:
		return "selector of pods"
	}
	return "ScaledObject"
}
