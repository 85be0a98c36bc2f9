package acceptance

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestTheRolesWeShipAreLeast asks the API server what Headroom's ServiceAccount may
// do. That it suffices shows at the end of all tests: its log has no "forbidden".
func TestTheRolesWeShipAreLeast(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ask := func(namespace, verb, group, resource, subresource, name string) bool {
		t.Helper()
		review, err := s.Client().AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:headroom:headroom", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:headroom", "system:authenticated"},
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: subresource, Name: name,
				},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
	const everywhere = ""
	for _, c := range []struct {
		namespace, verb, group, resource, subresource, name string
		want                                                bool
	}{
		{everywhere, "watch", "keda.sh", "scaledobjects", "", "", true},
		{everywhere, "watch", "", "pods", "", "", true},
		{everywhere, "list", "", "configmaps", "", "", true},
		{s.namespace, "create", "events.k8s.io", "events", "", "", true},
		{headroomNamespace, "update", "", "configmaps", "", "memory", true},
		// The one Secret that its owner has opened, and no other.
		{s.namespace, "get", "", "secrets", "", "database", true},
		{s.namespace, "get", "", "secrets", "", "aws", false},
		{s.namespace, "list", "", "secrets", "", "", false},
		{everywhere, "list", "", "secrets", "", "", false},
		{headroomNamespace, "get", "", "secrets", "", "headroom-tls", false},
		{"kube-system", "get", "", "secrets", "", "any", false},
		// It tells KEDA, lets pods through the gate and takes them away. What it may
		// change of a pod is up to the admission policies beside the gate.
		{s.namespace, "patch", "", "pods", "", "orders", true},
		{s.namespace, "patch", "", "pods", "status", "orders", true},
		{s.namespace, "delete", "", "pods", "", "orders", true},
		{s.namespace, "create", "", "pods", "eviction", "orders", true},
		{s.namespace, "release", "keda-headroom.github.io", "pods", "", "", true},
		{s.namespace, "update", "", "pods", "", "orders", false},
		{s.namespace, "patch", "", "pods", "ephemeralcontainers", "orders", false},
		// Nothing else is its to change.
		{s.namespace, "update", "", "configmaps", "", "policy", false},
		{s.namespace, "create", "", "configmaps", "", "", false},
		{s.namespace, "patch", "keda.sh", "scaledobjects", "", "orders", false},
		{s.namespace, "update", "keda.sh", "scaledobjects", "status", "orders", false},
		{s.namespace, "patch", "autoscaling", "horizontalpodautoscalers", "", "orders", false},
		{s.namespace, "patch", "apps", "deployments", "", "orders", false},
		{s.namespace, "update", "apps", "deployments", "scale", "orders", false},
		{s.namespace, "create", "batch", "jobs", "", "", false},
		{s.namespace, "create", "", "pods", "", "", false},
		{s.namespace, "create", "", "pods", "exec", "orders", false},
		{headroomNamespace, "create", "", "serviceaccounts", "token", "headroom", false},
		{everywhere, "get", "", "nodes", "", "node-1", false},
		{everywhere, "list", "", "namespaces", "", "", false},
		{everywhere, "bind", "rbac.authorization.k8s.io", "clusterroles", "", "cluster-admin", false},
		{everywhere, "impersonate", "", "users", "", "admin", false},
	} {
		if got := ask(c.namespace, c.verb, c.group, c.resource, c.subresource, c.name); got != c.want {
			t.Errorf("%s %s.%s/%s %q in %q: allowed is %t, want %t", c.verb, c.resource, c.group, c.subresource, c.name, c.namespace, got, c.want)
		}
	}
}
