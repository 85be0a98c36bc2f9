package bypass

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/policy"
)

// How pods of a template come to wait at the gate.
type waiting int

const (
	never      waiting = iota // they start at once
	byTemplate                // the gate stands in the template
	byLabel                   // the admission policy adds it, where it is installed
)

func waits(template corev1.PodTemplateSpec) waiting {
	switch {
	case slices.ContainsFunc(template.Spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == Gate }):
		return byTemplate
	case template.Labels[GateLabel] == "true":
		return byLabel
	}
	return never
}

// gate looks at whether the pods wait as the mode needs it, and reports whether
// they do. What can't be seen is not blamed.
func (f *finder) gate(mode policy.Mode) bool {
	pods := f.pods()
	holder, path, template := pods.holder, pods.path, pods.template
	if template == nil {
		return mode == policy.Gate
	}
	gates, label := path+".spec.schedulingGates", path+".metadata.labels["+GateLabel+"]"
	how := waits(*template)
	node := template.Spec.NodeName
	switch {
	case how == byTemplate && node != "":
		f.add(GateNodeName, policy.SeverityError, holder, path+".spec.nodeName",
			fmt.Sprintf("a pod whose node is chosen beforehand (%s) may carry no scheduling gate: the API server refuses every pod (422)", node),
			"leave nodeName out, and choose the node by nodeSelector or affinity")
		return true
	case mode != policy.Gate && how == byTemplate:
		f.add(GateUnneeded, policy.SeverityWarning, holder, gates, unneeded(mode), "remove the gate from the template, or set mode: Gate in the policy")
	case mode != policy.Gate && how == byLabel:
		f.add(GateUnneeded, policy.SeverityWarning, holder, label, unneeded(mode), "remove the label, or set mode: Gate in the policy")
	case mode != policy.Gate:
	case how == byLabel && node != "":
		f.add(GateNodeName, policy.SeverityError, holder, path+".spec.nodeName",
			fmt.Sprintf("the admission policy adds no gate to a pod whose node is chosen beforehand (%s): it starts at once, whatever is free", node),
			"leave nodeName out, and choose the node by nodeSelector or affinity")
		return false
	case how == byLabel && f.Injects != nil && !*f.Injects:
		f.add(GateNotInjected, policy.SeverityWarning, holder, label,
			"the label asks an admission policy for the gate, and no MutatingAdmissionPolicy of this cluster (from Kubernetes 1.36) adds it: where nothing else does, the pods start at once, whatever is free",
			"install manifests/components/gate, or put the scheduling gate "+Gate+" into the template")
	case how == never:
		f.missing(pods)
	}
	return how != never
}

func unneeded(mode policy.Mode) string {
	if mode == policy.Observe {
		return "the policy says mode Observe, but no pod starts before Headroom has removed its gate: it does so at once, and not at all while it is away"
	}
	return "the policy says mode Target, but no pod starts before Headroom has removed its gate, and none at all while it is away"
}

// missing tells of pods of a workload in mode Gate that start at once.
func (f *finder) missing(pods pods) {
	holder, path := pods.holder, pods.path
	value, labeled := pods.template.Labels[GateLabel]
	if labeled {
		f.add(GateLabelValue, policy.SeverityError, holder, path+".metadata.labels["+GateLabel+"]",
			fmt.Sprintf(`nothing gates its pods: the admission policy adds the gate where the label is "true", found %q`, value),
			`set it to "true", in quotes`)
		return
	}
	sentence := "nothing gates its pods: the policy says mode Gate, but they carry no gate and start at once, whatever is free"
	if pods.labels[GateLabel] != "" {
		sentence += fmt.Sprintf("; the label %s stands at the %s itself, and its pods don't get it", GateLabel, holder.Kind)
	}
	f.add(GateMissing, policy.SeverityError, holder, path+".spec.schedulingGates", sentence,
		"add the label "+GateLabel+`: "true" to the pod template where the admission policy is installed, else the scheduling gate `+Gate)
}

// ungoverned tells of pods that wait though nobody lets them through.
func (f *finder) ungoverned() {
	pods := f.pods()
	holder, path, template := pods.holder, pods.path, pods.template
	if template == nil || !f.Ungoverned {
		return
	}
	sentence := "no policy governs these pods, and nobody lets them through the gate: none ever starts"
	switch waits(*template) {
	case byTemplate:
		f.add(GateUngoverned, policy.SeverityError, holder, path+".spec.schedulingGates", sentence, "remove the gate, or add a workload for them to a policy of this namespace")
	case byLabel:
		f.add(GateUngoverned, policy.SeverityError, holder, path+".metadata.labels["+GateLabel+"]", sentence, "remove the label, or add a workload for them to a policy of this namespace")
	case never:
	}
}
