package bypass

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/trigger"
)

// Labels and gates that pods carry.
const (
	// Gate is the scheduling gate.
	Gate = "keda-headroom.github.io/connections"
	// GateLabel asks for the gate to be added to a pod.
	GateLabel = "keda-headroom.github.io/gate"
)

// Input is one fleet as its manifests have it. Exactly one of ScaledObject and
// ScaledJob is set; everything else may be missing, and is then not judged.
type Input struct {
	// Workload is the policy that governs it. Where it is nil, the fleet counts as
	// one in mode Target if a trigger of it asks Headroom, and else as none of ours.
	Workload *policy.Workload

	ScaledObject *kedaapi.ScaledObject
	ScaledJob    *kedaapi.ScaledJob

	// Deployment or StatefulSet is the ScaledObject's target.
	Deployment  *appsv1.Deployment
	StatefulSet *appsv1.StatefulSet

	// HPAs and ScaledObjects are those of the fleet's namespace; those that have
	// nothing to do with the target, and KEDA's own HPA, may be among them.
	HPAs          []autoscalingv2.HorizontalPodAutoscaler
	ScaledObjects []kedaapi.ScaledObject

	// Live says that the objects were read from a cluster: then its HPA is what
	// KEDA made, and spec.replicas says nothing of who wrote it.
	Live bool
	// Carries is how many replicas the databases carry at most, nil where that is
	// not known.
	Carries *int
}

// Asks reports whether a trigger asks Headroom.
func Asks(t kedaapi.Trigger) bool {
	if t.Type != "external" && t.Type != "external-push" {
		return false
	}
	for _, key := range []string{trigger.Workload, trigger.WorkloadFromEnv} {
		if _, named := t.Metadata[key]; named {
			return true
		}
	}
	host, _, _ := strings.Cut(t.Metadata[trigger.ScalerAddress], ".")
	host, _, _ = strings.Cut(host, ":")
	return strings.Contains(host, "headroom")
}

// Find returns every way past the target that the fleet leaves open, in a stable
// order; none for a fleet that is not governed, or is in mode Observe.
func Find(in Input) []Finding {
	f := finder{Input: in}
	mode := policy.Target
	switch {
	case in.Workload != nil:
		mode = in.Workload.Mode
	case !slices.ContainsFunc(in.triggers(), Asks):
		return nil
	}
	if mode == policy.Observe {
		return nil
	}
	if mode == policy.Gate {
		template := in.template()
		if template == nil || gated(*template) {
			return nil // what can't be seen is not blamed
		}
		f.gateMissing()
	}
	f.triggers()
	if in.ScaledJob != nil {
		f.jobs()
		return f.found
	}
	f.annotations()
	f.modifiers()
	f.behavior()
	f.bounds()
	f.fallback()
	f.restored()
	f.others()
	f.target()
	return f.found
}

// gated reports whether pods of the template carry the gate, or ask for it.
func gated(template corev1.PodTemplateSpec) bool {
	_, labeled := template.Labels[GateLabel]
	return labeled || slices.ContainsFunc(template.Spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == Gate })
}

// template returns that of the fleet's pods, nil where it is not known.
func (in Input) template() *corev1.PodTemplateSpec {
	switch {
	case in.ScaledJob != nil:
		return &in.ScaledJob.Spec.JobTargetRef.Template
	case in.Deployment != nil:
		return &in.Deployment.Spec.Template
	case in.StatefulSet != nil:
		return &in.StatefulSet.Spec.Template
	}
	return nil
}

func (in Input) triggers() []kedaapi.Trigger {
	if in.ScaledJob != nil {
		return in.ScaledJob.Spec.Triggers
	}
	return in.ScaledObject.Spec.Triggers
}

// object is what KEDA scales the fleet by.
func (in Input) object() Object {
	if in.ScaledJob != nil {
		return Object{"ScaledJob", in.ScaledJob.Namespace, in.ScaledJob.Name}
	}
	return Object{"ScaledObject", in.ScaledObject.Namespace, in.ScaledObject.Name}
}

// finder collects what is found.
type finder struct {
	Input
	found []Finding
}

// fails adds an error of the ScaledObject or ScaledJob, warns a warning.
func (f *finder) fails(code Code, field, sentence, remedy string) {
	f.found = append(f.found, Finding{code, policy.SeverityError, f.object(), field, sentence, remedy})
}

func (f *finder) warns(code Code, field, sentence, remedy string) {
	f.found = append(f.found, Finding{code, policy.SeverityWarning, f.object(), field, sentence, remedy})
}

func (f *finder) gateMissing() {
	object, field := f.object(), "spec.jobTargetRef.template.spec.schedulingGates"
	switch {
	case f.Deployment != nil:
		object, field = Object{"Deployment", f.Deployment.Namespace, f.Deployment.Name}, "spec.template.spec.schedulingGates"
	case f.StatefulSet != nil:
		object, field = Object{"StatefulSet", f.StatefulSet.Namespace, f.StatefulSet.Name}, "spec.template.spec.schedulingGates"
	}
	f.found = append(f.found, Finding{
		GateMissing, policy.SeverityError, object, field,
		"the policy says mode Gate, but the pods carry no gate and start at once, whatever is free",
		"add the scheduling gate " + Gate + ", or the label " + GateLabel + ` to the pod template where the admission policy is installed`,
	})
}
