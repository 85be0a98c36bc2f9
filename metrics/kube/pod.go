package kube

import (
	"math"
	"reflect"
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

// pod is what is kept of a pod; there may be tens of thousands. What many pods
// have in common is kept once.
type pod struct {
	created time.Time
	address string
	version string // resourceVersion
	grant   map[string]int
	problem string // of the grant, "" for none
	// revision is the ControllerRevision of a StatefulSet's pod, "" elsewhere.
	revision unique.Handle[string]
	epoch    unique.Handle[string]
	labels   unique.Handle[labelText]
	// conditions are those of a Job's pod that are true; nil elsewhere.
	conditions []unique.Handle[string]

	gates                       uint16 // how many scheduling gates there are
	place                       uint16 // of our gate among them, from 1; 0 for none
	phase                       phase
	ready, terminating, foreign bool // foreign: its controller is of a kind that Kubernetes itself doesn't have
}

func (p *pod) gated() bool { return p.place > 0 }

func (p *pod) otherGates() bool { return p.gates > 1 || (p.gates == 1 && !p.gated()) }

func (p *pod) finished() bool { return p.phase == succeeded || p.phase == failed }

// phase is a pod's phase as far as it is told apart.
type phase uint8

const (
	pending phase = iota
	running
	succeeded
	failed
	lost // and whatever else: nobody knows what became of it
)

// Kinds of controllers whose pods are found without labels.
const (
	kindReplicaSet  = "ReplicaSet"
	kindStatefulSet = "StatefulSet"
	kindJob         = "Job"
)

func podOf(p *corev1.Pod) pod {
	out := pod{
		created: p.CreationTimestamp.UTC(), address: p.Status.PodIP, version: p.ResourceVersion, terminating: p.DeletionTimestamp != nil,
		revision: unique.Make(""), epoch: unique.Make(p.Annotations[EpochAnnotation]), labels: unique.Make(labelTextOf(p.Labels)),
	}
	switch p.Status.Phase {
	case corev1.PodPending, "":
	case corev1.PodRunning:
		out.phase = running
	case corev1.PodSucceeded:
		out.phase = succeeded
	case corev1.PodFailed:
		out.phase = failed
	case corev1.PodUnknown:
		fallthrough
	default:
		out.phase = lost
	}
	out.gates = uint16(min(len(p.Spec.SchedulingGates), math.MaxUint16))
	place := slices.IndexFunc(p.Spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == Gate })
	out.place = uint16(min(place+1, math.MaxUint16))
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
		out.foreign = true
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
		UID: r.uid, Name: r.name, Version: p.version, Epoch: p.epoch.Value(), Address: p.address, CreatedAt: p.created,
		Gated: p.gated(), OtherGates: p.otherGates(), Ready: p.ready, Started: p.phase != pending, Terminating: p.terminating,
		Finished: p.finished(), Grant: p.grant,
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

// foreignPods indexes by namespace the pods that nothing but their labels may lead
// to.
func foreignPods(object any) ([]string, error) {
	if r := object.(*row[pod]); r.value.foreign {
		return []string{r.namespace.Value()}, nil
	}
	return nil, nil
}

// gatedPods indexes the pods with our gate, all under one name.
func gatedPods(object any) ([]string, error) {
	if r := object.(*row[pod]); r.value.gated() {
		return []string{""}, nil
	}
	return nil, nil
}

// samePod reports whether nothing about a pod became another that a decision
// depends on. Everybody who writes to a pod gives it another version: that matters
// while it is gated, since it is what a patch waits for; of all others the next
// reading is soon enough.
func samePod(before, after *row[pod]) bool {
	if before.value.gated() || after.value.gated() || before.value.version == after.value.version {
		return reflect.DeepEqual(before, after)
	}
	same := *after
	same.value.version = before.value.version
	return reflect.DeepEqual(before, &same)
}
