package bypass

import (
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/trigger"
)

func asksForCeiling(t kedaapi.Trigger) bool {
	return Asks(t) && t.Metadata[trigger.MetricKey] == string(trigger.Ceiling)
}

// triggers looks at who else is asked, and at what becomes of the answer.
func (f *finder) triggers() {
	asks, formula := 0, f.formula()
	for i, t := range f.Input.Triggers() {
		at := fmt.Sprintf("spec.triggers[%d]", i)
		if !Asks(t) {
			if !formula.takes(t) {
				f.otherTrigger(at, t)
			}
			continue
		}
		asks++
		if t.MetricType != "" && t.MetricType != autoscalingv2.AverageValueMetricType && f.ScaledObject != nil && formula == nil {
			f.fails(MetricType, at+".metricType",
				fmt.Sprintf("with metricType %s the HPA multiplies the target by the number of ready pods", t.MetricType),
				"leave metricType out, which is AverageValue")
		}
		if t.UseCachedMetrics {
			f.fails(CachedMetrics, at+".useCachedMetrics",
				"the HPA is served the number of KEDA's last poll, however old, so that a fall of the target takes back nothing until the next",
				"leave useCachedMetrics out")
		}
		f.metric(at, t, formula)
	}
	if asks == 0 {
		f.fails(NoTrigger, "spec.triggers",
			"no trigger asks Headroom, so that nothing holds the fleet to its target",
			`add {type: external-push, metadata: {scalerAddress: "headroom.headroom.svc:6000", workload: …}} as the only trigger, or set mode: Observe in the policy`)
	}
}

// ceilingsAlone looks at ceilings that are taken for targets. They are even in mode
// Observe, which changes nothing else.
func (f *finder) ceilingsAlone() {
	for i, t := range f.Input.Triggers() {
		if asksForCeiling(t) && f.formula() == nil {
			f.metric(fmt.Sprintf("spec.triggers[%d]", i), t, nil)
		}
	}
}

// metric looks at which number a trigger asks for, and at what it is used for.
func (f *finder) metric(at string, t kedaapi.Trigger, formula *formula) {
	switch {
	case formula != nil && formula.wrong != nil: // that is said
	case asksForCeiling(t) && formula == nil:
		size := "as large as the databases carry"
		if f.Workload != nil && f.Workload.Mode == policy.Observe {
			size = "as large as maxReplicaCount (in mode Observe the ceiling limits nothing)"
		}
		f.fails(CeilingAlone, at+".metadata."+trigger.MetricKey,
			"the trigger asks for the ceiling, and no formula makes a cap of it: the fleet would always be "+size+", whether there is work or not",
			"leave metric out, which asks for the target; or add scalingModifiers with a formula over a trigger of your own, as in max(0, min(demand, ceiling))")
	case asksForCeiling(t) && t.Name == "":
		f.warns(CeilingUnused, at+".name",
			"the trigger that asks for the ceiling has no name, so that the formula can't mention it, and nothing is capped",
			"give it a name, and mention it in the formula, as in max(0, min(demand, ceiling))")
	case asksForCeiling(t) && !formula.mentions(t.Name):
		f.warns(CeilingUnused, "spec.advanced.scalingModifiers.formula",
			fmt.Sprintf("the formula does not mention %s, the trigger that asks for the ceiling, so that nothing is capped", t.Name),
			fmt.Sprintf("mention it, as in max(0, min(demand, %s))", t.Name))
	case !asksForCeiling(t) && t.Name != "" && formula.mentions(t.Name):
		f.notes(TargetInFormula, "spec.advanced.scalingModifiers.formula",
			fmt.Sprintf("%s asks for the target, which is the smaller of what the policy's own queue asks for and the ceiling: a formula of it caps other demand by that queue, too", t.Name),
			"set metric: ceiling in the trigger's metadata, where the demand comes from other triggers")
	}
}

func (f *finder) otherTrigger(at string, t kedaapi.Trigger) {
	sentence := fmt.Sprintf("of several triggers the HPA follows the one that asks for most, so that this one (%s) can ask for more than the target, and KEDA activates the fleet on its word alone", t.Type)
	remedy := "remove it: what it measures belongs into the policy, or into a ScaledObject of its own"
	switch {
	case f.ScaledJob != nil && f.ScaledJob.Spec.ScalingStrategy.MultipleScalersCalculation == "min":
		sentence = fmt.Sprintf("with multipleScalersCalculation min KEDA leaves out what asks for nothing, so that this trigger (%s) gets all that it asks for while the target is 0", t.Type)
	case f.ScaledJob != nil:
		sentence = fmt.Sprintf("of several triggers KEDA takes the most, the sum or the mean (multipleScalersCalculation), so that this one (%s) can ask for more Jobs than the target", t.Type)
	case resourceTrigger(t) && f.formula() != nil:
		sentence = fmt.Sprintf("KEDA hands this trigger (%s) to the HPA beside the formula, and of the two the HPA follows the one that asks for more", t.Type)
	case !resourceTrigger(t):
		remedy += `; or put a cap on it: name it and a trigger with metric: ceiling, with scalingModifiers: {target: "1", formula: "max(0, min(…, ceiling))"}`
	}
	f.fails(OtherTrigger, at+".type", sentence, remedy)
}
