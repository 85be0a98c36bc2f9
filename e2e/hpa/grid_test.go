package hpa_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/internal/hpa"
)

// maxReplicas is out of the way.
const maxReplicas = 1000

// point is one HorizontalPodAutoscaler that has synced.
type point struct {
	spec, status int   // of the scale subresource
	milli        int64 // the metric
	tolerance    string
}

func (p point) name() string {
	return fmt.Sprintf("c%d-s%d-m%d-t%s", p.spec, p.status, p.milli, p.tolerance)
}

// noTolerance leaves the field out.
const noTolerance = "none"

var tolerances = []string{noTolerance, "0", "0.05", "0.2"}

// points are around the edges of what the tolerance holds, and what policy/
// publishes to get past it: min(d, (⌈1000·s·(1−t)⌉ − 1) / 1000).
func points() []point {
	var out []point
	for _, s := range []int{1, 2, 3, 9, 10, 11, 19, 20, 21, 50, 100} {
		for _, tolerance := range tolerances {
			t := 0.1
			if tolerance != noTolerance {
				t, _ = strconv.ParseFloat(tolerance, 64)
			}
			acts := int64(math.Ceil(math.Round(1e6*float64(s)*(1-t))/1e3)) - 1
			values := []int64{0, 1000, acts, acts + 1, 1000 * int64(s), 1000*int64(s) + 1, 1000*int64(s) + 1000, 1500 * int64(s)}
			if s > 1 {
				values = append(values, min(1000*int64(s-1), acts), 1000*int64(s-1))
			}
			slices.Sort(values)
			for _, milli := range slices.Compact(values) {
				out = append(out, point{s, s, milli, tolerance})
			}
		}
	}
	// A rollout's surge: the status is above the spec, and an autoscaler that
	// holds writes it into the spec.
	for _, milli := range []int64{9000, 10000, 11000, 11500, 12000, 13000} {
		out = append(out, point{10, 12, milli, "0"}, point{10, 12, milli, noTolerance})
	}
	return out
}

// expected is where internal/hpa leads: what policy/ was proved against.
func (p point) expected(t *testing.T, honored bool) int {
	t.Helper()
	rules := hpa.Unbraked()
	rules.Tolerance = nil
	if honored && p.tolerance != noTolerance {
		fraction, err := strconv.ParseFloat(p.tolerance, 64)
		if err != nil {
			t.Fatal(err)
		}
		rules.Tolerance = &fraction
	}
	c, err := hpa.New(hpa.Options{MinReplicas: 1, MaxReplicas: maxReplicas, Behavior: &hpa.Behavior{ScaleUp: rules, ScaleDown: rules}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Sync(time.Unix(1_000_000, 0), p.spec, p.status, hpa.Metric{Milli: p.milli})
}

var fleets = schema.GroupVersionResource{Group: "e2e.keda-headroom.github.io", Version: "v1", Resource: "fleets"}

// fleetKind has a scale subresource and nobody who acts on it, so that spec and
// status are what the test says.
const fleetKind = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: fleets.e2e.keda-headroom.github.io}
spec:
  group: e2e.keda-headroom.github.io
  scope: Namespaced
  names: {kind: Fleet, listKind: FleetList, plural: fleets, singular: fleet}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {replicas: {type: integer}}}
          status: {type: object, properties: {replicas: {type: integer}, selector: {type: string}}}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: scale-fleets}
rules:
- {apiGroups: [e2e.keda-headroom.github.io], resources: [fleets, fleets/scale], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: scale-fleets}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: scale-fleets}
subjects: [{kind: ServiceAccount, namespace: kube-system, name: horizontal-pod-autoscaler}]
`

// TestArithmetic syncs every point of the grid once on the real controller.
func TestArithmetic(t *testing.T) {
	const gate = "HPAConfigurableTolerance"
	for _, world := range []struct {
		name    string
		options cluster.Options
		honored bool // each autoscaler's own tolerance
	}{
		{"newest", cluster.Options{}, true},
		{"gate off", cluster.Options{FeatureGates: map[string]bool{gate: false}}, false},
		{"oldest", cluster.Options{EmulatedVersion: "1.33"}, false},
	} {
		t.Run(world.name, func(t *testing.T) {
			t.Parallel()
			options := world.options
			options.HPASyncPeriod = time.Second
			options.Flags = map[string][]string{"kube-controller-manager": {"--kube-api-qps=1000", "--kube-api-burst=1000"}}
			options.Log = t.Output()
			c, err := cluster.Start(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
			serveMetrics(t, c)
			if err := c.Apply(t.Context(), []byte(fleetKind)); err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, c)
			grid := points()
			for _, p := range grid {
				w.create(t, p)
			}
			went := w.await(t, len(grid))
			wrong := 0
			for _, p := range grid {
				if want, got := p.expected(t, world.honored), went[p.name()]; got != want {
					wrong++
					t.Errorf("spec %d, status %d, metric %d m, tolerance %s: the controller goes to %d, policy/ assumes %d",
						p.spec, p.status, p.milli, p.tolerance, got, want)
				}
			}
			t.Logf("%d points of the grid, %d of them wrong", len(grid), wrong)
		})
	}
}
