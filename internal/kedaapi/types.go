package kedaapi

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Group is KEDA's API group, Version the one version that it has.
const (
	Group   = "keda.sh"
	Version = "v1alpha1"
)

// The annotations that change what KEDA does.
const (
	Paused                = "autoscaling.keda.sh/paused"
	PausedReplicas        = "autoscaling.keda.sh/paused-replicas"
	PausedScaleIn         = "autoscaling.keda.sh/paused-scale-in"
	PausedScaleOut        = "autoscaling.keda.sh/paused-scale-out"
	ForceActivation       = "autoscaling.keda.sh/force-activation"
	HPAOwnershipValidated = "validations.keda.sh/hpa-ownership"
)

// Behaviors of a fallback.
const (
	FallbackStatic           = "static" // the default
	FallbackCurrent          = "currentReplicas"
	FallbackCurrentIfHigher  = "currentReplicasIfHigher"
	FallbackCurrentIfLower   = "currentReplicasIfLower"
	FallbackScalingModifiers = "scalingModifiers"
)

// DefaultMaxReplicaCount is maxReplicaCount where none is given.
const DefaultMaxReplicaCount = 100

// ScaledObject makes KEDA scale something that has replicas.
type ScaledObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ScaledObjectSpec   `json:"spec"`
	Status            ScaledObjectStatus `json:"status,omitempty"`
}

// ScaledObjectSpec is what is wanted.
type ScaledObjectSpec struct {
	ScaleTargetRef   ScaleTarget `json:"scaleTargetRef"`
	IdleReplicaCount *int32      `json:"idleReplicaCount,omitempty"`
	MinReplicaCount  *int32      `json:"minReplicaCount,omitempty"`
	MaxReplicaCount  *int32      `json:"maxReplicaCount,omitempty"`
	Advanced         *Advanced   `json:"advanced,omitempty"`
	Triggers         []Trigger   `json:"triggers"`
	Fallback         *Fallback   `json:"fallback,omitempty"`
}

// ScaledObjectStatus is what KEDA made of it.
type ScaledObjectStatus struct {
	HPAName string `json:"hpaName,omitempty"`
}

// ScaleTarget names what is scaled, a Deployment unless Kind says otherwise.
type ScaleTarget struct {
	Name       string `json:"name"`
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	// EnvSourceContainerName is the container whose environment triggers may use.
	EnvSourceContainerName string `json:"envSourceContainerName,omitempty"`
}

// Advanced says how it is scaled.
type Advanced struct {
	HorizontalPodAutoscalerConfig *HPAConfig       `json:"horizontalPodAutoscalerConfig,omitempty"`
	RestoreToOriginalReplicaCount bool             `json:"restoreToOriginalReplicaCount,omitempty"`
	ScalingModifiers              ScalingModifiers `json:"scalingModifiers,omitempty"`
}

// HPAConfig is handed on to the HPA.
type HPAConfig struct {
	Name     string                                         `json:"name,omitempty"`
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
}

// ScalingModifiers make one metric of all triggers. The zero value does not.
type ScalingModifiers struct {
	Formula          string                         `json:"formula,omitempty"`
	Target           string                         `json:"target,omitempty"`
	ActivationTarget string                         `json:"activationTarget,omitempty"`
	MetricType       autoscalingv2.MetricTargetType `json:"metricType,omitempty"`
}

// Trigger is one source of a metric.
type Trigger struct {
	Type             string                         `json:"type"`
	Name             string                         `json:"name,omitempty"`
	UseCachedMetrics bool                           `json:"useCachedMetrics,omitempty"`
	Metadata         map[string]string              `json:"metadata"`
	MetricType       autoscalingv2.MetricTargetType `json:"metricType,omitempty"`
}

// Fallback is what KEDA asks for when triggers fail.
type Fallback struct {
	FailureThreshold int32  `json:"failureThreshold"`
	Replicas         int32  `json:"replicas"`
	Behavior         string `json:"behavior,omitempty"`
}

// ScaledJob makes KEDA create Jobs.
type ScaledJob struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ScaledJobSpec `json:"spec"`
}

// ScaledJobSpec is what is wanted.
type ScaledJobSpec struct {
	JobTargetRef           batchv1.JobSpec `json:"jobTargetRef"`
	RolloutStrategy        string          `json:"rolloutStrategy,omitempty"` // deprecated, and wins over Rollout
	Rollout                Rollout         `json:"rollout,omitempty"`
	EnvSourceContainerName string          `json:"envSourceContainerName,omitempty"`
	MinReplicaCount        *int32          `json:"minReplicaCount,omitempty"`
	MaxReplicaCount        *int32          `json:"maxReplicaCount,omitempty"`
	ScalingStrategy        ScalingStrategy `json:"scalingStrategy,omitempty"`
	Triggers               []Trigger       `json:"triggers"`
}

// Rollout says what becomes of the Jobs of an earlier version.
type Rollout struct {
	Strategy          string `json:"strategy,omitempty"`
	PropagationPolicy string `json:"propagationPolicy,omitempty"`
}

// ScalingStrategy says how many Jobs a value makes.
type ScalingStrategy struct {
	Strategy                          string `json:"strategy,omitempty"`
	CustomScalingQueueLengthDeduction *int32 `json:"customScalingQueueLengthDeduction,omitempty"`
	CustomScalingRunningJobPercentage string `json:"customScalingRunningJobPercentage,omitempty"`
	// PendingPodConditions are those that a pod must have before its Job stops to
	// count as pending; none where running is enough.
	PendingPodConditions       []string `json:"pendingPodConditions,omitempty"`
	MultipleScalersCalculation string   `json:"multipleScalersCalculation,omitempty"`
}
