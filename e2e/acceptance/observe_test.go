package acceptance

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/policy"
)

// stock is a ScaledObject with KEDA's own trigger, as its documentation shows it,
// and the keys that it uses.
const stock = `
apiVersion: v1
kind: Secret
metadata: {name: aws, namespace: $NAMESPACE}
stringData: {accessKeyID: keda, secretAccessKey: local}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: aws, namespace: $NAMESPACE}
spec:
  secretTargetRef:
  - {parameter: awsAccessKeyID, name: aws, key: accessKeyID}
  - {parameter: awsSecretAccessKey, name: aws, key: secretAccessKey}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: $FLEET, namespace: $NAMESPACE}
spec:
  scaleTargetRef: {name: $FLEET}
  pollingInterval: $POLL
  maxReplicaCount: $MAXREPLICAS
  triggers:
  - type: aws-sqs-queue
    authenticationRef: {name: aws}
    metadata: {queueURL: "$QUEUE", queueLength: "$LENGTH", awsRegion: $REGION, awsEndpoint: "$ENDPOINT"}
`

// TestObservingChangesNothing governs a ScaledObject that knows nothing of Headroom,
// in mode Observe: KEDA goes on as before, past what the database carries, and
// Headroom says what it would have done.
func TestObservingChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.start(&fleet{name: "thumbnails"})
	s.apply(s.deployment(f))
	s.apply(s.fill(stock, "FLEET", f.name, "POLL", "1", "MAXREPLICAS", "7", "QUEUE", f.queue, "LENGTH", "10"))
	s.condition("thumbnails", "Ready", "True")
	const wanted = 7 // one more than the database carries
	s.send(f.queue, 10*wanted)
	s.runs("thumbnails", wanted)
	before := s.specs()

	s.policy("policy", database(othersWindow, f.governed("Observe")))
	p := s.planned("thumbnails", "what it would have done", func(p policy.WorkloadPlan) bool {
		return p.Mode == policy.Observe && p.Demand.Backlog == wanted && p.Replicas == wanted && p.Holding == wanted && p.Reason == policy.ConnectionBudget
	})
	if p.Target >= wanted || p.Value != wanted {
		t.Errorf("the plan has target %d and tells %v, want fewer than %d to be right and the present to be told", p.Target, p.Value, wanted)
	}
	s.wait("metrics of the decision", func(ctx context.Context) (bool, error) {
		labels := map[string]string{"namespace": s.namespace, "workload": "thumbnails"}
		target, ok, err := s.headroom.metric(ctx, "headroom_workload_target_replicas", labels)
		if err != nil || !ok {
			return false, err
		}
		labels["mode"] = "Observe"
		_, ok, err = s.headroom.metric(ctx, "headroom_workload_info", labels)
		return ok && target == float64(p.Target), fmt.Errorf("target %v, %w", target, err)
	})
	if diff := cmp.Diff(before, s.specs()); diff != "" {
		t.Errorf("something was changed (-before +after):\n%s", diff)
	}
}

// specs are the objects of the site that scale or are scaled, by kind and name, but
// for their status and what changes with it. Who wrote to them is left in.
func (s *site) specs() map[string]map[string]any {
	s.t.Helper()
	out := map[string]map[string]any{}
	for _, resource := range inventoryOf {
		list, err := s.Dynamic().Resource(resource).Namespace(s.namespace).List(s.t.Context(), metav1.ListOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, item := range list.Items {
			out[item.GetKind()+"/"+item.GetName()] = specOf(item)
		}
	}
	return out
}

func specOf(o unstructured.Unstructured) map[string]any {
	writers := map[string]any{}
	for _, m := range o.GetManagedFields() {
		writers[m.Manager] = strings.ToLower(string(m.Operation))
	}
	return map[string]any{
		"spec": o.Object["spec"], "data": o.Object["data"], "labels": o.GetLabels(), "annotations": o.GetAnnotations(),
		"finalizers": o.GetFinalizers(), "generation": o.GetGeneration(), "uid": string(o.GetUID()), "writers": writers,
	}
}

// inventoryOf are the kinds of objects that scale or are scaled.
var inventoryOf = []schema.GroupVersionResource{
	inventory.ScaledObjects, inventory.ScaledJobs, inventory.HPAs, inventory.Deployments, inventory.StatefulSets, inventory.DaemonSets,
}
