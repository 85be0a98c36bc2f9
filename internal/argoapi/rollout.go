package argoapi

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Group is Argo's API group, Version the one version that Rollouts have.
const (
	Group   = "argoproj.io"
	Version = "v1alpha1"
)

// Rollout is a Deployment with other ways of rolling out.
type Rollout struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              RolloutSpec `json:"spec"`
}

// RolloutSpec is what is wanted. Its pods' template is Template, or that of what
// WorkloadRef names.
type RolloutSpec struct {
	Replicas                *int32                 `json:"replicas,omitempty"`
	Template                corev1.PodTemplateSpec `json:"template,omitempty"`
	WorkloadRef             *WorkloadRef           `json:"workloadRef,omitempty"`
	Strategy                Strategy               `json:"strategy,omitempty"`
	ProgressDeadlineSeconds *int32                 `json:"progressDeadlineSeconds,omitempty"`
}

// WorkloadRef names what has the template, in the Rollout's namespace.
type WorkloadRef struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Name       string `json:"name,omitempty"`
}

// Strategy says how it rolls out; one of the two is set.
type Strategy struct {
	Canary    *Canary    `json:"canary,omitempty"`
	BlueGreen *BlueGreen `json:"blueGreen,omitempty"`
}

// Canary puts new pods beside old ones, by weight. Left out, MaxSurge and
// MaxUnavailable are 25 %.
type Canary struct {
	MaxSurge       *intstr.IntOrString `json:"maxSurge,omitempty"`
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// TrafficRouting, where there is one, keeps the old pods at full scale beside
	// the new ones until the end, unless DynamicStableScale is set.
	TrafficRouting     *TrafficRouting `json:"trafficRouting,omitempty"`
	DynamicStableScale bool            `json:"dynamicStableScale,omitempty"`
}

// TrafficRouting is by whom traffic is routed; what it says doesn't matter here.
type TrafficRouting struct{}

// BlueGreen runs the new version beside the whole old one, and then switches.
type BlueGreen struct {
	// PreviewReplicaCount is how many new pods there are before the switch, all of
	// them where it is left out.
	PreviewReplicaCount *int32 `json:"previewReplicaCount,omitempty"`
}
