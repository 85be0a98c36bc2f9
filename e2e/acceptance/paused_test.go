package acceptance

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
)

// annotate sets an annotation of a ScaledObject; "" takes it away.
func (s *site) annotate(scaledObject, annotation, value string) {
	s.t.Helper()
	quoted := fmt.Sprintf("%q", value)
	if value == "" {
		quoted = "null"
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%s}}}`, annotation, quoted)
	if _, err := s.Dynamic().Resource(inventory.ScaledObjects).Namespace(s.namespace).Patch(s.t.Context(), scaledObject, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// TestOthersYieldToAFleetThatIsPaused holds Headroom to what KEDA's documentation
// says of paused ScaledObjects: KEDA leaves their replicas alone, or sets them to
// what the annotation says, whatever a scaler asks. Their pods hold connections all
// the same, so that the other fleet on the database gets what is left.
func TestOthersYieldToAFleetThatIsPaused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	paused, other := s.start(&fleet{name: "paused"}), s.start(&fleet{name: "other"})
	s.policy("policy", database(othersWindow, paused.governed("Target"), other.governed("Target")))
	s.deploy(paused)
	s.deploy(other)
	s.send(paused.queue, 20)
	s.runs("paused", 2)

	s.annotate("paused", kedaapi.Paused, "true")
	s.condition("paused", "Paused", "True")
	s.send(other.queue, 100)
	s.runs("other", capacity-2)
	// Its queue asks for nothing now, and its pods stay.
	s.purge(paused.queue)
	s.planned("paused", "asked for nothing, and kept", func(p policy.WorkloadPlan) bool {
		return p.Demand.Known && p.Demand.Backlog == 0 && p.Holding == 2 && p.Target == 2
	})
	s.runs("paused", 2)
	s.planned("other", "limited by the pods of the paused fleet", func(p policy.WorkloadPlan) bool { return p.Target == capacity-2 && p.Ceiling == capacity-2 })

	// One more than there is room for: the other fleet yields, as soon as it is seen.
	s.annotate("paused", kedaapi.Paused, "")
	s.annotate("paused", kedaapi.PausedReplicas, "3")
	s.runs("paused", 3)
	s.runs("other", capacity-3)

	// Let go, it has no work, and leaves its room to the other.
	s.annotate("paused", kedaapi.PausedReplicas, "")
	s.runs("paused", 0)
	s.runs("other", capacity)
}

// TestAForcedPodIsCounted forces a fleet away from zero, past every scaler.
func TestAForcedPodIsCounted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	forced, other := s.start(&fleet{name: "forced"}), s.start(&fleet{name: "other"})
	s.policy("policy", database(othersWindow, forced.governed("Target"), other.governed("Target")))
	s.deploy(forced)
	s.deploy(other)
	s.planned("forced", "nothing to do", func(p policy.WorkloadPlan) bool { return p.Demand.Known && !p.Active && p.Target == 0 })
	s.annotate("forced", kedaapi.ForceActivation, "true")
	s.runs("forced", 1)
	s.send(other.queue, 100)
	s.runs("other", capacity-1)
	s.annotate("forced", kedaapi.ForceActivation, "")
	s.runs("forced", 0)
	s.runs("other", capacity)
}

// condition waits until a condition of a ScaledObject has a status.
func (s *site) condition(scaledObject, condition, want string) {
	s.t.Helper()
	s.wait(fmt.Sprintf("%s of ScaledObject %s to be %s", condition, scaledObject, want), func(ctx context.Context) (bool, error) {
		o, err := s.Dynamic().Resource(inventory.ScaledObjects).Namespace(s.namespace).Get(ctx, scaledObject, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		status, _ := o.Object["status"].(map[string]any)
		conditions, _ := status["conditions"].([]any)
		for _, c := range conditions {
			if c, _ := c.(map[string]any); c["type"] == condition && c["status"] == want {
				return true, nil
			}
		}
		return false, fmt.Errorf("its conditions are %v", conditions)
	})
}
