package cluster_test

import (
	"context"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestAccountMayDoWhatItsRoleSays(t *testing.T) {
	c := sharedCluster(t)
	apply(t, c, namespace("roles")+`
---
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: roles, name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: roles, name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: roles, name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, namespace: roles, name: reader}]
`)
	path, err := c.ServiceAccountKubeconfig(t.Context(), "roles", "reader")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	reader := kubernetes.NewForConfigOrDie(config).CoreV1()
	// The authorizer learns of the role a moment after it was made.
	wait(t, "the role to hold", func(ctx context.Context) (bool, error) {
		_, err := reader.ConfigMaps("roles").List(ctx, metav1.ListOptions{})
		return err == nil, err
	})
	if _, err := reader.Secrets("roles").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("Secrets: expected Forbidden, got %v", err)
	}
	if _, err := reader.ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("another namespace: expected Forbidden, got %v", err)
	}
	if _, err := c.ServiceAccountKubeconfig(t.Context(), "roles", "nobody"); !apierrors.IsNotFound(err) {
		t.Errorf("an account that isn't there: expected NotFound, got %v", err)
	}
}

func TestStrangersMayNothing(t *testing.T) {
	c := sharedCluster(t)
	stranger := kubernetes.NewForConfigOrDie(rest.AnonymousClientConfig(c.Config()))
	if _, err := stranger.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("expected Forbidden, got %v", err)
	}
	config := rest.AnonymousClientConfig(c.Config())
	config.BearerToken = "invented"
	forger := kubernetes.NewForConfigOrDie(config)
	if _, err := forger.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("expected Unauthorized, got %v", err)
	}
}

// TestOthersHaveTheirOwnRoles: what KEDA and the controllers may is what it is in
// other clusters, not everything.
func TestOthersHaveTheirOwnRoles(t *testing.T) {
	c := sharedCluster(t)
	const (
		keda = "system:serviceaccount:keda:keda-operator"
		hpa  = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
	)
	for _, test := range []struct {
		user, group, resource, verb string
		want                        bool
	}{
		{keda, "keda.sh", "scaledobjects", "update", true},
		{keda, "apps", "deployments", "create", false},
		{keda, "rbac.authorization.k8s.io", "clusterroles", "update", false},
		{hpa, "external.metrics.k8s.io", "s0-anything", "get", true},
		{hpa, "", "secrets", "get", false},
	} {
		review, err := c.Client().AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: test.user,
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: "default", Group: test.group, Resource: test.resource, Verb: test.verb,
				},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed != test.want {
			t.Errorf("%s %s %s.%s: expected %t, got %+v", test.user, test.verb, test.resource, test.group, test.want, review.Status)
		}
	}
}
