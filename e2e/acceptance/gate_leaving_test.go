package acceptance

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/policy"
)

// beyond is a little more than the budget carries, and less than the server does.
const beyond = gateCapacity + 2

// letGo waits until nobody of a fleet waits at the gate.
func (s *site) letGo(fleet string, pods int) {
	s.t.Helper()
	s.wait(fmt.Sprintf("all %d pods of %s to be let through", pods, fleet), func(ctx context.Context) (bool, error) {
		passed, gated, err := s.pods(ctx, fleet)
		if err != nil {
			return false, err
		}
		return len(passed) == pods && len(gated) == 0, fmt.Errorf("%d passed and %d wait", len(passed), len(gated))
	})
}

// TestOptingOutLeavesNobodyAtTheGate takes a policy back, with its ScaledObject or
// where there never was one, while pods wait for connections: they go, and so does
// every later one, as long as the template asks for the gate. Then the workload is
// forgotten.
func TestOptingOutLeavesNobodyAtTheGate(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"scaledObjectRef", "scaleTargetRef", "podSelector"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newGateSite(t)
			f := &gatedFleet{fleet: s.start(&fleet{name: "orders", max: 20, min: beyond}), replicas: beyond}
			governed := f.governed("Gate")
			switch way {
			case "scaledObjectRef":
			case "scaleTargetRef":
				governed = strings.Replace(governed, "mode: Gate", "mode: Gate\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: orders}", 1)
			case "podSelector":
				governed = strings.Replace(governed, "mode: Gate", "mode: Gate\n  podSelector: {matchLabels: {app: orders}}", 1)
			}
			s.policy("policy", gatePolicy(governed))
			s.apply(s.gatedDeployment(f))
			if way == "scaledObjectRef" {
				s.apply(s.scaledObject(f.fleet))
			}
			s.send(f.queue, 300)
			s.planned("orders", "two pods that wait", func(p policy.WorkloadPlan) bool {
				return p.Holding == gateCapacity && p.Gated == beyond-gateCapacity
			})

			if err := s.Client().CoreV1().ConfigMaps(s.namespace).Delete(t.Context(), "policy", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if way == "scaledObjectRef" {
				s.planned("orders", "frozen as long as its trigger names it", func(p policy.WorkloadPlan) bool {
					return p.Reason == policy.PolicyInvalid && p.Mode == policy.Gate && p.Gated == beyond-gateCapacity
				})
				if err := s.Dynamic().Resource(inventory.ScaledObjects).Namespace(s.namespace).Delete(t.Context(), "orders", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			s.letGo("orders", beyond)

			if way != "podSelector" { // which knows of no template
				victim := s.passed("orders", beyond)[0]
				if err := s.Client().CoreV1().Pods(s.namespace).Delete(t.Context(), victim.Name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				s.wait("the gated pod in its place to be let through", func(ctx context.Context) (bool, error) {
					passed, gated, err := s.pods(ctx, "orders")
					for _, p := range passed {
						if p.UID == victim.UID {
							return false, err
						}
					}
					return err == nil && len(passed) == beyond && len(gated) == 0, err
				})
			}
			patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"labels":{%q:null}}}}}`, kube.GateLabel)
			if _, err := s.Client().AppsV1().Deployments(s.namespace).Patch(t.Context(), "orders", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
			s.wait("the workload to be forgotten", func(ctx context.Context) (bool, error) {
				plans, err := s.headroom.plans(ctx)
				if err != nil {
					return false, err
				}
				for _, p := range plans.Plans {
					if w, ok := p.Workload(s.id("orders")); ok {
						return false, fmt.Errorf("%s in mode %s", w.Reason, w.Mode)
					}
				}
				return true, nil
			})
			s.neverGated()
		})
	}
}
