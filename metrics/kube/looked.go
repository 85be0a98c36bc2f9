package kube

import (
	"github.com/keda-headroom/headroom/metrics"
)

// looked is what the last reading of fleets looked at. Only its changes are told:
// most pods of a cluster are nobody's workers.
type looked struct {
	names      map[named]struct{}
	uids       map[string]struct{} // of objects, and of those that control objects
	namespaces map[string]struct{} // where pods are found by their labels
}

type named struct {
	kind string
	id   metrics.ID
}

func newLooked() *looked {
	return &looked{names: map[named]struct{}{}, uids: map[string]struct{}{}, namespaces: map[string]struct{}{}}
}

// at notes that an object was looked up, whether it was there or not.
func (l *looked) at(kind string, id metrics.ID) { l.names[named{kind, id}] = struct{}{} }

// below notes that what this object controls was listed.
func (l *looked) below(uid string) { l.uids[uid] = struct{}{} }

// has reports whether the reading would have looked at a row.
func has[T any](l *looked, kind string, r *row[T]) bool {
	if _, ok := l.names[named{kind, metrics.ID{Namespace: r.namespace.Value(), Name: r.name}}]; ok {
		return true
	}
	_, ok := l.uids[r.controller.Value()]
	return ok
}

// follow has changes of what was looked at told.
func (c *Cluster) follow() {
	t := &c.tables
	told(c, t.scaledObjects)
	told(c, t.scaledJobs)
	told(c, t.hpas)
	told(c, t.deployments)
	told(c, t.statefulSets)
	told(c, t.replicaSets)
	told(c, t.revisions)
	told(c, t.jobs)
	told(c, t.pods)
	ours := t.pods.changed
	t.pods.changed = func(before, after *row[pod]) {
		ours(before, after)
		if c.selections.changed(before, after) || c.foreign(before) || c.foreign(after) {
			c.changed.Notify()
		}
		if after != nil && after.value.problem != "" && (before == nil || before.value.problem != after.value.problem) {
			c.log.Warn("the grant of a pod can't be read: it counts as never stamped",
				"pod", after.key(), "annotation", GrantAnnotation, "problem", after.value.problem)
		}
	}
}

// foreign reports whether the last reading may have found a pod by its labels alone.
func (c *Cluster) foreign(r *row[pod]) bool {
	l := c.looked.Load()
	if r == nil || !r.value.foreign || l == nil {
		return false
	}
	_, ok := l.namespaces[r.namespace.Value()]
	return ok
}

func told[T any](c *Cluster, t *table[T]) {
	t.current = c.changed.Notify
	t.changed = func(before, after *row[T]) {
		l := c.looked.Load()
		for _, r := range []*row[T]{before, after} {
			if r != nil && (l == nil || has(l, t.kind, r)) {
				c.changed.Notify()
			}
		}
	}
}
