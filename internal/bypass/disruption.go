package bypass

import (
	"fmt"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/keda-headroom/headroom/policy"
)

// disruptionBudgets looks at the PodDisruptionBudgets of pods of which some wait.
// A budget that counts from the replicas there should be takes each waiting pod for
// one that was disrupted.
func (f *finder) disruptionBudgets() {
	template := f.Template()
	if template == nil {
		return
	}
	namespace := f.object().Namespace
	var matching []policyv1.PodDisruptionBudget
	for _, b := range f.DisruptionBudgets {
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err == nil && b.Namespace == namespace && selector.Matches(labels.Set(template.Labels)) {
			matching = append(matching, b)
		}
	}
	for n, b := range matching {
		if n > 0 {
			f.add(SeveralBudgets, policy.SeverityWarning, named("PodDisruptionBudget", b.ObjectMeta), "spec.selector",
				fmt.Sprintf("%s and %s match the same pods: the API server refuses every eviction of them (500), those of a node's drain and those of Headroom's sheds and swaps", matching[0].Name, b.Name),
				"leave one that matches")
		}
		f.disruptionBudget(b)
	}
}

func (f *finder) disruptionBudget(b policyv1.PodDisruptionBudget) {
	field, said := "spec.maxUnavailable", b.Spec.MaxUnavailable
	if said == nil {
		field, said = "spec.minAvailable", b.Spec.MinAvailable
	}
	if said == nil {
		return
	}
	object := named("PodDisruptionBudget", b.ObjectMeta)
	severity, remedy := policy.SeverityWarning, "set minAvailable to a number of pods instead, of which Ready ones alone count"
	switch shedding := f.Workload.Shedding; {
	case shedding.IgnoreDisruptionBudgets:
		severity = policy.SeverityNote // what Headroom has to take away it can
	case shedding.Enabled:
		remedy += ", or shedding.ignoreDisruptionBudgets: true in the policy, where freeing connections comes first"
	}
	countless := "" // what is not known to have a number
	if job, _ := f.job(); job != nil {
		countless = "Jobs"
	} else if f.DaemonSet != nil {
		countless = "a DaemonSet"
	}
	counted := b.Spec.MaxUnavailable != nil || said.Type == intstr.String
	switch {
	case counted && countless != "":
		f.add(DisruptionBudget, severity, object, field,
			fmt.Sprintf("Kubernetes can't tell how many pods of %s there should be, and with %s %s allows no eviction at all", countless, field[len("spec."):], said), remedy)
	case counted:
		f.add(DisruptionBudget, severity, object, field,
			fmt.Sprintf("%s %s counts from the replicas that there should be, so that each pod that waits at the gate counts as one disrupted: with some of them waiting no eviction passes, neither of a node's drain nor of Headroom's sheds and swaps", field[len("spec."):], said), remedy)
	default:
		if most, known := f.most(); known && said.IntValue() >= most {
			f.add(DisruptionBudget, severity, object, field,
				fmt.Sprintf("minAvailable %s of %d replicas at most allows no eviction, neither of a node's drain nor of Headroom's sheds and swaps", said, most),
				fmt.Sprintf("set it below %d", most))
		}
	}
}
