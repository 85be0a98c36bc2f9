package serve

import (
	"cmp"
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/policies"
	"github.com/keda-headroom/headroom/scaler/trigger"
)

// referenceOf says by what the pods of a workload are found: where its policy names
// nothing, by the ScaledObject that is called like it.
func referenceOf(w policy.Workload) kube.Reference {
	out := kube.Reference{Workload: w.ID, ScaledJob: w.ScaledJob, PodSelector: w.PodSelector}
	if w.ScaleTarget != nil {
		target := kube.Target(*w.ScaleTarget)
		out.Target = &target
	}
	if !unscaled(w) && w.ScaledJob == "" {
		out.ScaledObject = cmp.Or(w.ScaledObject, w.ID.Name)
	}
	return out
}

// unscaled reports whether a policy says of a workload that KEDA doesn't scale it.
func unscaled(w policy.Workload) bool { return w.ScaleTarget != nil || len(w.PodSelector) > 0 }

// scalers are the objects that KEDA scales by; kube.Cluster is.
type scalers interface {
	ScaledObject(id metrics.ID) (kedaapi.ScaledObject, bool)
	ScaledJob(id metrics.ID) (kedaapi.ScaledJob, bool)
	Refused() []error
}

// scaledBy returns the object by which KEDA scales a workload, with its triggers.
func scaledBy(in scalers, w policy.Workload) (about metav1.ObjectMeta, kind string, triggers []kedaapi.Trigger, ok bool) {
	ref := referenceOf(w)
	if ref.ScaledJob != "" {
		j, ok := in.ScaledJob(metrics.ID{Namespace: w.ID.Namespace, Name: ref.ScaledJob})
		return j.ObjectMeta, "ScaledJob", j.Spec.Triggers, ok
	}
	o, ok := in.ScaledObject(metrics.ID{Namespace: w.ID.Namespace, Name: ref.ScaledObject})
	return o.ObjectMeta, "ScaledObject", o.Spec.Triggers, ok
}

// optedOut reports whether nothing but a policy asks for a workload any more. What
// may not be seen is not opted out, nor is a trigger that takes the name from a
// variable. What KEDA doesn't scale was asked for by its policy alone.
func optedOut(in scalers, w policy.Workload) bool {
	if unscaled(w) {
		return true
	}
	_, _, triggers, ok := scaledBy(in, w)
	if !ok {
		return len(in.Refused()) == 0
	}
	for _, t := range triggers {
		if !bypass.Asks(t) {
			continue
		}
		if _, fromEnv := t.Metadata[trigger.WorkloadFromEnv]; fromEnv || t.Metadata[trigger.Workload] == w.ID.Name {
			return false
		}
	}
	return true
}

func (c *cluster) optedOut(w policy.Workload) bool { return optedOut(c.watched, w) }

// leavesTimeout is how long it may take to look for what a workload leaves behind:
// only objects of other kinds than Kubernetes' own are asked for.
const leavesTimeout = time.Second

// leaves returns a workload that nobody governs any more as its pods are found, and
// whether any of them has yet to be let through the gate.
func (c *cluster) leaves(w policy.Workload, others []policy.Workload) (policy.Workload, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), leavesTimeout)
	defer cancel()
	var governed []kube.Reference
	for _, other := range others {
		governed = append(governed, referenceOf(other))
	}
	ref, more := c.watched.Leaves(ctx, referenceOf(w), governed)
	if ref.Target != nil && w.ScaleTarget == nil {
		target := policy.ScaleTarget(*ref.Target)
		w.ScaledObject, w.ScaleTarget = "", &target
	}
	return w, more
}

// reference names the object that events on a workload are about: what scales it,
// what has its pods where KEDA doesn't scale them, and for pods that are selected by
// labels the ConfigMap of their policy.
func (c *cluster) reference(w policy.Workload) (*corev1.ObjectReference, bool) {
	switch {
	case w.ScaleTarget != nil:
		return c.target(w.ID.Namespace, *w.ScaleTarget), true
	case len(w.PodSelector) > 0:
		now := c.now.Load()
		if now == nil || now.owners[w.ID] == nil {
			return nil, false
		}
		return now.owners[w.ID], true
	}
	about, kind, _, ok := scaledBy(c.watched, w)
	if !ok {
		return nil, false
	}
	return &corev1.ObjectReference{
		APIVersion: kedaapi.Group + "/" + kedaapi.Version, Kind: kind, Namespace: about.Namespace, Name: about.Name, UID: about.UID,
	}, true
}

// target names a scale target, with its UID where its kind is watched.
func (c *cluster) target(namespace string, t policy.ScaleTarget) *corev1.ObjectReference {
	out := &corev1.ObjectReference{APIVersion: t.APIVersion, Kind: t.Kind, Namespace: namespace, Name: t.Name}
	id := metrics.ID{Namespace: namespace, Name: t.Name}
	if group, _, _ := strings.Cut(t.APIVersion, "/"); group != "apps" {
		return out
	}
	switch t.Kind {
	case "Deployment":
		if d, ok := c.watched.Deployment(id); ok {
			out.UID = d.UID
		}
	case "StatefulSet":
		if set, ok := c.watched.StatefulSet(id); ok {
			out.UID = set.UID
		}
	}
	return out
}

// inForce is the policy in force, and what goes with it.
type inForce struct {
	set     policy.Set
	leaving map[metrics.ID]bool                    // that are only there to be let go
	owners  map[metrics.ID]*corev1.ObjectReference // the ConfigMaps that describe workloads
}

func inForceOf(r policies.Result) *inForce {
	out := &inForce{set: r.Set, leaving: map[metrics.ID]bool{}, owners: map[metrics.ID]*corev1.ObjectReference{}}
	frozen := map[metrics.ID]bool{}
	for _, id := range r.Frozen {
		frozen[id] = true
	}
	for _, w := range r.Set.Workloads {
		out.leaving[w.ID] = frozen[w.ID] && w.Mode == policy.Observe
	}
	maps := map[string]*corev1.ObjectReference{}
	for _, v := range r.Verdicts {
		if v.UID != "" {
			maps[v.Source.Where] = &corev1.ObjectReference{
				APIVersion: "v1", Kind: "ConfigMap", Namespace: v.Source.Namespace, Name: v.Source.Name, UID: types.UID(v.UID),
			}
		}
	}
	for _, k := range r.Kept {
		for _, id := range k.Workloads {
			if about := maps[k.Source.Where]; about != nil {
				out.owners[id] = about
			}
		}
	}
	return out
}

// references say by what the pods of the policy in force are found.
func (f *inForce) references() []kube.Reference {
	if f == nil {
		return nil
	}
	out := make([]kube.Reference, 0, len(f.set.Workloads))
	for _, w := range f.set.Workloads {
		ref := referenceOf(w)
		ref.Leaving = f.leaving[w.ID]
		out = append(out, ref)
	}
	return out
}
