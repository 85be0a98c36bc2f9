package bypass_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/keda-headroom/headroom/internal/argoapi"
	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
)

// behind is a fleet whose pods wait at the gate, with nothing in its way.
func behind(t *testing.T) *bypass.Input {
	t.Helper()
	in := closed(t)
	in.Workload = &policy.Workload{Mode: policy.Gate, ReadyTimeout: 10 * time.Minute}
	in.Deployment.Spec.Template.Labels[bypass.GateLabel] = "true"
	return in
}

func behindJob(t *testing.T) *bypass.Input {
	t.Helper()
	in := closedJob(t)
	in.Workload = &policy.Workload{Mode: policy.Gate, ReadyTimeout: 10 * time.Minute}
	in.ScaledJob.Spec.JobTargetRef.Template.Spec.SchedulingGates = gates()
	return in
}

func gates() []corev1.PodSchedulingGate {
	return []corev1.PodSchedulingGate{{Name: "kueue.example/admission"}, {Name: bypass.Gate}}
}

func argo(t *testing.T) *bypass.Input {
	t.Helper()
	in := closed(t)
	in.Deployment, in.Rollout = nil, read[argoapi.Rollout](t, "rollout.yaml")
	in.ScaledObject.Spec.ScaleTargetRef.Kind = "Rollout"
	in.ScaledObject.Spec.MaxReplicaCount = to(int32(0)) // nothing to set aside
	return in
}

func behindArgo(t *testing.T) *bypass.Input {
	t.Helper()
	in := argo(t)
	in.Workload = &policy.Workload{Mode: policy.Gate}
	in.Rollout.Spec.Template.Spec.SchedulingGates = gates()
	in.ScaledObject.Spec.MaxReplicaCount = to(int32(40))
	return in
}

func disruption(name, app string, spec policyv1.PodDisruptionBudgetSpec) policyv1.PodDisruptionBudget {
	spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
	return policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: spec}
}

func minAvailable(v intstr.IntOrString) policyv1.PodDisruptionBudgetSpec {
	return policyv1.PodDisruptionBudgetSpec{MinAvailable: &v}
}

func maxUnavailable(v intstr.IntOrString) policyv1.PodDisruptionBudgetSpec {
	return policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &v}
}

func budgets(in *bypass.Input, all ...policyv1.PodDisruptionBudget) { in.DisruptionBudgets = all }

// capped is what makes a cap of a trigger for whatever another one asks.
func capped(in *bypass.Input, formula string) {
	in.ScaledObject.Spec.Triggers[0].Name = "ceiling"
	in.ScaledObject.Spec.Triggers[0].Metadata["metric"] = "ceiling"
	in.ScaledObject.Spec.Triggers = append(in.ScaledObject.Spec.Triggers, kedaapi.Trigger{Type: "aws-sqs-queue", Name: "demand"})
	in.ScaledObject.Spec.Advanced.ScalingModifiers = kedaapi.ScalingModifiers{Formula: formula, Target: "1"}
}

const (
	formulaPath   = "spec.advanced.scalingModifiers"
	templateLabel = "spec.template.metadata.labels[" + bypass.GateLabel + "]"
	templateGates = "spec.template.spec.schedulingGates"
)

// Formulas over triggers, in mode Target.
var formulaWays = []way{
	{bypass.CeilingAlone, "spec.triggers[0].metadata.metric", func(in *bypass.Input) { in.ScaledObject.Spec.Triggers[0].Metadata["metric"] = "ceiling" },
		func(in *bypass.Input) { in.ScaledObject.Spec.Triggers[0].Metadata["metric"] = "target" }},
	{bypass.CeilingAlone, "spec.triggers[0].metadata.metric", func(in *bypass.Input) {
		in.Workload.Mode, in.ScaledObject.Spec.Triggers[0].Metadata["metric"] = policy.Observe, "ceiling"
	}, func(in *bypass.Input) {
		capped(in, "ceiling + 1") // changes nothing
		in.Workload.Mode = policy.Observe
	}},
	{bypass.CeilingUnused, formulaPath + ".formula", func(in *bypass.Input) {
		capped(in, "max(0, min(demand, other))")
		in.ScaledObject.Spec.Triggers = append(in.ScaledObject.Spec.Triggers, in.ScaledObject.Spec.Triggers[0])
		in.ScaledObject.Spec.Triggers[2].Name = "other"
	}, func(in *bypass.Input) { capped(in, "max(0, min(demand, ceiling))") }},
	{bypass.CeilingUnused, "spec.triggers[2].name", func(in *bypass.Input) {
		capped(in, "min(demand, ceiling)")
		in.ScaledObject.Spec.Triggers = append(in.ScaledObject.Spec.Triggers, in.ScaledObject.Spec.Triggers[0])
		in.ScaledObject.Spec.Triggers[2].Name = ""
	}, func(in *bypass.Input) { capped(in, "min(demand, ceiling)") }},
	{bypass.TargetInFormula, formulaPath + ".formula", func(in *bypass.Input) {
		capped(in, "min(demand, ceiling)")
		delete(in.ScaledObject.Spec.Triggers[0].Metadata, "metric")
	}, nil},
	{bypass.FormulaUnbounded, formulaPath + ".formula", func(in *bypass.Input) { capped(in, "max(demand, ceiling)") },
		func(in *bypass.Input) { capped(in, "demand > 5 && ceiling > 2 ? ceiling : 0") }},
	{bypass.FormulaUnbounded, formulaPath + ".formula", func(in *bypass.Input) { capped(in, "min(demand / 5, ceiling) + 1") }, nil},
	{bypass.FormulaUnbounded, formulaPath + ".formula", func(in *bypass.Input) {
		capped(in, "min(demand, ceiling)")
		in.ScaledObject.Spec.Advanced.ScalingModifiers.Target = "0.5"
	}, func(in *bypass.Input) {
		capped(in, "min(demand, ceiling * 5)")
		in.ScaledObject.Spec.Advanced.ScalingModifiers.Target = "5"
	}},
	{bypass.FormulaNegative, formulaPath + ".formula", func(in *bypass.Input) { capped(in, "min(demand, ceiling) - 1") },
		func(in *bypass.Input) { capped(in, "max(0, min(demand, ceiling) - 1)") }},
	{bypass.FormulaNegative, formulaPath + ".formula", func(in *bypass.Input) { capped(in, "ceiling * (demand / demand)") }, nil},
	{bypass.FormulaRefused, formulaPath + ".formula", func(in *bypass.Input) { capped(in, "min(demand, ceiling") }, nil},
	{bypass.FormulaRefused, formulaPath + ".formula", func(in *bypass.Input) { capped(in, "min(backlog, ceiling)") }, nil},
	{bypass.FormulaRefused, formulaPath + ".target", func(in *bypass.Input) {
		capped(in, "min(demand, ceiling)")
		in.ScaledObject.Spec.Advanced.ScalingModifiers.Target = ""
	}, nil},
	{bypass.MetricType, formulaPath + ".metricType", func(in *bypass.Input) {
		capped(in, "min(demand, ceiling)")
		in.ScaledObject.Spec.Advanced.ScalingModifiers.MetricType = autoscalingv2.ValueMetricType
	}, func(in *bypass.Input) {
		capped(in, "min(demand, ceiling)")
		in.ScaledObject.Spec.Triggers[0].MetricType = autoscalingv2.ValueMetricType // the composite has its own
	}},
	{bypass.OtherTrigger, "spec.triggers[2].type", func(in *bypass.Input) {
		capped(in, "min(demand, ceiling)")
		in.ScaledObject.Spec.Triggers = append(in.ScaledObject.Spec.Triggers, kedaapi.Trigger{Type: "cpu", Name: "cpu"})
	}, nil},
}

// Pods that wait though they needn't, in mode Target.
var unneededWays = []way{
	{bypass.GateUnneeded, templateGates, func(in *bypass.Input) { in.Deployment.Spec.Template.Spec.SchedulingGates = gates() },
		func(in *bypass.Input) { in.Deployment.Spec.Template.Spec.SchedulingGates = gates()[:1] }},
	{bypass.GateUnneeded, templateLabel, func(in *bypass.Input) { in.Deployment.Spec.Template.Labels[bypass.GateLabel] = "true" },
		func(in *bypass.Input) { in.Deployment.Spec.Template.Labels[bypass.GateLabel] = "false" }},
	{bypass.GateUnneeded, templateGates, func(in *bypass.Input) {
		in.Workload.Mode, in.Deployment.Spec.Template.Spec.SchedulingGates = policy.Observe, gates()
	}, func(in *bypass.Input) { in.Workload.Mode = policy.Observe }},
	{bypass.GateNodeName, "spec.template.spec.nodeName", func(in *bypass.Input) {
		in.Deployment.Spec.Template.Spec.NodeName, in.Deployment.Spec.Template.Spec.SchedulingGates = "node-1", gates()
	}, func(in *bypass.Input) { in.Deployment.Spec.Template.Spec.NodeName = "node-1" }},
	{bypass.GateUngoverned, templateGates, func(in *bypass.Input) {
		in.Deployment.Spec.Template.Spec.SchedulingGates = gates()
		in.Workload, in.ScaledObject, in.Ungoverned = nil, nil, true
	}, func(in *bypass.Input) {
		in.Deployment.Spec.Template.Spec.SchedulingGates = gates()
		in.Workload, in.ScaledObject = nil, nil // a policy may stand elsewhere
	}},
	{bypass.GateUngoverned, templateLabel, func(in *bypass.Input) {
		in.Deployment.Spec.Template.Labels[bypass.GateLabel] = "true"
		in.Workload, in.Ungoverned, in.ScaledObject.Spec.Triggers = nil, true, nil
	}, func(in *bypass.Input) { in.Workload, in.Ungoverned, in.ScaledObject.Spec.Triggers = nil, true, nil }},
}

// What stands in the way of a fleet in mode Gate.
var gateWays = []way{
	{bypass.GateMissing, templateGates, func(in *bypass.Input) { delete(in.Deployment.Spec.Template.Labels, bypass.GateLabel) },
		func(in *bypass.Input) {
			delete(in.Deployment.Spec.Template.Labels, bypass.GateLabel)
			in.Deployment.Spec.Template.Spec.SchedulingGates = gates()
		}},
	{bypass.GateLabelValue, templateLabel, func(in *bypass.Input) { in.Deployment.Spec.Template.Labels[bypass.GateLabel] = "yes" },
		func(in *bypass.Input) {
			in.Deployment.Spec.Template.Labels[bypass.GateLabel] = "yes"
			in.Deployment.Spec.Template.Spec.SchedulingGates = gates()
		}},
	{bypass.GateNotInjected, templateLabel, func(in *bypass.Input) { in.Injects = to(false) }, func(in *bypass.Input) { in.Injects = to(true) }},
	{bypass.GateNodeName, "spec.template.spec.nodeName", func(in *bypass.Input) { in.Deployment.Spec.Template.Spec.NodeName = "node-1" },
		func(in *bypass.Input) { in.Deployment.Spec.Template.Spec.SchedulerName = "another" }},
	{bypass.RolloutSwaps, "spec.strategy.rollingUpdate.maxUnavailable", func(in *bypass.Input) {
		in.Deployment.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: to(intstr.FromInt32(0))}
	}, func(in *bypass.Input) {
		// Where neither would let it move, the controller takes 1.
		in.Deployment.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: to(intstr.FromInt32(0)), MaxSurge: to(intstr.FromInt32(0))}
	}},
	{bypass.RolloutSwaps, "spec.strategy.rollingUpdate.maxUnavailable", func(in *bypass.Input) {
		in.Deployment.Spec.Strategy, in.Workload.MaxReplicas = appsv1.DeploymentStrategy{}, to(3)
	}, func(in *bypass.Input) {
		in.Deployment.Spec.Strategy, in.Workload.MaxReplicas = appsv1.DeploymentStrategy{Type: "Recreate"}, to(3)
	}},
	{bypass.RolloutDeadline, "spec.progressDeadlineSeconds", func(in *bypass.Input) { in.Deployment.Spec.ProgressDeadlineSeconds = to(int32(120)) },
		func(in *bypass.Input) { in.Deployment.Spec.ProgressDeadlineSeconds = to(int32(600)) }},
	{bypass.RolloutDeadline, "spec.progressDeadlineSeconds", func(in *bypass.Input) { in.Workload.ReadyTimeout = 15 * time.Minute },
		func(in *bypass.Input) {
			in.Workload.ReadyTimeout, in.Deployment.Spec.ProgressDeadlineSeconds = 15*time.Minute, to(int32(900))
		}},
	{bypass.OrderedReady, "spec.podManagementPolicy", func(in *bypass.Input) { stateful(in, appsv1.OrderedReadyPodManagement) },
		func(in *bypass.Input) { stateful(in, appsv1.ParallelPodManagement) }},
	{bypass.DisruptionBudget, "spec.maxUnavailable", func(in *bypass.Input) {
		budgets(in, disruption("a", "order-workers", maxUnavailable(intstr.FromInt32(2))))
	},
		func(in *bypass.Input) {
			budgets(in, disruption("a", "order-workers", minAvailable(intstr.FromInt32(2))), disruption("b", "web", maxUnavailable(intstr.FromInt32(2))))
		}},
	{bypass.DisruptionBudget, "spec.minAvailable", func(in *bypass.Input) {
		budgets(in, disruption("a", "order-workers", minAvailable(intstr.FromString("50%"))))
	}, func(in *bypass.Input) {
		elsewhere := disruption("a", "order-workers", minAvailable(intstr.FromString("50%")))
		elsewhere.Namespace = "billing"
		nothing := policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "nothing"}, Spec: minAvailable(intstr.FromString("50%"))}
		budgets(in, elsewhere, nothing)
	}},
	{bypass.DisruptionBudget, "spec.minAvailable", func(in *bypass.Input) {
		budgets(in, disruption("a", "order-workers", minAvailable(intstr.FromInt32(40))))
	},
		func(in *bypass.Input) {
			budgets(in, disruption("a", "order-workers", minAvailable(intstr.FromInt32(39))))
		}},
	{bypass.SeveralBudgets, "spec.selector", func(in *bypass.Input) {
		budgets(in, disruption("a", "order-workers", minAvailable(intstr.FromInt32(1))), disruption("b", "order-workers", minAvailable(intstr.FromInt32(2))))
	}, func(in *bypass.Input) {
		budgets(in, disruption("a", "order-workers", minAvailable(intstr.FromInt32(1))), disruption("b", "refund-workers", minAvailable(intstr.FromInt32(2))))
	}},
	{bypass.LongGrace, "spec.template.spec.terminationGracePeriodSeconds", func(in *bypass.Input) {
		in.Workload.Shedding.Enabled, in.Deployment.Spec.Template.Spec.TerminationGracePeriodSeconds = true, to(int64(900))
	}, func(in *bypass.Input) {
		in.Deployment.Spec.Template.Spec.TerminationGracePeriodSeconds = to(int64(900))
	}},
	{bypass.CachedMetrics, "spec.triggers[0].useCachedMetrics", func(in *bypass.Input) { in.ScaledObject.Spec.Triggers[0].UseCachedMetrics = true }, nil},
}

var gateJobWays = []way{
	{bypass.GateMissing, "spec.jobTargetRef.template.spec.schedulingGates", func(in *bypass.Input) {
		in.ScaledJob.Spec.JobTargetRef.Template.Spec.SchedulingGates = nil
	}, func(in *bypass.Input) {
		in.ScaledJob.Spec.JobTargetRef.Template.Spec.SchedulingGates = nil
		in.ScaledJob.Spec.JobTargetRef.Template.Labels = map[string]string{bypass.GateLabel: "true"}
	}},
	{bypass.JobDeadline, "spec.jobTargetRef.activeDeadlineSeconds", func(in *bypass.Input) { in.ScaledJob.Spec.JobTargetRef.ActiveDeadlineSeconds = to(int64(600)) },
		func(in *bypass.Input) {
			in.ScaledJob.Spec.JobTargetRef.Template.Spec.ActiveDeadlineSeconds = to(int64(600))
		}},
	{bypass.JobNotShed, "spec.jobTargetRef.podFailurePolicy", func(in *bypass.Input) { in.Workload.Shedding.Enabled = true },
		func(in *bypass.Input) {
			in.Workload.Shedding.Enabled = true
			in.ScaledJob.Spec.JobTargetRef.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
				Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget}},
			}}}
		}},
	{bypass.JobNotShed, "spec.jobTargetRef.podFailurePolicy", func(in *bypass.Input) {
		in.Workload.Shedding.Enabled = true
		in.ScaledJob.Spec.JobTargetRef.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action: batchv1.PodFailurePolicyActionCount, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget}},
		}}}
	}, nil},
	{bypass.DisruptionBudget, "spec.maxUnavailable", func(in *bypass.Input) {
		in.ScaledJob.Spec.JobTargetRef.Template.Labels = map[string]string{"app": "reports"}
		budgets(in, disruption("a", "reports", maxUnavailable(intstr.FromString("20%"))))
	}, nil},
}

// Argo Rollouts, in mode Target and in mode Gate.
var argoWays = []way{
	{bypass.BlueGreen, "spec.strategy.blueGreen", func(in *bypass.Input) { in.Rollout.Spec.Strategy = argoapi.Strategy{BlueGreen: &argoapi.BlueGreen{}} }, nil},
	{bypass.ReplicasApplied, "spec.replicas", func(in *bypass.Input) { in.Rollout.Spec.Replicas = to(int32(4)) }, func(in *bypass.Input) { in.Rollout.Spec.Replicas = to(int32(1)) }},
	{bypass.Surge, "spec.strategy.canary.maxSurge", func(in *bypass.Input) {
		in.ScaledObject.Spec.MaxReplicaCount, in.Rollout.Spec.Strategy.Canary.MaxSurge = nil, to(intstr.FromString("50%"))
	}, nil},
	{bypass.Surge, "spec.strategy.canary.maxSurge", func(in *bypass.Input) {
		in.ScaledObject.Spec.MaxReplicaCount, in.Rollout.Spec.Strategy = nil, argoapi.Strategy{}
	}, nil},
	{bypass.Surge, "spec.strategy.canary.maxSurge", func(in *bypass.Input) { in.ScaledObject.Spec.MaxReplicaCount = nil }, nil}, // a note
	{bypass.Surge, "spec.strategy.canary.trafficRouting", func(in *bypass.Input) {
		in.ScaledObject.Spec.MaxReplicaCount, in.Rollout.Spec.Strategy.Canary.TrafficRouting = nil, &argoapi.TrafficRouting{}
	}, nil},
	{bypass.GateUnneeded, templateGates, func(in *bypass.Input) {
		// The template of a Rollout may stand in a Deployment.
		in.Rollout.Spec.WorkloadRef, in.Referred = &argoapi.WorkloadRef{Name: "order-workers"}, &appsv1.Deployment{}
		in.Referred.Name, in.Referred.Spec.Template.Spec.SchedulingGates = "order-workers", gates()
	}, func(in *bypass.Input) {
		in.Rollout.Spec.WorkloadRef = &argoapi.WorkloadRef{Name: "elsewhere"}
		in.Rollout.Spec.Template.Spec.SchedulingGates = gates() // not what is used
	}},
}

var gateArgoWays = []way{
	{bypass.BlueGreen, "spec.strategy.blueGreen", func(in *bypass.Input) { in.Rollout.Spec.Strategy = argoapi.Strategy{BlueGreen: &argoapi.BlueGreen{}} }, nil},
	{bypass.RolloutSwaps, "spec.strategy.canary.maxUnavailable", func(in *bypass.Input) {
		in.Rollout.Spec.Strategy.Canary = &argoapi.Canary{MaxUnavailable: to(intstr.FromInt32(0))}
	}, func(in *bypass.Input) {
		in.Rollout.Spec.Strategy.Canary = &argoapi.Canary{MaxUnavailable: to(intstr.FromString("100%"))}
	}},
	{bypass.RolloutSwaps, "spec.strategy.canary.trafficRouting", func(in *bypass.Input) {
		in.Rollout.Spec.Strategy.Canary.TrafficRouting = &argoapi.TrafficRouting{}
	}, func(in *bypass.Input) {
		in.Rollout.Spec.Strategy.Canary.TrafficRouting, in.Rollout.Spec.Strategy.Canary.DynamicStableScale = &argoapi.TrafficRouting{}, true
	}},
	{bypass.RolloutDeadline, "spec.progressDeadlineSeconds", func(in *bypass.Input) { in.Workload.ReadyTimeout = time.Hour }, nil},
}

func stateful(in *bypass.Input, how appsv1.PodManagementPolicyType) {
	in.StatefulSet = &appsv1.StatefulSet{ObjectMeta: in.Deployment.ObjectMeta}
	in.StatefulSet.Spec.Template, in.StatefulSet.Spec.PodManagementPolicy = in.Deployment.Spec.Template, how
	in.Deployment = nil
}

// What the gate closes is no way past any more, and what is left of the others is
// said with the severity that it has then.
func TestBehindTheGate(t *testing.T) {
	severities := func(in *bypass.Input) map[bypass.Code]policy.Severity {
		found := map[bypass.Code]policy.Severity{}
		for _, f := range bypass.Find(*in) {
			found[f.Code] = f.Severity
		}
		return found
	}
	lag := map[bypass.Code]bool{bypass.ScaleDownTolerance: true, bypass.ToleranceDropped: true, bypass.Stabilization: true, bypass.ScaleDownBrake: true, bypass.PausedScaleIn: true}
	warned := map[bypass.Code]bool{bypass.SecondHPA: true, bypass.SecondScaledObject: true}
	for _, w := range ways {
		in := behind(t)
		w.opens(in)
		got, found := severities(in)[w.code]
		switch {
		case w.code == bypass.CachedMetrics:
			if got != policy.SeverityError {
				t.Errorf("%s is refused with a gate, too, found %q", w.code, got)
			}
		case w.code == bypass.ReplicasApplied && in.StatefulSet != nil: // has no gate in that one
		case warned[w.code]:
			if got != policy.SeverityWarning {
				t.Errorf("%s: expected a warning, found %q", w.code, got)
			}
		case found && got != policy.SeverityNote:
			t.Errorf("%s: expected a note at most, found %q", w.code, got)
		}
		if lag[w.code] {
			if !found {
				t.Errorf("%s: the gate takes nothing back, and nothing said so", w.code)
			}
			in.Workload.Shedding.Enabled = true
			if got, found := severities(in)[w.code]; found {
				t.Errorf("%s: pods are shed, found %q", w.code, got)
			}
		}
	}
	for _, code := range []bypass.Code{bypass.Surge, bypass.ScaleUpTolerance, bypass.IdleReplicas, bypass.Forced, bypass.RestoredReplicas} {
		for _, w := range ways {
			if w.code != code {
				continue
			}
			in := behind(t)
			w.opens(in)
			if got, found := severities(in)[code]; found {
				t.Errorf("%s: the gate closes it, found %q", code, got)
			}
		}
	}
	// Nothing of it holds where the pods don't wait.
	in := behind(t)
	delete(in.Deployment.Spec.Template.Labels, bypass.GateLabel)
	in.ScaledObject.Spec.Triggers = append(in.ScaledObject.Spec.Triggers, kedaapi.Trigger{Type: "cpu"})
	if got := severities(in); got[bypass.GateMissing] != policy.SeverityError || got[bypass.OtherTrigger] != policy.SeverityError {
		t.Errorf("found %v", got)
	}
	// What can't be seen is not blamed.
	in = behind(t)
	in.Deployment = nil
	if found := bypass.Find(*in); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

// The severity is what somebody has to do about it.
func TestSeverities(t *testing.T) {
	find := func(in *bypass.Input, code bypass.Code) bypass.Finding {
		t.Helper()
		for _, f := range bypass.Find(*in) {
			if f.Code == code {
				return f
			}
		}
		t.Fatalf("expected %s, found %v", code, bypass.Find(*in))
		return bypass.Finding{}
	}
	in := behind(t)
	in.Deployment.Spec.Strategy = appsv1.DeploymentStrategy{}
	if f := find(in, bypass.RolloutSwaps); f.Severity != policy.SeverityNote || !strings.Contains(f.Sentence, "fewer than 4 replicas") {
		t.Errorf("a quarter of 40 may be missing, only not of 3: %v", f)
	}
	in.ScaledObject.Spec.MaxReplicaCount = to(int32(3))
	if f := find(in, bypass.RolloutSwaps); f.Severity != policy.SeverityWarning || !strings.Contains(f.Sentence, "no pod of 3") {
		t.Errorf("%v", f)
	}
	in = behind(t)
	budgets(in, disruption("a", "order-workers", maxUnavailable(intstr.FromInt32(1))))
	if f := find(in, bypass.DisruptionBudget); f.Severity != policy.SeverityWarning || strings.Contains(f.Remedy, "ignoreDisruptionBudgets") || f.Object.Kind != "PodDisruptionBudget" {
		t.Errorf("%v", f)
	}
	in.Workload.Shedding.Enabled = true
	if f := find(in, bypass.DisruptionBudget); !strings.Contains(f.Remedy, "shedding.ignoreDisruptionBudgets") {
		t.Errorf("%v", f)
	}
	in.Workload.Shedding.IgnoreDisruptionBudgets = true
	if f := find(in, bypass.DisruptionBudget); f.Severity != policy.SeverityNote {
		t.Errorf("%v", f)
	}
	argo := argo(t)
	argo.Rollout.Spec.Strategy = argoapi.Strategy{BlueGreen: &argoapi.BlueGreen{}}
	if f := find(argo, bypass.BlueGreen); f.Severity != policy.SeverityWarning || f.Object.Kind != "Rollout" {
		t.Errorf("%v", f)
	}
	gated := behindArgo(t)
	gated.Rollout.Spec.Strategy = argo.Rollout.Spec.Strategy
	if f := find(gated, bypass.BlueGreen); f.Severity != policy.SeverityError {
		t.Errorf("%v", f)
	}
	in = behind(t)
	in.Deployment.Spec.Template.Labels[bypass.GateLabel] = ""
	if f := find(in, bypass.GateLabelValue); f.Severity != policy.SeverityError || !strings.Contains(f.Sentence, `found ""`) {
		t.Errorf("%v", f)
	}
	delete(in.Deployment.Spec.Template.Labels, bypass.GateLabel)
	in.Deployment.Labels = map[string]string{bypass.GateLabel: "true"}
	if f := find(in, bypass.GateMissing); !strings.Contains(f.Sentence, "stands at the Deployment itself") {
		t.Errorf("%v", f)
	}
}

func TestRolloutSurge(t *testing.T) {
	canary := func(change func(c *argoapi.Canary)) argoapi.Strategy {
		c := &argoapi.Canary{}
		change(c)
		return argoapi.Strategy{Canary: c}
	}
	for _, c := range []struct {
		name     string
		strategy argoapi.Strategy
		want     int // of 10
	}{
		{"none said", argoapi.Strategy{}, 3},
		{"canary, nothing said", canary(func(*argoapi.Canary) {}), 3},
		{"canary 0", canary(func(c *argoapi.Canary) { c.MaxSurge = to(intstr.FromInt32(0)) }), 0},
		{"canary 40 %", canary(func(c *argoapi.Canary) { c.MaxSurge = to(intstr.FromString("40%")) }), 4},
		{"traffic", canary(func(c *argoapi.Canary) { c.TrafficRouting = &argoapi.TrafficRouting{} }), 10},
		{"traffic, dynamic", canary(func(c *argoapi.Canary) {
			c.TrafficRouting, c.DynamicStableScale, c.MaxSurge = &argoapi.TrafficRouting{}, true, to(intstr.FromInt32(1))
		}), 1},
		{"blue-green", argoapi.Strategy{BlueGreen: &argoapi.BlueGreen{PreviewReplicaCount: to(int32(2))}}, 10},
		{"blue-green, larger preview", argoapi.Strategy{BlueGreen: &argoapi.BlueGreen{PreviewReplicaCount: to(int32(12))}}, 12},
	} {
		if got := bypass.RolloutSurge(c.strategy, 10); got != c.want {
			t.Errorf("%s: expected %d, found %d", c.name, c.want, got)
		}
	}
}

// No finding is graver than its rule says, and each rule's severities occur.
func TestRulesSayHowGrave(t *testing.T) {
	order := map[policy.Severity]int{"": 0, policy.SeverityNote: 1, policy.SeverityWarning: 2, policy.SeverityError: 3}
	most := map[policy.Mode]map[bypass.Code]policy.Severity{policy.Target: {}, policy.Gate: {}}
	count := func(in *bypass.Input) {
		mode := policy.Target
		if in.Workload != nil {
			mode = in.Workload.Mode
		}
		if mode == policy.Observe {
			return
		}
		for _, f := range bypass.Find(*in) {
			if order[f.Severity] > order[most[mode][f.Code]] {
				most[mode][f.Code] = f.Severity
			}
		}
	}
	gate := func(fleet func(*testing.T) *bypass.Input) func(t *testing.T) *bypass.Input {
		return func(t *testing.T) *bypass.Input {
			in := fleet(t)
			in.Workload.Mode, in.Workload.ReadyTimeout = policy.Gate, 10*time.Minute
			if template := in.Template(); template != nil {
				template.Spec.SchedulingGates = gates()
			}
			return in
		}
	}
	for _, group := range []struct {
		ways  []way
		fleet func(t *testing.T) *bypass.Input
	}{
		{ways, closed}, {jobWays, closedJob}, {formulaWays, closed}, {unneededWays, closed}, {argoWays, argo},
		{ways, gate(closed)}, {jobWays, gate(closedJob)}, {formulaWays, gate(closed)}, {argoWays, gate(argo)},
		{gateWays, behind}, {gateJobWays, behindJob}, {gateArgoWays, behindArgo},
	} {
		for _, w := range group.ways {
			in := group.fleet(t)
			w.opens(in)
			count(in)
		}
	}
	for _, r := range bypass.Rules {
		if got := most[policy.Target][r.Code]; got != r.Target {
			t.Errorf("%s in mode Target: expected %q, found %q", r.Code, r.Target, got)
		}
		if got := most[policy.Gate][r.Code]; got != r.Gate && r.Code != bypass.GateUngoverned { // of no mode
			t.Errorf("%s in mode Gate: expected %q, found %q", r.Code, r.Gate, got)
		}
	}
}
