package kube

import (
	"context"
	"errors"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/metrics"
)

// GateLabel has our gate put on a pod when it is created, where its value is "true".
const GateLabel = ourPrefix + "gate"

// gating reports whether pods of a template have our gate.
func gating(t corev1.PodTemplateSpec) bool {
	return t.Labels[GateLabel] == "true" ||
		slices.ContainsFunc(t.Spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == Gate })
}

// Leaves returns how the pods of a workload are found that nobody governs any more,
// and whether there is still something to let go: a pod of its own at the gate, or a
// template that goes on making such pods. What others, which are governed, have is
// not its own. Where it can't be known there may be something.
//
// A ScaledObject that was deleted takes with it what says what it scaled: then the
// target is told that the last reading of fleets found by it, as long as that
// was of this process.
func (c *Cluster) Leaves(ctx context.Context, ref Reference, others []Reference) (Reference, bool) {
	ref.Leaving = true
	if !c.ran.Load() || c.tables.behind() != nil {
		return ref, true
	}
	s := &source{Cluster: c}
	w, err := s.find(ctx, ref, newLooked())
	if errors.Is(err, errGone) && ref.ScaledObject != "" {
		target, known := c.targets.of(metrics.ID{Namespace: ref.Workload.Namespace, Name: ref.ScaledObject})
		if _, there := c.ScaledObject(metrics.ID{Namespace: ref.Workload.Namespace, Name: ref.ScaledObject}); there || !known {
			return ref, false
		}
		ref.ScaledObject, ref.Target = "", &target
		w, err = s.find(ctx, ref, newLooked())
	}
	if err != nil {
		return ref, !errors.Is(err, errGone)
	}
	governed := map[string]bool{}
	gatingOthers := false
	for _, other := range others {
		if other.Workload.Namespace != ref.Workload.Namespace {
			continue
		}
		o, err := s.find(ctx, other, newLooked())
		if err != nil {
			continue
		}
		gatingOthers = gatingOthers || (w.has != "" && o.has == w.has)
		for _, p := range o.pods() {
			governed[p.UID] = true
		}
	}
	if w.gating && !gatingOthers {
		return ref, true
	}
	return ref, slices.ContainsFunc(w.pods(), func(p metrics.Pod) bool {
		return p.Gated && !p.Terminating && !p.Finished && !governed[p.UID]
	})
}

// targets are what ScaledObjects of the last reading scaled, which is asked for when
// one is gone.
type targets struct {
	mu   sync.Mutex
	last map[metrics.ID]Target
}

func (t *targets) note(scaledObject metrics.ID, target Target) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		t.last = map[metrics.ID]Target{}
	}
	t.last[scaledObject] = target
}

func (t *targets) of(scaledObject metrics.ID) (Target, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	target, ok := t.last[scaledObject]
	return target, ok
}

// keep forgets those of ScaledObjects that nobody refers to.
func (t *targets) keep(references []Reference) {
	wanted := map[metrics.ID]bool{}
	for _, ref := range references {
		if ref.ScaledObject != "" {
			wanted[metrics.ID{Namespace: ref.Workload.Namespace, Name: ref.ScaledObject}] = true
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.last {
		if !wanted[id] {
			delete(t.last, id)
		}
	}
}
