package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// fallback is the part of a ScaledObject that says what to do without a metric.
func fallback(replicas int) string {
	return fmt.Sprintf("fallback: {failureThreshold: 3, behavior: currentReplicasIfLower, replicas: %d}", replicas)
}

// TestFallbackWhileTheQueueIsUnknown deletes queues. Headroom holds for a while, then
// says that it does not know, and KEDA falls back as the ScaledObjects say: with
// currentReplicasIfLower who has more than the fallback's replicas is lowered, and
// who has fewer is left alone.
func TestFallbackWhileTheQueueIsUnknown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	many := s.start(&fleet{name: "many", spec: fallback(2)})
	few := s.start(&fleet{name: "few", trigger: "external", spec: fallback(5)})
	impatient := func(f *fleet) string {
		return strings.Replace(f.governed("Target"), "pollInterval: 300ms", "pollInterval: 300ms, staleAfter: 1s, errorAfter: 2s", 1)
	}
	s.policy("policy", database(othersWindow, impatient(many), impatient(few)))
	s.deploy(many)
	s.deploy(few)
	s.send(many.queue, 40)
	s.send(few.queue, 10)
	s.runs("many", 4)
	s.runs("few", 1)
	seen := s.follow("few")

	for _, f := range []*fleet{many, few} {
		if _, err := s.queues.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &f.queue}); err != nil {
			t.Fatal(err)
		}
	}
	s.condition("many", "Fallback", "True")
	s.condition("few", "Fallback", "True")
	s.runs("many", 2)
	if all := seen.all(); len(all) != 1 {
		t.Errorf("replicas of who has fewer were %v, want 1 all the time", all)
	}

	s.send(s.queue("many"), 40)
	s.send(s.queue("few"), 10)
	s.condition("many", "Fallback", "False")
	s.condition("few", "Fallback", "False")
	s.runs("many", 4)
	s.runs("few", 1)
}
