package bypass

import (
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/keda-headroom/headroom/policy"
)

// defaultStabilization is for how many seconds the HPA follows its highest
// recommendation where nothing is said.
const defaultStabilization = 300

const behaviorPath = "spec.advanced.horizontalPodAutoscalerConfig.behavior"

// behavior looks at how loosely and how late the HPA follows a target.
func (f *finder) behavior() {
	var up, down *autoscalingv2.HPAScalingRules
	if b := f.ScaledObject.Behavior(); b != nil {
		up, down = b.ScaleUp, b.ScaleDown
	}
	f.tolerance(ScaleDownTolerance, "scaleDown", down,
		"the HPA ignores a fall of the target by less than its tolerance (%s): of 20 replicas and 0.1 up to 2 stay above the target. Headroom publishes less than the target to make it act, which works for one HPA whose tolerance it knows")
	f.tolerance(ScaleUpTolerance, "scaleUp", up,
		"inside its tolerance (%s) the HPA writes the number of pods, those of a rollout's surge included, as the number of replicas: each rollout can leave more than the target")
	f.stabilization(down)
	f.brake(down)
	f.dropped(up, down)
}

func (f *finder) tolerance(code Code, direction string, rules *autoscalingv2.HPAScalingRules, sentence string) {
	said := "the cluster's default, 0.1 unless its controller was told otherwise"
	if t := tolerance(rules); t != nil {
		if t.Sign() <= 0 {
			return
		}
		said = t.String()
	}
	f.warns(code, behaviorPath+"."+direction+".tolerance", fmt.Sprintf(sentence, said), "set "+direction+`.tolerance to 0 (Kubernetes 1.35 and later)`)
}

func tolerance(rules *autoscalingv2.HPAScalingRules) *resource.Quantity {
	if rules == nil {
		return nil
	}
	return rules.Tolerance
}

func (f *finder) stabilization(down *autoscalingv2.HPAScalingRules) {
	window := int32(defaultStabilization)
	if down != nil && down.StabilizationWindowSeconds != nil {
		window = *down.StabilizationWindowSeconds
	}
	if window <= 0 {
		return
	}
	f.warns(Stabilization, behaviorPath+".scaleDown.stabilizationWindowSeconds",
		fmt.Sprintf("the HPA follows the highest target of the last %d s, so that a budget that falls is exceeded for that long", window),
		"set scaleDown.stabilizationWindowSeconds to 0: Headroom's target falls gently by itself (scaleDownStabilization in the policy), and at once where it has to")
}

// brake looks at policies that let replicas go more slowly than all at once.
func (f *finder) brake(down *autoscalingv2.HPAScalingRules) {
	if down == nil {
		return
	}
	path := behaviorPath + ".scaleDown"
	if down.SelectPolicy != nil && *down.SelectPolicy == autoscalingv2.DisabledPolicySelect {
		f.warns(ScaleDownBrake, path+".selectPolicy", "the HPA never scales in, so that a fall of the target is not followed", "leave selectPolicy out")
		return
	}
	if len(down.Policies) == 0 {
		return // all within 15 s
	}
	least := down.SelectPolicy != nil && *down.SelectPolicy == autoscalingv2.MinChangePolicySelect
	slow := 0
	for _, p := range down.Policies {
		if p.Type != autoscalingv2.PercentScalingPolicy || p.Value < 100 || p.PeriodSeconds > 15 {
			slow++
		}
	}
	if slow == 0 || (!least && slow < len(down.Policies)) {
		return
	}
	f.warns(ScaleDownBrake, path+".policies",
		"the HPA scales in by steps only, so that replicas above the target stay for several periods",
		"set policies to [{type: Percent, value: 100, periodSeconds: 15}], or leave them out")
}

// dropped compares what the ScaledObject says with what the HPA has: an API
// server without the feature gate drops a tolerance silently.
func (f *finder) dropped(up, down *autoscalingv2.HPAScalingRules) {
	if !f.Live {
		return
	}
	for _, hpa := range f.HPAs {
		if !f.own(hpa) {
			continue
		}
		var hasUp, hasDown *autoscalingv2.HPAScalingRules
		if b := hpa.Spec.Behavior; b != nil {
			hasUp, hasDown = b.ScaleUp, b.ScaleDown
		}
		for _, d := range []struct {
			name        string
			wanted, has *resource.Quantity
		}{{"scaleDown", tolerance(down), tolerance(hasDown)}, {"scaleUp", tolerance(up), tolerance(hasUp)}} {
			if d.wanted != nil && (d.has == nil || d.wanted.Cmp(*d.has) != 0) {
				f.found = append(f.found, Finding{
					ToleranceDropped, policy.SeverityWarning, Object{"HorizontalPodAutoscaler", hpa.Namespace, hpa.Name},
					"spec.behavior." + d.name + ".tolerance",
					fmt.Sprintf("the ScaledObject says %s, the HPA doesn't: the cluster's own tolerance applies, 0.1 unless its controller was told otherwise", d.wanted),
					"switch the feature gate HPAConfigurableTolerance on (it is from Kubernetes 1.35), or lower the controller's --horizontal-pod-autoscaler-tolerance",
				})
			}
		}
	}
}
