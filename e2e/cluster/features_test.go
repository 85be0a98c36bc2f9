package cluster_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

// TestTolerance of one autoscaler is kept where Kubernetes knows it, and dropped
// without a word where it doesn't.
func TestTolerance(t *testing.T) {
	const gate = "HPAConfigurableTolerance"
	for name, test := range map[string]struct {
		options cluster.Options
		want    bool
	}{
		"gate off":      {cluster.Options{FeatureGates: map[string]bool{gate: false}}, false},
		"older version": {cluster.Options{EmulatedVersion: "1.34"}, false},
		"as it comes":   {cluster.Options{HPATolerance: 0.2}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := ownCluster(t, test.options)
			apply(t, c, `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: workers}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: workers}
  maxReplicas: 3
  behavior: {scaleDown: {tolerance: "0.05"}}
  metrics:
  - type: External
    external: {metric: {name: wanted}, target: {type: AverageValue, averageValue: "1"}}
`)
			hpa, err := c.Client().AutoscalingV2().HorizontalPodAutoscalers("default").Get(t.Context(), "workers", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := hpa.Spec.Behavior.ScaleDown.Tolerance; (got != nil) != test.want {
				t.Errorf("expected a tolerance: %t, found %v", test.want, got)
			}
		})
	}
}
