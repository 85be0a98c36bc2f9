package kube

import (
	"slices"
	"strings"
	"time"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/metrics"
)

// Gate is the scheduling gate that Headroom removes.
const Gate = ourPrefix + "connections"

// pod is what is kept of a pod; there may be tens of thousands.
type pod struct {
	created time.Time
	address string
	grant   map[string]int
	problem string // of the grant, "" for none
	// revision is the ControllerRevision of a StatefulSet's pod, "" elsewhere.
	revision unique.Handle[string]
	// labels are those of a pod whose controller Kubernetes itself doesn't have,
	// which may be found by nothing else; nil elsewhere.
	labels map[string]string
	// conditions are those of a Job's pod that are true; nil elsewhere.
	conditions []unique.Handle[string]

	phase                                 phase
	gated, otherGates, ready, terminating bool
}

// phase is a pod's phase as far as it is told apart.
type phase uint8

const (
	pending phase = iota // and whatever else
	running
	succeeded
	failed
)

// Kinds of controllers whose pods are found without labels.
const (
	kindReplicaSet  = "ReplicaSet"
	kindStatefulSet = "StatefulSet"
	kindJob         = "Job"
)

func podOf(p *corev1.Pod) pod {
	out := pod{
		created: p.CreationTimestamp.UTC(), address: p.Status.PodIP, terminating: p.DeletionTimestamp != nil,
		revision: unique.Make(""),
	}
	switch p.Status.Phase {
	case corev1.PodRunning:
		out.phase = running
	case corev1.PodSucceeded:
		out.phase = succeeded
	case corev1.PodFailed:
		out.phase = failed
	case corev1.PodPending, corev1.PodUnknown:
	}
	for _, gate := range p.Spec.SchedulingGates {
		if gate.Name == Gate {
			out.gated = true
		} else {
			out.otherGates = true
		}
	}
	kind := ""
	if owner := metav1.GetControllerOfNoCopy(p); owner != nil {
		kind = owner.Kind
		if group, _, _ := strings.Cut(owner.APIVersion, "/"); !slices.Contains([]string{"apps", "batch", "v1"}, group) {
			kind = "other"
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		if c.Type == corev1.PodReady {
			out.ready = true
		}
		if kind == kindJob {
			out.conditions = append(out.conditions, unique.Make(string(c.Type)))
		}
	}
	switch kind {
	case kindStatefulSet:
		out.revision = unique.Make(p.Labels[appsv1.ControllerRevisionHashLabelKey])
	case "other":
		out.labels = p.Labels
	}
	if text, ok := p.Annotations[GrantAnnotation]; ok {
		grant, err := ParseGrant(text)
		if err != nil {
			out.problem = err.Error()
		}
		out.grant = grant
	}
	return out
}

// metric returns the pod as decisions see it. Revision and Ordinal are left to
// who knows its controller.
func metric(r *row[pod]) metrics.Pod {
	p := &r.value
	return metrics.Pod{
		UID: r.uid, Name: r.name, Address: p.address, CreatedAt: p.created,
		Gated: p.gated, OtherGates: p.otherGates, Ready: p.ready, Terminating: p.terminating,
		Finished: p.phase == succeeded || p.phase == failed,
		Grant:    p.grant,
	}
}

// sorted puts pods in order, oldest first, those of one age by UID.
func sorted(pods []metrics.Pod) []metrics.Pod {
	slices.SortFunc(pods, func(a, b metrics.Pod) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.UID, b.UID)
	})
	return pods
}

// podsWithLabels indexes the pods whose labels are kept.
func podsWithLabels(object any) ([]string, error) {
	if r := object.(*row[pod]); r.value.labels != nil {
		return []string{r.namespace.Value()}, nil
	}
	return nil, nil
}
