package bypass_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
)

func read[T any](t *testing.T, file string) *T {
	t.Helper()
	content, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := yaml.UnmarshalStrict(content, out); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return out
}

// closed is a fleet that leaves no way past.
func closed(t *testing.T) *bypass.Input {
	t.Helper()
	return &bypass.Input{
		Workload:     &policy.Workload{Mode: policy.Target},
		ScaledObject: read[kedaapi.ScaledObject](t, "scaledobject.yaml"),
		Deployment:   read[appsv1.Deployment](t, "deployment.yaml"),
	}
}

func closedJob(t *testing.T) *bypass.Input {
	t.Helper()
	return &bypass.Input{Workload: &policy.Workload{Mode: policy.Target}, ScaledJob: read[kedaapi.ScaledJob](t, "scaledjob.yaml")}
}

func to[T any](v T) *T { return &v }

func hpa(name string, change func(h *autoscalingv2.HorizontalPodAutoscaler)) autoscalingv2.HorizontalPodAutoscaler {
	h := autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	h.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "order-workers"}
	h.Spec.MaxReplicas = 30
	if change != nil {
		change(&h)
	}
	return h
}

func down(in *bypass.Input) *autoscalingv2.HPAScalingRules {
	return in.ScaledObject.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior.ScaleDown
}

func annotate(key, value string) func(*bypass.Input) {
	return func(in *bypass.Input) { in.ScaledObject.Annotations = map[string]string{key: value} }
}

const behaviorPath = "spec.advanced.horizontalPodAutoscalerConfig.behavior"

// way is one by itself: what opens it, and what in its place does not.
type way struct {
	code   bypass.Code
	field  string
	opens  func(in *bypass.Input)
	closes func(in *bypass.Input) // nil where it is the fleet as it is
}

var ways = []way{
	{bypass.NoTrigger, "spec.triggers", func(in *bypass.Input) { in.ScaledObject.Spec.Triggers = nil }, func(in *bypass.Input) {
		in.ScaledObject.Spec.Triggers = []kedaapi.Trigger{{Type: "external", Metadata: map[string]string{"workloadFromEnv": "NAME"}}}
	}},
	{bypass.OtherTrigger, "spec.triggers[1].type", func(in *bypass.Input) {
		in.ScaledObject.Spec.Triggers = append(in.ScaledObject.Spec.Triggers, kedaapi.Trigger{Type: "cpu"})
	}, nil},
	{bypass.MetricType, "spec.triggers[0].metricType", func(in *bypass.Input) { in.ScaledObject.Spec.Triggers[0].MetricType = "Value" },
		func(in *bypass.Input) { in.ScaledObject.Spec.Triggers[0].MetricType = "AverageValue" }},
	{bypass.CachedMetrics, "spec.triggers[0].useCachedMetrics", func(in *bypass.Input) { in.ScaledObject.Spec.Triggers[0].UseCachedMetrics = true }, nil},
	{bypass.ScalingModifiers, "spec.advanced.scalingModifiers", func(in *bypass.Input) {
		in.ScaledObject.Spec.Advanced.ScalingModifiers = kedaapi.ScalingModifiers{Formula: "a - 1", Target: "1"}
	}, nil},
	{bypass.SecondHPA, "spec.scaleTargetRef", func(in *bypass.Input) {
		in.HPAs = []autoscalingv2.HorizontalPodAutoscaler{hpa("mine", nil)}
	}, func(in *bypass.Input) {
		in.HPAs = []autoscalingv2.HorizontalPodAutoscaler{
			hpa("keda-hpa-order-workers", nil),
			hpa("taken", func(h *autoscalingv2.HorizontalPodAutoscaler) {
				h.OwnerReferences = []metav1.OwnerReference{{Kind: "ScaledObject", Name: "order-workers"}}
			}),
			hpa("elsewhere", func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Namespace = "billing" }),
			hpa("another", func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Spec.ScaleTargetRef.Name = "web" }),
		}
	}},
	{bypass.SecondScaledObject, "spec.scaleTargetRef", func(in *bypass.Input) {
		in.ScaledObjects = []kedaapi.ScaledObject{*in.ScaledObject, second("night", "order-workers")}
	}, func(in *bypass.Input) {
		in.ScaledObjects = []kedaapi.ScaledObject{*in.ScaledObject, second("night", "night-workers")}
	}},
	{bypass.HPAOwnership, "metadata.annotations[validations.keda.sh/hpa-ownership]", annotate("validations.keda.sh/hpa-ownership", "false"),
		annotate("validations.keda.sh/hpa-ownership", "true")},
	{bypass.ScaleDownTolerance, behaviorPath + ".scaleDown.tolerance", func(in *bypass.Input) { down(in).Tolerance = nil }, nil},
	{bypass.ScaleDownTolerance, behaviorPath + ".scaleDown.tolerance", func(in *bypass.Input) { down(in).Tolerance = to(resource.MustParse("0.05")) },
		func(in *bypass.Input) { down(in).Tolerance = to(resource.MustParse("0.000")) }},
	{bypass.ScaleUpTolerance, behaviorPath + ".scaleUp.tolerance", func(in *bypass.Input) {
		in.ScaledObject.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior.ScaleUp = nil
	}, nil},
	{bypass.ToleranceDropped, "spec.behavior.scaleDown.tolerance", func(in *bypass.Input) {
		in.Live = true
		in.HPAs = []autoscalingv2.HorizontalPodAutoscaler{hpa("keda-hpa-order-workers", func(h *autoscalingv2.HorizontalPodAutoscaler) {
			h.Spec.Behavior = in.ScaledObject.Behavior().DeepCopy()
			h.Spec.Behavior.ScaleDown.Tolerance = nil
		})}
	}, func(in *bypass.Input) {
		in.Live = true
		in.HPAs = []autoscalingv2.HorizontalPodAutoscaler{hpa("keda-hpa-order-workers", func(h *autoscalingv2.HorizontalPodAutoscaler) {
			h.Spec.Behavior = in.ScaledObject.Behavior().DeepCopy()
		})}
	}},
	{bypass.Stabilization, behaviorPath + ".scaleDown.stabilizationWindowSeconds", func(in *bypass.Input) { down(in).StabilizationWindowSeconds = nil }, nil},
	{bypass.Stabilization, behaviorPath + ".scaleDown.stabilizationWindowSeconds", func(in *bypass.Input) { down(in).StabilizationWindowSeconds = to(int32(60)) }, nil},
	{bypass.ScaleDownBrake, behaviorPath + ".scaleDown.selectPolicy", func(in *bypass.Input) { down(in).SelectPolicy = to(autoscalingv2.DisabledPolicySelect) }, nil},
	{bypass.ScaleDownBrake, behaviorPath + ".scaleDown.policies", func(in *bypass.Input) {
		down(in).Policies = []autoscalingv2.HPAScalingPolicy{{Type: "Pods", Value: 2, PeriodSeconds: 60}}
	}, func(in *bypass.Input) { down(in).Policies = nil }},
	{bypass.ScaleDownBrake, behaviorPath + ".scaleDown.policies", func(in *bypass.Input) {
		down(in).SelectPolicy = to(autoscalingv2.MinChangePolicySelect)
		down(in).Policies = append(down(in).Policies, autoscalingv2.HPAScalingPolicy{Type: "Pods", Value: 2, PeriodSeconds: 60})
	}, func(in *bypass.Input) {
		down(in).Policies = append(down(in).Policies, autoscalingv2.HPAScalingPolicy{Type: "Pods", Value: 2, PeriodSeconds: 60})
	}},
	{bypass.Surge, "spec.strategy.rollingUpdate.maxSurge", func(in *bypass.Input) { in.Deployment.Spec.Strategy = appsv1.DeploymentStrategy{} },
		func(in *bypass.Input) { in.Deployment.Spec.Strategy = appsv1.DeploymentStrategy{Type: "Recreate"} }},
	{bypass.ReplicasApplied, "spec.replicas", func(in *bypass.Input) { in.Deployment.Spec.Replicas = to(int32(12)) },
		func(in *bypass.Input) { in.Deployment.Spec.Replicas, in.Live = to(int32(12)), true }},
	{bypass.ReplicasApplied, "spec.replicas", func(in *bypass.Input) {
		in.Deployment, in.StatefulSet = nil, &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: to(int32(3))}}
	}, func(in *bypass.Input) {
		in.Deployment, in.StatefulSet = nil, &appsv1.StatefulSet{}
	}},
	{bypass.MinReplicas, "spec.minReplicaCount", func(in *bypass.Input) {
		in.ScaledObject.Spec.MinReplicaCount, in.Carries = to(int32(8)), to(7)
	}, func(in *bypass.Input) { in.ScaledObject.Spec.MinReplicaCount, in.Carries = to(int32(7)), to(7) }},
	{bypass.IdleReplicas, "spec.idleReplicaCount", func(in *bypass.Input) {
		in.ScaledObject.Spec.MinReplicaCount, in.ScaledObject.Spec.IdleReplicaCount = to(int32(5)), to(int32(0))
	}, func(in *bypass.Input) {
		in.ScaledObject.Spec.MinReplicaCount, in.ScaledObject.Spec.IdleReplicaCount = to(int32(1)), to(int32(0))
	}},
	{bypass.Forced, "metadata.annotations[autoscaling.keda.sh/force-activation]", annotate("autoscaling.keda.sh/force-activation", "yes"),
		annotate("autoscaling.keda.sh/force-activation", "false")},
	{bypass.PausedAt, "metadata.annotations[autoscaling.keda.sh/paused-replicas]", annotate("autoscaling.keda.sh/paused-replicas", "9"),
		annotate("autoscaling.keda.sh/paused-replicas", "0")},
	{bypass.PausedAt, "metadata.annotations[autoscaling.keda.sh/paused]", annotate("autoscaling.keda.sh/paused", "true"),
		annotate("autoscaling.keda.sh/paused", "false")},
	{bypass.PausedScaleIn, "metadata.annotations[autoscaling.keda.sh/paused-scale-in]", annotate("autoscaling.keda.sh/paused-scale-in", "true"),
		annotate("autoscaling.keda.sh/paused-scale-in", "0")},
	{bypass.PausedScaleOut, "metadata.annotations[autoscaling.keda.sh/paused-scale-out]", annotate("autoscaling.keda.sh/paused-scale-out", "true"), nil},
	{bypass.Fallback, "spec.fallback.behavior", func(in *bypass.Input) { in.ScaledObject.Spec.Fallback.Behavior = "" },
		func(in *bypass.Input) { in.ScaledObject.Spec.Fallback = nil }},
	{bypass.Fallback, "spec.fallback.behavior", func(in *bypass.Input) { in.ScaledObject.Spec.Fallback.Behavior = "static" },
		func(in *bypass.Input) {
			in.ScaledObject.Spec.Fallback.Behavior, in.ScaledObject.Spec.Fallback.Replicas = "static", 1
		}},
	{bypass.Fallback, "spec.fallback.behavior", func(in *bypass.Input) { in.ScaledObject.Spec.Fallback.Behavior = "currentReplicasIfHigher" },
		func(in *bypass.Input) { in.ScaledObject.Spec.Fallback.Behavior = "currentReplicas" }},
	{bypass.Fallback, "spec.fallback.behavior", func(in *bypass.Input) { in.ScaledObject.Spec.Fallback.Behavior = "scalingModifiers" }, nil},
	{bypass.RestoredReplicas, "spec.advanced.restoreToOriginalReplicaCount", func(in *bypass.Input) {
		in.ScaledObject.Spec.Advanced.RestoreToOriginalReplicaCount = true
	}, nil},
}

var jobWays = []way{
	{bypass.NoTrigger, "spec.triggers", func(in *bypass.Input) { in.ScaledJob.Spec.Triggers = nil }, nil},
	{bypass.OtherTrigger, "spec.triggers[1].type", func(in *bypass.Input) {
		in.ScaledJob.Spec.Triggers = append(in.ScaledJob.Spec.Triggers, kedaapi.Trigger{Type: "aws-sqs-queue"})
	}, nil},
	{bypass.JobStrategy, "spec.scalingStrategy.customScalingRunningJobPercentage", func(in *bypass.Input) {
		in.ScaledJob.Spec.ScalingStrategy = kedaapi.ScalingStrategy{Strategy: "custom", CustomScalingRunningJobPercentage: "1.5"}
	}, func(in *bypass.Input) {
		in.ScaledJob.Spec.ScalingStrategy = kedaapi.ScalingStrategy{Strategy: "custom", CustomScalingRunningJobPercentage: "1.0", CustomScalingQueueLengthDeduction: to(int32(3))}
	}},
	{bypass.JobStrategy, "spec.scalingStrategy.customScalingRunningJobPercentage", func(in *bypass.Input) {
		in.ScaledJob.Spec.ScalingStrategy = kedaapi.ScalingStrategy{Strategy: "custom", CustomScalingRunningJobPercentage: "NaN"}
	}, func(in *bypass.Input) {
		in.ScaledJob.Spec.ScalingStrategy = kedaapi.ScalingStrategy{Strategy: "custom", CustomScalingRunningJobPercentage: "half"} // default
	}},
	{bypass.JobStrategy, "spec.scalingStrategy.customScalingRunningJobPercentage", func(in *bypass.Input) {
		in.ScaledJob.Spec.ScalingStrategy = kedaapi.ScalingStrategy{Strategy: "custom", CustomScalingRunningJobPercentage: "-0.5"}
	}, func(in *bypass.Input) {
		in.ScaledJob.Spec.ScalingStrategy = kedaapi.ScalingStrategy{Strategy: "eager", CustomScalingRunningJobPercentage: "-0.5"}
	}},
	{bypass.JobPush, "spec.triggers[0].type", func(in *bypass.Input) { in.ScaledJob.Spec.Triggers[0].Type = "external-push" }, nil},
	{bypass.JobRollout, "spec.rollout.strategy", func(in *bypass.Input) { in.ScaledJob.Spec.Rollout.Strategy = "" },
		func(in *bypass.Input) {
			in.ScaledJob.Spec.Rollout.Strategy, in.ScaledJob.Spec.RolloutStrategy = "immediate", "gradual"
		}},
	{bypass.JobParallelism, "spec.jobTargetRef.parallelism", func(in *bypass.Input) { in.ScaledJob.Spec.JobTargetRef.Parallelism = to(int32(3)) },
		func(in *bypass.Input) { in.ScaledJob.Spec.JobTargetRef.Parallelism = to(int32(1)) }},
	{bypass.JobPodReplacement, "spec.jobTargetRef.podReplacementPolicy", func(in *bypass.Input) { in.ScaledJob.Spec.JobTargetRef.PodReplacementPolicy = nil },
		func(in *bypass.Input) {
			in.ScaledJob.Spec.JobTargetRef.PodReplacementPolicy, in.ScaledJob.Spec.JobTargetRef.PodFailurePolicy = nil, &batchv1.PodFailurePolicy{}
		}},
	{bypass.MinReplicas, "spec.minReplicaCount", func(in *bypass.Input) { in.ScaledJob.Spec.MinReplicaCount, in.Carries = to(int32(4)), to(3) },
		func(in *bypass.Input) { in.ScaledJob.Spec.MinReplicaCount, in.Carries = to(int32(3)), to(3) }},
}

func second(name, target string) kedaapi.ScaledObject {
	return kedaapi.ScaledObject{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       kedaapi.ScaledObjectSpec{ScaleTargetRef: kedaapi.ScaleTarget{Name: target}},
	}
}

func TestEveryWay(t *testing.T) {
	tested := map[bypass.Code]bool{}
	try := func(t *testing.T, in *bypass.Input, change func(*bypass.Input), code bypass.Code, field string) {
		t.Helper()
		if change != nil {
			change(in)
		}
		var got []string
		for _, f := range bypass.Find(*in) {
			got = append(got, string(f.Code)+" "+f.Field)
			if f.Sentence == "" || f.Remedy == "" || f.Object.Name == "" && in.StatefulSet == nil || strings.HasSuffix(f.Sentence, ".") {
				t.Errorf("incomplete: %+v", f)
			}
		}
		var want []string
		if code != "" {
			want = []string{string(code) + " " + field}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, group := range []struct {
		name  string
		ways  []way
		fleet func(t *testing.T) *bypass.Input
	}{
		{"", ways, closed}, {"job", jobWays, closedJob}, {"formula", formulaWays, closed}, {"unneeded", unneededWays, closed},
		{"gate", gateWays, behind}, {"gate job", gateJobWays, behindJob}, {"argo", argoWays, argo}, {"gate argo", gateArgoWays, behindArgo},
	} {
		for i, w := range group.ways {
			tested[w.code] = true
			t.Run(strings.TrimSpace(fmt.Sprintf("%s %d %s", group.name, i, w.code)), func(t *testing.T) {
				try(t, group.fleet(t), w.opens, w.code, w.field)
				try(t, group.fleet(t), w.closes, "", "")
			})
		}
	}
	for _, rule := range bypass.Rules {
		if !tested[rule.Code] {
			t.Errorf("%s: no test opens it", rule.Code)
		}
		delete(tested, rule.Code)
	}
	if len(tested) > 0 {
		t.Errorf("not among the rules: %v", tested)
	}
}

// A stock ScaledObject that only swapped its trigger leaves these open.
func TestDefaults(t *testing.T) {
	in := closed(t)
	in.ScaledObject.Spec.Advanced, in.Deployment.Spec.Strategy = nil, appsv1.DeploymentStrategy{}
	var got []bypass.Code
	for _, f := range bypass.Find(*in) {
		got = append(got, f.Code)
	}
	if want := []bypass.Code{bypass.ScaleDownTolerance, bypass.ScaleUpTolerance, bypass.Stabilization, bypass.Surge}; !slices.Equal(got, want) {
		t.Errorf("expected %v, found %v", want, got)
	}
}

func TestModes(t *testing.T) {
	open := func(mode policy.Mode) *bypass.Input {
		in := closed(t)
		in.Workload.Mode, in.ScaledObject.Spec.Advanced = mode, nil
		return in
	}
	if found := bypass.Find(*open(policy.Observe)); len(found) != 0 {
		t.Errorf("Observe has no target to get past, found %v", found)
	}
	in := open(policy.Gate)
	if found := bypass.Find(*in); len(found) == 0 || found[0].Code != bypass.GateMissing || found[0].Severity != policy.SeverityError || found[0].Object.Kind != "Deployment" {
		t.Errorf("expected the missing gate first, found %v", found)
	}
}

// Without a policy it is the trigger that tells whose fleet it is.
func TestWithoutAPolicy(t *testing.T) {
	in := closed(t)
	in.Workload, in.ScaledObject.Spec.Advanced = nil, nil
	if found := bypass.Find(*in); len(found) == 0 {
		t.Error("expected what a fleet that asks Headroom leaves open")
	}
	in.ScaledObject.Spec.Triggers = []kedaapi.Trigger{{Type: "aws-sqs-queue"}, {Type: "external", Metadata: map[string]string{"scalerAddress": "prices.shop:9000"}}}
	if found := bypass.Find(*in); len(found) != 0 {
		t.Errorf("it is none of ours, found %v", found)
	}
	in.ScaledObject.Spec.Triggers[1].Metadata["scalerAddress"] = "my-headroom.tools.svc:6000"
	if found := bypass.Find(*in); !slices.ContainsFunc(found, func(f bypass.Finding) bool { return f.Code == bypass.OtherTrigger }) {
		t.Errorf("expected the other trigger, found %v", found)
	}
}

func TestAnUncheckedSecondHPASaysWhy(t *testing.T) {
	in := closed(t)
	in.HPAs = []autoscalingv2.HorizontalPodAutoscaler{hpa("mine", func(h *autoscalingv2.HorizontalPodAutoscaler) {
		h.Annotations = map[string]string{"validations.keda.sh/hpa-ownership": "false"}
	})}
	found := bypass.Find(*in)
	if len(found) != 1 || !strings.Contains(found[0].String(), "HorizontalPodAutoscaler shop/mine: spec.scaleTargetRef: a second HPA scales Deployment order-workers to as many as 30 replicas") ||
		!strings.Contains(found[0].Sentence, "validations.keda.sh/hpa-ownership") {
		t.Errorf("found %v", found)
	}
}

func TestMaxSurge(t *testing.T) {
	for _, c := range []struct {
		surge    *intstr.IntOrString
		kind     appsv1.DeploymentStrategyType
		replicas int
		want     int
	}{
		{nil, "", 40, 10}, {nil, "RollingUpdate", 5, 2}, {nil, "Recreate", 40, 0},
		{to(intstr.FromInt32(3)), "", 40, 3}, {to(intstr.FromString("10%")), "", 11, 2}, {to(intstr.FromString("0%")), "", 40, 0}, {to(intstr.FromString("many")), "", 40, 0},
	} {
		d := appsv1.DeploymentSpec{Strategy: appsv1.DeploymentStrategy{Type: c.kind}}
		if c.surge != nil {
			d.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: c.surge}
		}
		if got := bypass.MaxSurge(d, c.replicas); got != c.want {
			t.Errorf("%v of %d: expected %d, found %d", c.surge, c.replicas, c.want, got)
		}
	}
}
