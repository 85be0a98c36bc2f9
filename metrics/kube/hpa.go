package kube

import (
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/metrics"
)

// defaultStabilization is how long an HPA goes on acting on its highest
// recommendation where nobody says: the controller's own default.
const defaultStabilization = 5 * time.Minute

// hpaOf keeps of an HPA what it scales, between which bounds and how.
func hpaOf(h *autoscalingv2.HorizontalPodAutoscaler) autoscalingv2.HorizontalPodAutoscaler {
	return autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: aboutOf(h.ObjectMeta),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: h.Spec.ScaleTargetRef,
			MinReplicas:    h.Spec.MinReplicas, MaxReplicas: h.Spec.MaxReplicas,
			Behavior: h.Spec.Behavior,
		},
	}
}

// hpaFor returns the HPA that KEDA made for a ScaledObject: the one it controls,
// else one of the name that KEDA gives it, if it scales the same target.
func (c *Cluster) hpaFor(o kedaapi.ScaledObject) (autoscalingv2.HorizontalPodAutoscaler, bool) {
	_, name := o.Target()
	for _, found := range c.tables.hpas.controlled(string(o.UID)) {
		if found.value.Spec.ScaleTargetRef.Name == name {
			return found.value, true
		}
	}
	for _, called := range []string{o.Status.HPAName, o.HPAName()} {
		found, ok := c.tables.hpas.get(o.Namespace, called)
		if ok && found.controller.Value() == "" && found.value.Spec.ScaleTargetRef.Name == name {
			return found.value, true
		}
	}
	return autoscalingv2.HorizontalPodAutoscaler{}, false
}

// follows says how the HPA of a ScaledObject follows a target: as the API server
// has it, where tolerances are dropped while the feature gate
// HPAConfigurableTolerance is off. Before there is one it is what KEDA is about
// to create.
func (c *Cluster) follows(o kedaapi.ScaledObject) metrics.HPA {
	behavior := o.Behavior()
	if hpa, ok := c.hpaFor(o); ok {
		behavior = hpa.Spec.Behavior
	}
	return followsBy(behavior, c.defaultTolerance)
}

// followsBy says it of a behavior. tolerance is that of an HPA that gives none, in
// thousandths.
func followsBy(behavior *autoscalingv2.HorizontalPodAutoscalerBehavior, tolerance int) metrics.HPA {
	out := metrics.HPA{ScaleDownToleranceMilli: tolerance, ScaleDownStabilization: defaultStabilization}
	if behavior == nil || behavior.ScaleDown == nil {
		return out
	}
	if t := behavior.ScaleDown.Tolerance; t != nil {
		out.ScaleDownToleranceMilli = int(max(t.MilliValue(), 0)) // rounds up
	}
	if s := behavior.ScaleDown.StabilizationWindowSeconds; s != nil {
		out.ScaleDownStabilization = time.Duration(max(*s, 0)) * time.Second
	}
	return out
}

// milli returns a share in thousandths, rounded up. A share that is a whole
// number of them but for the last bits of the float is that number.
func milli(share float64) int {
	return int(math.Ceil(math.Round(share*1e9) / 1e6))
}

// controllerOf returns the UID of the object that controls this one, "" for none.
func controllerOf(about metav1.Object) string {
	if owner := metav1.GetControllerOfNoCopy(about); owner != nil {
		return string(owner.UID)
	}
	return ""
}
