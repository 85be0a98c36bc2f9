package kedaapi

import (
	"strconv"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// On reports whether a boolean annotation is set, as KEDA reads it: what is no
// boolean counts as true.
func On(annotations map[string]string, key string) bool {
	text, found := annotations[key]
	if !found {
		return false
	}
	on, err := strconv.ParseBool(text)
	return err != nil || on
}

// Max returns the most replicas: 100 where none is given.
func (o ScaledObject) Max() int { return max32(o.Spec.MaxReplicaCount) }

// Min returns minReplicaCount, 0 where none is given. The HPA's own minimum is 1
// at least.
func (o ScaledObject) Min() int { return min32(o.Spec.MinReplicaCount) }

// Max returns the most Jobs: 100 where none is given.
func (j ScaledJob) Max() int { return max32(j.Spec.MaxReplicaCount) }

// Min returns how many Jobs there are at least.
func (j ScaledJob) Min() int { return min(min32(j.Spec.MinReplicaCount), j.Max()) }

func max32(n *int32) int {
	if n == nil {
		return DefaultMaxReplicaCount
	}
	return int(*n)
}

func min32(n *int32) int {
	if n == nil {
		return 0
	}
	return int(*n)
}

// Behavior returns what the ScaledObject says of its HPA, nil where nothing.
func (o ScaledObject) Behavior() *autoscalingv2.HorizontalPodAutoscalerBehavior {
	if o.Spec.Advanced == nil || o.Spec.Advanced.HorizontalPodAutoscalerConfig == nil {
		return nil
	}
	return o.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior
}

// HPAName returns the name of the HPA that KEDA makes.
func (o ScaledObject) HPAName() string {
	if o.Spec.Advanced != nil && o.Spec.Advanced.HorizontalPodAutoscalerConfig != nil && o.Spec.Advanced.HorizontalPodAutoscalerConfig.Name != "" {
		return o.Spec.Advanced.HorizontalPodAutoscalerConfig.Name
	}
	return "keda-hpa-" + o.Name
}

// Target returns the kind and name of what is scaled: a Deployment unless said
// otherwise.
func (o ScaledObject) Target() (kind, name string) {
	kind = o.Spec.ScaleTargetRef.Kind
	if kind == "" {
		kind = "Deployment"
	}
	return kind, o.Spec.ScaleTargetRef.Name
}

// RolloutStrategy returns what becomes of the Jobs of an earlier version:
// "gradual" leaves them, everything else deletes them.
func (j ScaledJob) RolloutStrategy() string {
	switch {
	case j.Spec.RolloutStrategy != "":
		return j.Spec.RolloutStrategy
	case j.Spec.Rollout.Strategy != "":
		return j.Spec.Rollout.Strategy
	}
	return "immediate"
}
