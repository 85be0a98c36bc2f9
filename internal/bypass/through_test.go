package bypass_test

import (
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
)

func TestThrough(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(in *bypass.Input)
		want   string
	}{
		{"closed", func(*bypass.Input) {}, "through no way that its manifests leave open: somebody sets spec.replicas (kubectl scale), or the HPA does not work"},
		{"minimum", func(in *bypass.Input) { in.ScaledObject.Spec.MinReplicaCount = to(int32(12)) }, "through minReplicaCount 12"},
		{"a minimum that is carried", func(in *bypass.Input) {
			in.ScaledObject.Spec.MinReplicaCount = to(int32(8))
			in.ScaledObject.Spec.Triggers = append(in.ScaledObject.Spec.Triggers, kedaapi.Trigger{Type: "cron"})
		}, "through another trigger (cron)"},
		{"in another mode", func(in *bypass.Input) { in.Workload.Mode, in.ScaledObject.Spec.Triggers = policy.Observe, nil },
			"through triggers none of which asks Headroom"},
		{"several", func(in *bypass.Input) {
			in.ScaledObject.Annotations = map[string]string{"autoscaling.keda.sh/paused-replicas": "12"}
			in.HPAs = []autoscalingv2.HorizontalPodAutoscaler{hpa("mine", nil)}
			in.ScaledObject.Spec.Advanced = nil
			in.ScaledObject.Spec.Fallback.Behavior = "static"
		}, "through the annotation autoscaling.keda.sh/paused-replicas: 12, a second HPA (mine) or the stabilization window of its HPA"},
		{"tolerance alone, of 11 to 10", func(in *bypass.Input) { down(in).Tolerance = nil }, "through the tolerance of its HPA"},
		{"a formula", func(in *bypass.Input) { capped(in, "demand + ceiling") }, "through the formula in scalingModifiers"},
		{"nothing of KEDA's", func(in *bypass.Input) { in.ScaledObject = nil }, "through whoever sets its replicas: nothing of KEDA's scales it"},
	} {
		in := closed(t)
		c.change(in)
		mode := in.Workload.Mode
		replicas, ceiling := 11, 10
		if got := bypass.Through(*in, replicas, ceiling); got != c.want {
			t.Errorf("%s: expected %q, found %q", c.name, c.want, got)
		}
		if in.Workload.Mode != mode {
			t.Errorf("%s: the policy was changed", c.name)
		}
	}
	in := closed(t)
	down(in).Tolerance = nil
	if got := bypass.Through(*in, 20, 10); got == "through the tolerance of its HPA" {
		t.Errorf("no tolerance keeps 20 where 10 are wanted, found %q", got)
	}
}
