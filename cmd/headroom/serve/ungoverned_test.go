package serve

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
)

func TestGatedPodsThatNobodyGoverns(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	gated := func(namespace, name string, age time.Duration) kube.GatedPod {
		return kube.GatedPod{ID: metrics.ID{Namespace: namespace, Name: name}, PodFacts: kube.PodFacts{UID: namespace + name, Created: now.Add(-age)}}
	}
	state := &scaler.State{Decisions: []scaler.Decision{{Snapshot: policy.Snapshot{Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{
		orders: metrics.Known(metrics.Fleet{Pods: []metrics.Pod{{UID: "shopours"}}}, now),
	}}}}}
	ending := gated("shop", "ending", time.Hour)
	ending.Terminating = true
	pods := []kube.GatedPod{gated("shop", "ours", time.Hour), gated("shop", "new", time.Second), ending}
	var s strangers
	look := func(what string, want map[string]int, say ...string) {
		t.Helper()
		count, lines := s.look(now, pods, state)
		if diff := cmp.Diff(want, count); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if diff := cmp.Diff(say, lines); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	look("nobody's are too new", map[string]int{})
	for _, name := range []string{"a", "b", "c", "d"} {
		pods = append(pods, gated("billing", name, time.Minute))
	}
	pods = append(pods, gated("shop", "lost", strangerAge))
	want := map[string]int{"billing": 4, "shop": 1}
	look("new", want, "in namespace billing: a, b, c and 1 more", "in namespace shop: lost")
	look("again", want)
	pods = pods[:3]
	look("gone", map[string]int{})
	pods = append(pods, gated("shop", "lost", time.Hour))
	look("once more", map[string]int{"shop": 1}, "in namespace shop: lost")
}
