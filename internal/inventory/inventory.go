package inventory

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/internal/argoapi"
	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/kedaapi"
)

// Inventory is what was found. The zero value is empty.
type Inventory struct {
	ScaledObjects []kedaapi.ScaledObject
	ScaledJobs    []kedaapi.ScaledJob
	HPAs          []autoscalingv2.HorizontalPodAutoscaler
	Deployments   []appsv1.Deployment
	StatefulSets  []appsv1.StatefulSet
	DaemonSets    []appsv1.DaemonSet
	CronJobs      []batchv1.CronJob
	Services      []corev1.Service
	// Rollouts are Argo's.
	Rollouts          []argoapi.Rollout
	DisruptionBudgets []policyv1.PodDisruptionBudget
	// Injectors are the admission policies that change objects, and Bound what puts them in
	// force.
	Injectors []admissionv1.MutatingAdmissionPolicy
	Bound     []admissionv1.MutatingAdmissionPolicyBinding
	// Policies are the ConfigMaps that carry policies.
	Policies []corev1.ConfigMap
	// Live says that it was read from a cluster.
	Live bool
	// Missing says in words what the cluster does not have, such as KEDA, and
	// Unread what may not be read there and can be done without.
	Missing, Unread []string
	// injectorsKnown says that Injectors and Bound are all that the cluster has.
	injectorsKnown bool
}

// PolicyLabel marks the ConfigMaps that carry policies, with the value "true".
const PolicyLabel = "keda-headroom.github.io/policy"

// Add takes the JSON of one object, and returns how it is called. It reports false
// for a kind that does not matter here. An object without a namespace is taken to
// be in the one given.
func (i *Inventory) Add(apiVersion, kind, namespace string, object []byte) (bypass.Object, bool, error) {
	group, _, versioned := strings.Cut(apiVersion, "/")
	if !versioned {
		group = ""
	}
	switch group + "/" + kind {
	case "keda.sh/ScaledObject":
		return add(&i.ScaledObjects, kind, namespace, object)
	case "keda.sh/ScaledJob":
		return add(&i.ScaledJobs, kind, namespace, object)
	case "autoscaling/HorizontalPodAutoscaler":
		return add(&i.HPAs, kind, namespace, object)
	case "apps/Deployment":
		return add(&i.Deployments, kind, namespace, object)
	case "apps/StatefulSet":
		return add(&i.StatefulSets, kind, namespace, object)
	case "apps/DaemonSet":
		return add(&i.DaemonSets, kind, namespace, object)
	case "argoproj.io/Rollout":
		return add(&i.Rollouts, kind, namespace, object)
	case "policy/PodDisruptionBudget":
		return add(&i.DisruptionBudgets, kind, namespace, object)
	case "admissionregistration.k8s.io/MutatingAdmissionPolicy":
		return add(&i.Injectors, kind, "", object)
	case "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding":
		return add(&i.Bound, kind, "", object)
	case "batch/CronJob":
		return add(&i.CronJobs, kind, namespace, object)
	case "/Service":
		return add(&i.Services, kind, namespace, object)
	}
	return bypass.Object{}, false, nil
}

// add decodes one object and appends it.
func add[T any, P interface {
	*T
	metav1.Object
}](all *[]T, kind, namespace string, object []byte) (bypass.Object, bool, error) {
	var one T
	if err := json.Unmarshal(object, &one); err != nil {
		return bypass.Object{Kind: kind}, true, fmt.Errorf("expected a %s: %w", kind, err)
	}
	meta := P(&one)
	if meta.GetNamespace() == "" {
		meta.SetNamespace(namespace)
	}
	*all = append(*all, one)
	return bypass.Object{Kind: kind, Namespace: meta.GetNamespace(), Name: meta.GetName()}, true, nil
}

// Injects reports whether an admission policy adds the gate to pods with the label,
// nil where that can't be told: nothing was read of a cluster, or not that.
func (i Inventory) Injects() *bool {
	if !i.Live || !i.injectorsKnown {
		return nil
	}
	injects := slices.ContainsFunc(i.Injectors, func(p admissionv1.MutatingAdmissionPolicy) bool {
		return adds(p) && slices.ContainsFunc(i.Bound, func(b admissionv1.MutatingAdmissionPolicyBinding) bool { return b.Spec.PolicyName == p.Name })
	})
	return &injects
}

// adds reports whether an admission policy has to do with the gate.
func adds(p admissionv1.MutatingAdmissionPolicy) bool {
	return slices.ContainsFunc(p.Spec.Mutations, func(m admissionv1.Mutation) bool {
		return m.ApplyConfiguration != nil && strings.Contains(m.ApplyConfiguration.Expression, bypass.Gate) ||
			m.JSONPatch != nil && strings.Contains(m.JSONPatch.Expression, bypass.Gate)
	})
}
