package bypass

import (
	"fmt"

	"github.com/keda-headroom/headroom/policy"
)

// Finding is one way past a target, left open in one place.
type Finding struct {
	Code     Code            `json:"code"`
	Severity policy.Severity `json:"severity"`
	// Object is what leaves it open, Field where in it: a path as in
	// "spec.triggers[1].type" or "metadata.annotations[autoscaling.keda.sh/paused]".
	// What should be there and isn't is named, too.
	Object Object `json:"object"`
	Field  string `json:"field"`
	// Sentence says what can happen, Remedy what to write instead.
	Sentence string `json:"sentence"`
	Remedy   string `json:"remedy"`
}

// String returns the finding in one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s; %s", f.Object, f.Field, f.Sentence, f.Remedy)
}

// Object names an object of the cluster.
type Object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// String returns "Deployment shop/order-workers".
func (o Object) String() string { return o.Kind + " " + o.Namespace + "/" + o.Name }

// Code is what kind of way it is: stable, for machines.
type Code string

// The ways, and what stands in the way of the gate. An error means that nothing
// binds in normal operation, or that no pod starts at all; a warning, that a target
// can be passed at times or that pods wait for long. A note tells what follows from
// a choice that is as good as another.
const (
	NoTrigger          Code = "NoTrigger"          // nothing asks Headroom (error)
	OtherTrigger       Code = "OtherTrigger"       // the larger of two numbers wins (error)
	MetricType         Code = "MetricType"         // the number is multiplied by what is ready (error)
	CachedMetrics      Code = "CachedMetrics"      // an old number is used (error)
	ScalingModifiers   Code = "ScalingModifiers"   // a formula replaces the number (error)
	SecondHPA          Code = "SecondHPA"          // two scale one target (error)
	SecondScaledObject Code = "SecondScaledObject" // the same (error)
	HPAOwnership       Code = "HPAOwnership"       // nobody would refuse a second HPA
	ScaleDownTolerance Code = "ScaleDownTolerance" // a small fall is ignored
	ScaleUpTolerance   Code = "ScaleUpTolerance"   // surge pods become replicas
	ToleranceDropped   Code = "ToleranceDropped"   // the cluster did not take the tolerance
	Stabilization      Code = "Stabilization"      // a fall is followed late
	ScaleDownBrake     Code = "ScaleDownBrake"     // a fall is followed in steps, or never
	Surge              Code = "Surge"              // a rollout adds pods
	ReplicasApplied    Code = "ReplicasApplied"    // each apply sets the number of replicas
	MinReplicas        Code = "MinReplicas"        // a minimum above what is carried
	IdleReplicas       Code = "IdleReplicas"       // from idle to the minimum in one jump
	Forced             Code = "ForceActivation"    // activated whatever is free
	PausedAt           Code = "Paused"             // no target is followed
	PausedScaleIn      Code = "PausedScaleIn"      // no fall is followed
	PausedScaleOut     Code = "PausedScaleOut"     // no rise is followed
	Fallback           Code = "Fallback"           // a number of its own when nobody answers
	RestoredReplicas   Code = "RestoredReplicas"   // an old number once the ScaledObject is gone
	JobStrategy        Code = "JobStrategy"        // a Job that runs counts for more or less than one
	JobPush            Code = "JobPush"            // a push that KEDA can't take for Jobs
	JobRollout         Code = "JobRollout"         // ending Jobs overlap with new ones
	JobParallelism     Code = "JobParallelism"     // a Job of several pods
	JobPodReplacement  Code = "JobPodReplacement"  // a pod is replaced before it has ended
	CeilingAlone       Code = "CeilingAlone"       // a ceiling taken for a target (error)
	CeilingUnused      Code = "CeilingUnused"      // a ceiling that caps nothing
	TargetInFormula    Code = "TargetInFormula"    // a formula over what is capped already (note)
	FormulaUnbounded   Code = "FormulaUnbounded"   // a formula that passes its ceiling (error)
	FormulaNegative    Code = "FormulaNegative"    // a formula that asks for everything (error)
	FormulaRefused     Code = "FormulaRefused"     // a formula that KEDA can't take (error)
	BlueGreen          Code = "BlueGreen"          // two whole versions at once (error in mode Gate)
	GateMissing        Code = "GateMissing"        // mode Gate, and pods that don't wait (error)
	GateLabelValue     Code = "GateLabelValue"     // a label that asks for nothing (error)
	GateNotInjected    Code = "GateNotInjected"    // a label that nobody acts on
	GateNodeName       Code = "GateNodeName"       // a node chosen beforehand, and a gate (error)
	GateUnneeded       Code = "GateUnneeded"       // pods that wait in another mode
	GateUngoverned     Code = "GateUngoverned"     // pods that wait for ever (error)
	RolloutSwaps       Code = "RolloutSwaps"       // a rollout that only moves by taking pods away
	RolloutDeadline    Code = "RolloutDeadline"    // a rollout that counts as failed while it waits
	OrderedReady       Code = "OrderedReady"       // one waiting pod stops all others
	DisruptionBudget   Code = "DisruptionBudget"   // waiting pods count as disrupted
	SeveralBudgets     Code = "SeveralBudgets"     // no pod can be evicted
	JobNotShed         Code = "JobNotShed"         // a pod that can't be taken away
	JobDeadline        Code = "JobDeadline"        // time that runs at the gate
	LongGrace          Code = "LongGrace"          // connections that come back late (note)
)

// Rule is what a code means.
type Rule struct {
	Code Code
	// Target and Gate are the most that it comes to in these modes, "" where it is
	// not looked for or doesn't matter. In mode Observe there is no target to get
	// past: only what is told of pods that wait is told there, too.
	Target, Gate policy.Severity
	Text         string // in a few words
}

// Rules are those of every code.
var Rules = []Rule{
	{NoTrigger, policy.SeverityError, policy.SeverityNote, "No trigger asks Headroom"},
	{OtherTrigger, policy.SeverityError, policy.SeverityNote, "Another trigger can ask for more than the target"},
	{MetricType, policy.SeverityError, policy.SeverityNote, "The target is multiplied by the number of ready pods"},
	{CachedMetrics, policy.SeverityError, policy.SeverityError, "The HPA is served an old target"},
	{ScalingModifiers, policy.SeverityError, policy.SeverityNote, "A formula takes the place of the target"},
	{SecondHPA, policy.SeverityError, policy.SeverityWarning, "Another HPA scales the same pods"},
	{SecondScaledObject, policy.SeverityError, policy.SeverityWarning, "Another ScaledObject scales the same pods"},
	{HPAOwnership, policy.SeverityWarning, policy.SeverityNote, "KEDA's check for a second HPA is switched off"},
	{ScaleDownTolerance, policy.SeverityWarning, policy.SeverityNote, "The HPA ignores a small fall of the target"},
	{ScaleUpTolerance, policy.SeverityWarning, "", "The HPA's tolerance turns surge pods into replicas"},
	{ToleranceDropped, policy.SeverityWarning, policy.SeverityNote, "The cluster did not take the HPA's tolerance"},
	{Stabilization, policy.SeverityWarning, policy.SeverityNote, "The HPA follows a fall of the target late"},
	{ScaleDownBrake, policy.SeverityWarning, policy.SeverityNote, "The HPA follows a fall of the target in steps, or never"},
	{Surge, policy.SeverityWarning, "", "A rollout adds pods on top of the target"},
	{ReplicasApplied, policy.SeverityWarning, "", "Each apply of the manifest sets the number of replicas"},
	{MinReplicas, policy.SeverityWarning, policy.SeverityNote, "The minimum is above what the databases carry"},
	{IdleReplicas, policy.SeverityWarning, "", "KEDA goes from idle to the minimum in one jump"},
	{Forced, policy.SeverityWarning, "", "Activation is forced, whatever is free"},
	{PausedAt, policy.SeverityWarning, policy.SeverityNote, "Scaling is paused, and the target is not followed"},
	{PausedScaleIn, policy.SeverityWarning, policy.SeverityNote, "Scaling in is paused, and a fall of the target is not followed"},
	{PausedScaleOut, policy.SeverityWarning, policy.SeverityNote, "Scaling out is paused, and a rise of the target is not followed"},
	{Fallback, policy.SeverityWarning, policy.SeverityNote, "The fallback asks for a number of its own"},
	{RestoredReplicas, policy.SeverityWarning, "", "An old number of replicas comes back with the end of the ScaledObject"},
	{JobStrategy, policy.SeverityWarning, policy.SeverityNote, "A Job that ends makes room for more than one"},
	{JobPush, policy.SeverityWarning, policy.SeverityWarning, "A trigger that pushes for Jobs can end KEDA's operator"},
	{JobRollout, policy.SeverityWarning, "", "Jobs that end overlap with new ones"},
	{JobParallelism, policy.SeverityWarning, "", "A Job has several pods"},
	{JobPodReplacement, policy.SeverityWarning, "", "A Job replaces a pod before it has ended"},
	{CeilingAlone, policy.SeverityError, policy.SeverityError, "A ceiling is taken for a target"},
	{CeilingUnused, policy.SeverityWarning, policy.SeverityWarning, "A formula leaves the ceiling out"},
	{TargetInFormula, policy.SeverityNote, policy.SeverityNote, "A formula works on a target that is capped already"},
	{FormulaUnbounded, policy.SeverityError, policy.SeverityNote, "A formula asks for more than its ceiling"},
	{FormulaNegative, policy.SeverityError, policy.SeverityNote, "A formula falls below 0, which the HPA takes for everything"},
	{FormulaRefused, policy.SeverityError, policy.SeverityError, "A formula that KEDA refuses"},
	{BlueGreen, policy.SeverityWarning, policy.SeverityError, "A rollout runs two whole versions at once"},
	{GateMissing, "", policy.SeverityError, "Pods of a workload in mode Gate don't wait at the gate"},
	{GateLabelValue, "", policy.SeverityError, "The label that asks for the gate has another value than \"true\""},
	{GateNotInjected, "", policy.SeverityWarning, "A label asks for the gate, and no admission policy adds it"},
	{GateNodeName, policy.SeverityError, policy.SeverityError, "Pods with a gate have their node chosen beforehand"},
	{GateUnneeded, policy.SeverityWarning, "", "Pods wait at the gate in a mode that needs none"},
	{GateUngoverned, policy.SeverityError, policy.SeverityError, "Pods wait at the gate, and no policy lets them through"},
	{RolloutSwaps, "", policy.SeverityWarning, "A rollout may end no pod, and only moves where Headroom takes pods away"},
	{RolloutDeadline, "", policy.SeverityWarning, "A rollout counts as failed while its pods wait"},
	{OrderedReady, "", policy.SeverityWarning, "One pod at the gate stops a StatefulSet"},
	{DisruptionBudget, "", policy.SeverityWarning, "A PodDisruptionBudget counts waiting pods as disrupted"},
	{SeveralBudgets, "", policy.SeverityWarning, "Several PodDisruptionBudgets match one pod, and none can be evicted"},
	{JobNotShed, "", policy.SeverityWarning, "A Job whose pods can't be shed"},
	{JobDeadline, "", policy.SeverityWarning, "A Job's deadline runs while its pods wait at the gate"},
	{LongGrace, "", policy.SeverityNote, "Pods that are shed keep their connections for long"},
}
