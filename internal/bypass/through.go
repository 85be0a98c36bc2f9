package bypass

import (
	"fmt"
	"strings"

	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
)

// defaultTolerance is the HPA's, of a controller that was told no other.
const defaultTolerance = 0.1

// keeps are the ways by which replicas stay above a ceiling for long, the surest
// first, and how a sentence calls them. Ways that add pods for a moment, or add none
// that spec.replicas shows, are not among them.
var keeps = []struct {
	code Code
	says func(in Input, f Finding) string
}{
	{PausedAt, func(in Input, f Finding) string {
		if n := in.ScaledObject.Annotations[kedaapi.PausedReplicas]; n != "" {
			return "the annotation " + kedaapi.PausedReplicas + ": " + n
		}
		return "the annotation " + kedaapi.Paused
	}},
	{PausedScaleIn, func(Input, Finding) string { return "the annotation " + kedaapi.PausedScaleIn }},
	{SecondHPA, func(_ Input, f Finding) string { return "a second HPA (" + f.Object.Name + ")" }},
	{SecondScaledObject, func(Input, Finding) string { return "a second ScaledObject" }},
	{OtherTrigger, func(in Input, f Finding) string {
		for i, t := range in.Triggers() {
			if strings.HasPrefix(f.Field, fmt.Sprintf("spec.triggers[%d].", i)) {
				return "another trigger (" + t.Type + ")"
			}
		}
		return "another trigger"
	}},
	{ScalingModifiers, inFormula}, {FormulaUnbounded, inFormula}, {FormulaNegative, inFormula},
	{MetricType, func(Input, Finding) string { return "a metricType that multiplies the target" }},
	{CachedMetrics, func(Input, Finding) string { return "useCachedMetrics" }},
	{NoTrigger, func(Input, Finding) string { return "triggers none of which asks Headroom" }},
	{ScaleDownBrake, func(Input, Finding) string { return "the scaleDown policies of its HPA" }},
	{Stabilization, func(Input, Finding) string { return "the stabilization window of its HPA" }},
	{Fallback, func(Input, Finding) string { return "KEDA's fallback" }},
}

func inFormula(Input, Finding) string { return "the formula in scalingModifiers" }

// Through says through what a fleet can have had more replicas than its ceiling for
// longer than its HPA takes to follow, as far as its manifests tell: a part of a
// sentence that begins with "through", with three ways at most, the surest first.
// Where they leave no such way open, somebody sets the number by hand.
func Through(in Input, replicas, ceiling int) string {
	if in.ScaledObject == nil {
		return "through whoever sets its replicas: nothing of KEDA's scales it"
	}
	as := policy.Workload{}
	if in.Workload != nil {
		as = *in.Workload
	}
	as.Mode, in.Workload = policy.Target, &as // behind a gate nothing would be left
	var ways []string
	if least := max(1, in.ScaledObject.Min()); least > ceiling {
		ways = append(ways, fmt.Sprintf("minReplicaCount %d", in.ScaledObject.Min()))
	}
	found := Find(in)
	for _, keep := range keeps {
		for _, f := range found {
			if f.Code == keep.code {
				ways = append(ways, keep.says(in, f))
			}
		}
	}
	for _, f := range found {
		if f.Code == ScaleDownTolerance && float64(ceiling) >= (1-in.tolerance())*float64(replicas) {
			ways = append(ways, "the tolerance of its HPA")
		}
	}
	switch len(ways) {
	case 0:
		return "through no way that its manifests leave open: somebody sets spec.replicas (kubectl scale), or the HPA does not work"
	case 1:
		return "through " + ways[0]
	}
	ways = ways[:min(3, len(ways))]
	last := len(ways) - 1
	return "through " + strings.Join(ways[:last], ", ") + " or " + ways[last]
}

// tolerance is within what share of the replicas the HPA ignores a fall.
func (in Input) tolerance() float64 {
	if b := in.ScaledObject.Behavior(); b != nil {
		if t := tolerance(b.ScaleDown); t != nil {
			return t.AsApproximateFloat64()
		}
	}
	return defaultTolerance
}
