package bypass

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/internal/argoapi"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/trigger"
)

// Labels and gates that pods carry.
const (
	// Gate is the scheduling gate.
	Gate = "keda-headroom.github.io/connections"
	// GateLabel asks for the gate to be added to a pod, with the value "true".
	GateLabel = "keda-headroom.github.io/gate"
)

// Input is one fleet as its manifests have it. At most one of ScaledObject and
// ScaledJob is set: where neither is, nothing of KEDA's scales the pods. Everything
// else may be missing, and is then not judged.
type Input struct {
	// Workload is the policy that governs it. Where it is nil, the fleet counts as
	// one in mode Target if a trigger of it asks Headroom, and else as none of ours.
	Workload *policy.Workload
	// Ungoverned says that every policy is known, and that none governs it.
	Ungoverned bool

	ScaledObject *kedaapi.ScaledObject
	ScaledJob    *kedaapi.ScaledJob

	// At most one of Deployment, StatefulSet, Rollout, CronJob and DaemonSet is set: the
	// ScaledObject's target, or what runs the pods. Referred is the Deployment that a
	// Rollout takes its template from, nil where it has one of its own.
	Deployment  *appsv1.Deployment
	StatefulSet *appsv1.StatefulSet
	Rollout     *argoapi.Rollout
	Referred    *appsv1.Deployment
	CronJob     *batchv1.CronJob
	DaemonSet   *appsv1.DaemonSet

	// HPAs, ScaledObjects and DisruptionBudgets are those of the fleet's namespace;
	// those that have nothing to do with the target, and KEDA's own HPA, may be
	// among them.
	HPAs              []autoscalingv2.HorizontalPodAutoscaler
	ScaledObjects     []kedaapi.ScaledObject
	DisruptionBudgets []policyv1.PodDisruptionBudget

	// Live says that the objects were read from a cluster: then its HPA is what
	// KEDA made, and spec.replicas says nothing of who wrote it.
	Live bool
	// Injects says whether an admission policy adds the gate to pods with the label,
	// nil where that is not known.
	Injects *bool
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

// Find returns every way past the target that the fleet leaves open, and what
// stands in the way of its gate, in a stable order; nothing for a fleet that is not
// governed. In mode Observe there is no target to get past.
func Find(in Input) []Finding {
	f := finder{Input: in}
	if in.Workload == nil {
		f.ungoverned()
		if slices.ContainsFunc(in.Triggers(), Asks) {
			f.ways()
		}
		return f.found
	}
	mode := in.Workload.Mode
	waiting := f.gate(mode)
	if mode == policy.Observe {
		f.ceilingsAlone()
		return f.found
	}
	before := len(f.found)
	f.ways()
	if mode != policy.Gate {
		return f.found
	}
	left := f.behindTheGate
	if !waiting {
		left = errorsOnly // that the gate is missing is what has to be put right
	}
	f.found = append(f.found[:before:before], left(f.found[before:])...)
	f.rollout()
	f.disruptionBudgets()
	f.evictions()
	return f.found
}

// ways looks for every way past a target.
func (f *finder) ways() {
	if !f.scaled() {
		return // whoever sets the replicas is told nothing
	}
	f.triggers()
	if f.ScaledJob != nil {
		f.jobs()
		return
	}
	f.annotations()
	f.modifiers()
	f.behavior()
	f.bounds()
	f.fallback()
	f.restored()
	f.others()
	f.target()
}

// scaled reports whether KEDA scales the fleet.
func (in Input) scaled() bool { return in.ScaledObject != nil || in.ScaledJob != nil }

// pods are what a fleet's pods are made of.
type pods struct {
	holder   Object // what has the template
	path     string // where in it
	labels   map[string]string
	template *corev1.PodTemplateSpec // nil where it is not known
}

func (in Input) pods() pods {
	switch {
	case in.ScaledJob != nil:
		return pods{in.object(), "spec.jobTargetRef.template", in.ScaledJob.Labels, &in.ScaledJob.Spec.JobTargetRef.Template}
	case in.Deployment != nil:
		return pods{in.runner(), "spec.template", in.Deployment.Labels, &in.Deployment.Spec.Template}
	case in.StatefulSet != nil:
		return pods{in.runner(), "spec.template", in.StatefulSet.Labels, &in.StatefulSet.Spec.Template}
	case in.Referred != nil:
		return pods{named("Deployment", in.Referred.ObjectMeta), "spec.template", in.Referred.Labels, &in.Referred.Spec.Template}
	case in.Rollout != nil && in.Rollout.Spec.WorkloadRef == nil:
		return pods{in.runner(), "spec.template", in.Rollout.Labels, &in.Rollout.Spec.Template}
	case in.Rollout != nil:
		return pods{in.runner(), "spec.template", in.Rollout.Labels, nil}
	case in.CronJob != nil:
		return pods{in.runner(), "spec.jobTemplate.spec.template", in.CronJob.Labels, &in.CronJob.Spec.JobTemplate.Spec.Template}
	case in.DaemonSet != nil:
		return pods{in.runner(), "spec.template", in.DaemonSet.Labels, &in.DaemonSet.Spec.Template}
	}
	return pods{in.object(), "spec.template", nil, nil}
}

// Template returns that of the fleet's pods, nil where it is not known.
func (in Input) Template() *corev1.PodTemplateSpec { return in.pods().template }

// job is what the fleet's pods are the Jobs of, and where it stands; nil where they are
// no Jobs'.
func (in Input) job() (*batchv1.JobSpec, string) {
	switch {
	case in.ScaledJob != nil:
		return &in.ScaledJob.Spec.JobTargetRef, "spec.jobTargetRef"
	case in.CronJob != nil:
		return &in.CronJob.Spec.JobTemplate.Spec, "spec.jobTemplate.spec"
	}
	return nil, ""
}

// runner names what runs the pods: the ScaledObject's target. Where that is not known it
// is what KEDA scales them by.
func (in Input) runner() Object {
	if known := in.known(); known != (Object{}) {
		return known
	}
	return in.object()
}

// known names what runs the pods, if that is known.
func (in Input) known() Object {
	switch {
	case in.Deployment != nil:
		return named("Deployment", in.Deployment.ObjectMeta)
	case in.StatefulSet != nil:
		return named("StatefulSet", in.StatefulSet.ObjectMeta)
	case in.Rollout != nil:
		return named("Rollout", in.Rollout.ObjectMeta)
	case in.CronJob != nil:
		return named("CronJob", in.CronJob.ObjectMeta)
	case in.DaemonSet != nil:
		return named("DaemonSet", in.DaemonSet.ObjectMeta)
	}
	return Object{}
}

func named(kind string, meta metav1.ObjectMeta) Object {
	return Object{kind, meta.Namespace, meta.Name}
}

// Triggers returns the fleet's triggers.
func (in Input) Triggers() []kedaapi.Trigger {
	switch {
	case in.ScaledJob != nil:
		return in.ScaledJob.Spec.Triggers
	case in.ScaledObject != nil:
		return in.ScaledObject.Spec.Triggers
	}
	return nil
}

// object is what KEDA scales the fleet by, else what runs its pods.
func (in Input) object() Object {
	switch {
	case in.ScaledJob != nil:
		return named("ScaledJob", in.ScaledJob.ObjectMeta)
	case in.ScaledObject != nil:
		return named("ScaledObject", in.ScaledObject.ObjectMeta)
	}
	return in.known()
}

// Name returns what KEDA scales the fleet by, else what runs its pods.
func (in Input) Name() Object { return in.object() }

// Surge returns how many pods a rollout adds to a number of replicas that waits for
// nobody: behind the gate they wait.
func (in Input) Surge(replicas int) int {
	switch {
	case Waits(in):
	case in.Deployment != nil:
		return MaxSurge(in.Deployment.Spec, replicas)
	case in.Rollout != nil:
		return RolloutSurge(in.Rollout.Spec.Strategy, replicas)
	}
	return 0
}

// most returns how many replicas there are at most, and false where that is not
// known.
func (in Input) most() (int, bool) {
	n, known := 0, true
	replicas := func(r *int32) int {
		if r == nil {
			return 1
		}
		return int(*r)
	}
	switch {
	case in.ScaledJob != nil:
		n = in.ScaledJob.Max()
	case in.ScaledObject != nil:
		n = in.ScaledObject.Max()
	case in.Deployment != nil:
		n = replicas(in.Deployment.Spec.Replicas)
	case in.StatefulSet != nil:
		n = replicas(in.StatefulSet.Spec.Replicas)
	case in.Rollout != nil:
		n = replicas(in.Rollout.Spec.Replicas)
	default:
		known = false
	}
	if in.Workload != nil && in.Workload.MaxReplicas != nil && known {
		n = min(n, *in.Workload.MaxReplicas)
	}
	return n, known
}

// finder collects what is found.
type finder struct {
	Input
	found []Finding
}

func (f *finder) add(code Code, severity policy.Severity, object Object, field, sentence, remedy string) {
	f.found = append(f.found, Finding{code, severity, object, field, sentence, remedy})
}

// fails adds an error of the ScaledObject or ScaledJob, warns a warning, notes a
// note.
func (f *finder) fails(code Code, field, sentence, remedy string) {
	f.add(code, policy.SeverityError, f.object(), field, sentence, remedy)
}

func (f *finder) warns(code Code, field, sentence, remedy string) {
	f.add(code, policy.SeverityWarning, f.object(), field, sentence, remedy)
}

func (f *finder) notes(code Code, field, sentence, remedy string) {
	f.add(code, policy.SeverityNote, f.object(), field, sentence, remedy)
}
