package acceptance

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/policy"
)

// TestRolloutsOfStatefulSetsEnd changes the template of StatefulSets of both kinds at a
// full budget, with as many replicas as it carries, and with far more.
func TestRolloutsOfStatefulSetsEnd(t *testing.T) {
	t.Parallel()
	const ceiling = 3
	for _, c := range []struct {
		management string
		replicas   int
		// stands says that the StatefulSet's controller does nothing before all of its
		// pods run, and therefore not while one of them waits.
		stands bool
	}{
		{management: "OrderedReady", replicas: ceiling},
		{management: "OrderedReady", replicas: 10, stands: true},
		{management: "Parallel", replicas: ceiling},
		{management: "Parallel", replicas: 10},
	} {
		t.Run(fmt.Sprintf("%s, %d of %d", c.management, ceiling, c.replicas), func(t *testing.T) {
			t.Parallel()
			s := newRolloutSite(t, ceiling)
			f := &gatedFleet{fleet: s.start(&fleet{name: "orders"}), replicas: c.replicas, pool: rolloutPerPod}
			s.policy("policy", gatePolicy(unscaled("StatefulSet", "orders")))
			s.apply(s.gatedObject("StatefulSet", "podManagementPolicy: "+c.management+"\n  serviceName: orders", f))
			s.passed("orders", ceiling)
			s.planned("orders", "the lowest ordinals past the gate", func(p policy.WorkloadPlan) bool {
				return p.Holding == ceiling && p.Ceiling == ceiling && (p.Gated > 0) == (c.replicas > ceiling)
			})
			for ordinal := range ceiling {
				s.pass(fmt.Sprintf("orders-%d", ordinal))
			}
			patch := []byte(`{"spec":{"template":{"metadata":{"labels":{"revision":"second"}}}}}`)
			if _, err := s.Client().AppsV1().StatefulSets(s.namespace).Patch(t.Context(), "orders", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
			if c.stands {
				// It goes on when its replicas fit.
				patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, ceiling)
				if _, err := s.Client().AppsV1().StatefulSets(s.namespace).Patch(t.Context(), "orders", types.MergePatchType, patch, metav1.PatchOptions{}, "scale"); err != nil {
					t.Fatal(err)
				}
			}
			s.renewed("orders", "second", ceiling)
			s.nobodyRefused(ceiling * rolloutPerPod)
		})
	}
}

// pass waits until a pod is past the gate.
func (s *site) pass(pod string) {
	s.t.Helper()
	s.wait(pod+" to pass the gate", func(ctx context.Context) (bool, error) {
		p, err := s.Client().CoreV1().Pods(s.namespace).Get(ctx, pod, metav1.GetOptions{})
		return err == nil && !isGated(*p), err
	})
}
