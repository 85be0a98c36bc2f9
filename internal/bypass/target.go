package bypass

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
)

// others looks at who else scales the same target.
func (f *finder) others() {
	kind, name := f.ScaledObject.Target()
	for _, other := range f.ScaledObjects {
		otherKind, otherName := other.Target()
		if other.Namespace == f.ScaledObject.Namespace && other.Name != f.ScaledObject.Name && otherKind == kind && otherName == name {
			f.fails(SecondScaledObject, "spec.scaleTargetRef",
				fmt.Sprintf("ScaledObject %s scales %s %s, too: whoever writes last wins", other.Name, kind, name),
				"leave one of them")
		}
	}
	for _, hpa := range f.HPAs {
		ref := hpa.Spec.ScaleTargetRef
		if hpa.Namespace != f.ScaledObject.Namespace || ref.Kind != kind || ref.Name != name || f.own(hpa) || f.anothers(hpa) {
			continue
		}
		sentence := fmt.Sprintf("a second HPA scales %s %s to as many as %d replicas, whatever the target is", kind, name, hpa.Spec.MaxReplicas)
		if hpa.Annotations[kedaapi.HPAOwnershipValidated] == "false" {
			sentence += "; KEDA does not refuse it, because its annotation " + kedaapi.HPAOwnershipValidated + " says so"
		}
		f.found = append(f.found, Finding{
			SecondHPA, policy.SeverityError, Object{"HorizontalPodAutoscaler", hpa.Namespace, hpa.Name}, "spec.scaleTargetRef",
			sentence, "delete it",
		})
	}
}

// own reports whether the HPA is the one that KEDA made, or takes over.
func (f *finder) own(hpa autoscalingv2.HorizontalPodAutoscaler) bool {
	owned := slices.ContainsFunc(hpa.OwnerReferences, func(o metav1.OwnerReference) bool {
		return o.Kind == "ScaledObject" && o.Name == f.ScaledObject.Name
	})
	return hpa.Namespace == f.ScaledObject.Namespace && (owned || hpa.Name == f.ScaledObject.HPAName() || (hpa.Name == f.ScaledObject.Status.HPAName && hpa.Name != ""))
}

// anothers reports whether the HPA was made for another ScaledObject, which is
// named by itself.
func (f *finder) anothers(hpa autoscalingv2.HorizontalPodAutoscaler) bool {
	return slices.ContainsFunc(hpa.OwnerReferences, func(o metav1.OwnerReference) bool {
		return o.Kind == "ScaledObject" && slices.ContainsFunc(f.ScaledObjects, func(s kedaapi.ScaledObject) bool { return s.Namespace == hpa.Namespace && s.Name == o.Name })
	})
}

// target looks at what adds pods to the replicas, and at who else sets them.
func (f *finder) target() {
	switch {
	case f.Deployment != nil:
		object := f.runner()
		most := f.ScaledObject.Max()
		if surge := MaxSurge(f.Deployment.Spec, most); surge > 0 {
			f.found = append(f.found, Finding{
				Surge, policy.SeverityWarning, object, "spec.strategy.rollingUpdate.maxSurge",
				fmt.Sprintf("a rollout of %d replicas runs %d pods more. Headroom sets their connections aside all the time, so that the fleet gets fewer, and does not see pods that a rollout adds before its next look", most, surge),
				"set maxSurge to 0 and maxUnavailable to 1 or more, or type to Recreate",
			})
		}
		f.applied(object, f.Deployment.Spec.Replicas)
	case f.StatefulSet != nil:
		f.applied(f.runner(), f.StatefulSet.Spec.Replicas)
	case f.Rollout != nil:
		f.argo()
		f.applied(f.runner(), f.Rollout.Spec.Replicas)
	}
}

// argo looks at how many pods a rollout of an Argo Rollout adds. Headroom reads it
// by its scale subresource alone, which does not say.
func (f *finder) argo() {
	most, s := f.ScaledObject.Max(), f.Rollout.Spec.Strategy
	surge, aside := RolloutSurge(s, most), scaledSurge(nil, most)
	switch {
	case s.BlueGreen != nil:
		f.add(BlueGreen, policy.SeverityWarning, f.runner(), "spec.strategy.blueGreen",
			fmt.Sprintf("a rollout runs the new version beside the whole old one: %d pods more for %d replicas, and Headroom sets aside the connections of %d", surge, most, aside),
			"use canary with maxSurge: 0")
	case surge > aside && s.Canary != nil && s.Canary.TrafficRouting != nil:
		f.add(Surge, policy.SeverityWarning, f.runner(), "spec.strategy.canary.trafficRouting",
			fmt.Sprintf("with trafficRouting the stable pods stay until the end: a rollout of %d replicas runs up to %d pods more, and Headroom sets aside the connections of %d", most, surge, aside),
			"leave trafficRouting out, a queue has no traffic to route, or set dynamicStableScale: true")
	case surge > aside:
		f.add(Surge, policy.SeverityWarning, f.runner(), "spec.strategy.canary.maxSurge",
			fmt.Sprintf("a rollout of %d replicas runs %d pods more, and Headroom, which can't see a Rollout's maxSurge, sets aside the connections of %d", most, surge, aside),
			"set maxSurge to 0 and maxUnavailable to 1 or more")
	case surge > 0:
		f.add(Surge, policy.SeverityWarning, f.runner(), "spec.strategy.canary.maxSurge",
			fmt.Sprintf("a rollout of %d replicas runs %d pods more. Headroom, which can't see a Rollout's maxSurge, sets aside the connections of %d all the time, so that the fleet gets fewer, and does not see pods that a rollout adds before its next look", most, surge, aside),
			"set maxSurge to 0 and maxUnavailable to 1 or more; in mode Gate nothing is set aside")
	case aside > 0:
		f.add(Surge, policy.SeverityNote, f.runner(), "spec.strategy.canary.maxSurge",
			fmt.Sprintf("a rollout adds no pod, but Headroom can't see a Rollout's maxSurge: of %d replicas it sets aside the connections of %d all the time, so that the fleet gets fewer", most, aside),
			"nothing is set aside in mode Gate")
	}
}

func (f *finder) applied(object Object, replicas *int32) {
	if f.Live || replicas == nil || *replicas <= 1 {
		return
	}
	f.found = append(f.found, Finding{
		ReplicasApplied, policy.SeverityWarning, object, "spec.replicas",
		fmt.Sprintf("each time that this manifest is applied there are %d replicas, whatever the target is", *replicas),
		"leave replicas out: KEDA and the HPA set it",
	})
}

// MaxSurge returns how many pods a rollout of a Deployment adds to a number of
// replicas.
func MaxSurge(d appsv1.DeploymentSpec, replicas int) int {
	if d.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return 0
	}
	if d.Strategy.RollingUpdate == nil {
		return scaledSurge(nil, replicas)
	}
	return scaledSurge(d.Strategy.RollingUpdate.MaxSurge, replicas)
}

// scaledSurge is maxSurge of so many replicas, 25 % where it is left out.
func scaledSurge(surge *intstr.IntOrString, replicas int) int {
	quarter := intstr.FromString("25%")
	n, err := intstr.GetScaledValueFromIntOrPercent(cmp.Or(surge, &quarter), replicas, true)
	if err != nil {
		return 0 // no API server takes it
	}
	return max(0, n)
}
