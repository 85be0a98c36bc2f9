package serve

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/trigger"
)

// referenceOf says what scales a workload: where its policy names nothing, the
// ScaledObject that is called like it.
func referenceOf(w policy.Workload) kube.Reference {
	out := kube.Reference{Workload: w.ID, ScaledJob: w.ScaledJob}
	if w.ScaledJob == "" {
		out.ScaledObject = cmp.Or(w.ScaledObject, w.ID.Name)
	}
	return out
}

// scalers are the objects that KEDA scales by; kube.Cluster is.
type scalers interface {
	ScaledObject(id metrics.ID) (kedaapi.ScaledObject, bool)
	ScaledJob(id metrics.ID) (kedaapi.ScaledJob, bool)
	Refused() []error
}

// scaledBy returns the object that scales a workload, with its triggers.
func scaledBy(in scalers, w policy.Workload) (about metav1.ObjectMeta, kind string, triggers []kedaapi.Trigger, ok bool) {
	ref := referenceOf(w)
	if ref.ScaledJob != "" {
		j, ok := in.ScaledJob(metrics.ID{Namespace: w.ID.Namespace, Name: ref.ScaledJob})
		return j.ObjectMeta, "ScaledJob", j.Spec.Triggers, ok
	}
	o, ok := in.ScaledObject(metrics.ID{Namespace: w.ID.Namespace, Name: ref.ScaledObject})
	return o.ObjectMeta, "ScaledObject", o.Spec.Triggers, ok
}

// optedOut reports whether nothing asks for a workload any more. What may not be
// seen is not opted out, nor is a trigger that takes the name from a variable.
func optedOut(in scalers, w policy.Workload) bool {
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

// reference names the object that scales a workload, for events.
func (c *cluster) reference(w policy.Workload) (*corev1.ObjectReference, bool) {
	about, kind, _, ok := scaledBy(c.watched, w)
	if !ok {
		return nil, false
	}
	return &corev1.ObjectReference{
		APIVersion: kedaapi.Group + "/" + kedaapi.Version, Kind: kind, Namespace: about.Namespace, Name: about.Name, UID: about.UID,
	}, true
}
