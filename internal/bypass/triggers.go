package bypass

import (
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/keda-headroom/headroom/internal/kedaapi"
)

// triggers looks at who else is asked, and at what becomes of the answer.
func (f *finder) triggers() {
	asks := 0
	for i, t := range f.Input.triggers() {
		at := fmt.Sprintf("spec.triggers[%d]", i)
		if !Asks(t) {
			f.otherTrigger(at, t)
			continue
		}
		asks++
		if t.MetricType != "" && t.MetricType != autoscalingv2.AverageValueMetricType && f.ScaledObject != nil {
			f.fails(MetricType, at+".metricType",
				fmt.Sprintf("with metricType %s the HPA multiplies the target by the number of ready pods", t.MetricType),
				"leave metricType out, which is AverageValue")
		}
		if t.UseCachedMetrics {
			f.fails(CachedMetrics, at+".useCachedMetrics",
				"the HPA is served the number of KEDA's last poll, however old, so that a fall of the target takes back nothing until the next",
				"leave useCachedMetrics out")
		}
	}
	if asks == 0 {
		f.fails(NoTrigger, "spec.triggers",
			"no trigger asks Headroom, so that nothing holds the fleet to its target",
			`add {type: external-push, metadata: {scalerAddress: "headroom.headroom.svc:6000", workload: …}} as the only trigger, or set mode: Observe in the policy`)
	}
}

func (f *finder) otherTrigger(at string, t kedaapi.Trigger) {
	sentence := fmt.Sprintf("of several triggers the HPA follows the one that asks for most, so that this one (%s) can ask for more than the target, and KEDA activates the fleet on its word alone", t.Type)
	if f.ScaledJob != nil {
		sentence = fmt.Sprintf("of several triggers KEDA takes the most, the sum or the mean (multipleScalersCalculation), so that this one (%s) can ask for more Jobs than the target", t.Type)
	}
	f.fails(OtherTrigger, at+".type", sentence, "remove it: what it measures belongs into the policy, or into a ScaledObject of its own")
}

// modifiers looks at a formula over the triggers.
func (f *finder) modifiers() {
	if f.ScaledObject.Spec.Advanced == nil {
		return
	}
	if f.ScaledObject.Spec.Advanced.ScalingModifiers != (kedaapi.ScalingModifiers{}) {
		f.fails(ScalingModifiers, "spec.advanced.scalingModifiers",
			"the HPA sees what the formula makes of the target, which nothing bounds; below 0 it means maxReplicaCount",
			"remove scalingModifiers")
	}
}
