package kube

import (
	"testing"

	"github.com/keda-headroom/headroom/internal/kedaapi"
)

func TestBounds(t *testing.T) {
	two, nine := int32(2), int32(9)
	for _, c := range []struct {
		name        string
		annotations map[string]string
		replicas    int
		least, most int
	}{
		{"its own", nil, 5, 2, 9},
		{"paused", map[string]string{kedaapi.Paused: "true"}, 5, 5, 5},
		{"paused, by what is no boolean", map[string]string{kedaapi.Paused: "yes"}, 5, 5, 5},
		{"not paused", map[string]string{kedaapi.Paused: "false"}, 5, 2, 9},
		{"paused at zero", map[string]string{kedaapi.PausedReplicas: "0"}, 0, 0, 1},
		{"paused above its maximum", map[string]string{kedaapi.PausedReplicas: "12"}, 12, 12, 12},
		{"neither in", map[string]string{kedaapi.PausedScaleIn: "true"}, 5, 5, 9},
		{"nor out", map[string]string{kedaapi.PausedScaleOut: "true"}, 5, 2, 5},
		{"forced", map[string]string{kedaapi.ForceActivation: "true"}, 0, 2, 9},
	} {
		var o kedaapi.ScaledObject
		o.Annotations, o.Spec.MinReplicaCount, o.Spec.MaxReplicaCount = c.annotations, &two, &nine
		if least, most := bounds(o, c.replicas); least != c.least || most != c.most {
			t.Errorf("%s: %d to %d, want %d to %d", c.name, least, most, c.least, c.most)
		}
	}
	forced := kedaapi.ScaledObject{}
	forced.Annotations = map[string]string{kedaapi.ForceActivation: "true"}
	if least, most := bounds(forced, 0); least != 1 || most != kedaapi.DefaultMaxReplicaCount {
		t.Errorf("forced, without a minimum: %d to %d", least, most)
	}
}
