package admission_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// admit is Headroom's patch that lets a pod through, for a pod with two gates or one.
func admit(p *corev1.Pod) string {
	place := len(p.Spec.SchedulingGates) - 1
	return fmt.Sprintf(`[
		{"op": "test", "path": "/metadata/uid", "value": %q},
		{"op": "test", "path": "/metadata/resourceVersion", "value": %q},
		{"op": "test", "path": "/spec/schedulingGates/%d/name", "value": %q},
		{"op": "add", "path": "/metadata/annotations/keda-headroom.github.io~1grant", "value": "{\"platform/orders-db\":5}"},
		{"op": "remove", "path": "/spec/schedulingGates/%d"}
	]`, p.UID, p.ResourceVersion, place, gate, place)
}

// Everything that Headroom does to a pod, with the rights that it is installed with.
func TestHeadroomDoesItsWork(t *testing.T) {
	w := sharedWorld(t)
	pods := w.headroom.CoreV1().Pods("shop")
	for name, change := range map[string]func(*corev1.Pod){"alone": gated, "beside-another": twice} {
		t.Run(name, func(t *testing.T) {
			made := w.create(t, "shop", pod(name, change))
			stamped, err := pods.Patch(t.Context(), name, types.MergePatchType,
				[]byte(`{"metadata": {"uid": "`+string(made.UID)+`", "annotations": {"`+epoch+`": "headroom-a_1"}}}`), metav1.PatchOptions{})
			if err != nil {
				t.Fatalf("stamp: %v", err)
			}
			// What was decided before the stamp can't come true any more.
			if _, err := pods.Patch(t.Context(), name, types.JSONPatchType, []byte(admit(made)), metav1.PatchOptions{}); !is(err, metav1.StatusReasonInvalid) {
				t.Errorf("expected the older patch to be refused as Invalid, got %v", err)
			}
			condition := `{"status": {"conditions": [{"type": "` + reserved + `", "status": "False", "reason": "ConnectionBudget", "message": "waits"}]}}`
			told, err := pods.Patch(t.Context(), name, types.StrategicMergePatchType, []byte(condition), metav1.PatchOptions{}, "status")
			if err != nil {
				t.Fatalf("condition: %v", err)
			}
			if stamped.ResourceVersion == told.ResourceVersion {
				t.Error("the condition was not written")
			}
			through, err := pods.Patch(t.Context(), name, types.JSONPatchType, []byte(admit(told)), metav1.PatchOptions{})
			if err != nil {
				t.Fatalf("admission: %v", err)
			}
			if want := strings.TrimSpace(strings.TrimSuffix(gates(made), gate)); gates(through) != want || through.Annotations[grant] == "" {
				t.Errorf("expected the gates %q and a grant, found %q, %v", want, gates(through), through.Annotations)
			}
			eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name}, DeleteOptions: metav1.NewPreconditionDeleteOptions(string(made.UID))}
			if err := pods.EvictV1(t.Context(), eviction); err != nil {
				t.Errorf("eviction: %v", err)
			}
		})
	}
}

// The leader is published by a label, on Headroom's own pods.
func TestHeadroomLabelsItsLeader(t *testing.T) {
	w := sharedWorld(t)
	w.create(t, "headroom", pod("headroom-a", func(p *corev1.Pod) {
		no, yes := false, true
		uid := int64(65532)
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &uid, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
	}))
	for _, value := range []string{`"true"`, `null`} {
		body := `{"metadata": {"labels": {"` + leader + `": ` + value + `}}}`
		if _, err := w.headroom.CoreV1().Pods("headroom").Patch(t.Context(), "headroom-a", types.MergePatchType, []byte(body), metav1.PatchOptions{}); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
	body := `{"metadata": {"labels": {"app": "something-else"}}}`
	if _, err := w.headroom.CoreV1().Pods("headroom").Patch(t.Context(), "headroom-a", types.MergePatchType, []byte(body), metav1.PatchOptions{}); !is(err, metav1.StatusReasonForbidden) {
		t.Errorf("another label: expected to be refused, got %v", err)
	}
}

// Whoever has Headroom's token can do nothing else with it, whatever RBAC permits.
func TestHeadroomDoesNothingElse(t *testing.T) {
	w := sharedWorld(t)
	requests := func(p *corev1.Pod) {
		twice(p)
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
	}
	for _, test := range []struct {
		attempt
		what string
	}{
		{attempt{"its image", nil, types.StrategicMergePatchType, `{"spec": {"containers": [{"name": "worker", "image": "miner:1"}]}}`, ""}, "spec"},
		{attempt{"its deadline", nil, types.MergePatchType, `{"spec": {"activeDeadlineSeconds": 1}}`, ""}, "spec"},
		{attempt{"its tolerations", nil, types.JSONPatchType, `[{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}]`, ""}, "spec"},
		{attempt{"its node", nil, types.MergePatchType, `{"spec": {"nodeSelector": {"a": "b"}}}`, ""}, "spec"},
		{attempt{"its image with our gate", nil, types.JSONPatchType, `[{"op": "remove", "path": "/spec/schedulingGates/1"}, {"op": "replace", "path": "/spec/containers/0/image", "value": "miner:1"}]`, ""}, "spec"},
		{attempt{"the other gate", nil, types.JSONPatchType, removal(0), ""}, "gate"},
		{attempt{"all gates", nil, types.MergePatchType, `{"spec": {"schedulingGates": null}}`, ""}, "gate"},
		{attempt{"a label", nil, types.MergePatchType, `{"metadata": {"labels": {"a": "b"}}}`, ""}, "labels"},
		{attempt{"another value of a label", nil, types.MergePatchType, `{"metadata": {"labels": {"app": "b"}}}`, ""}, "labels"},
		{attempt{"no label", nil, types.MergePatchType, `{"metadata": {"labels": null}}`, ""}, "labels"},
		{attempt{"the leader elsewhere", nil, types.MergePatchType, `{"metadata": {"labels": {"` + leader + `": "true"}}}`, ""}, "labels"},
		{attempt{"an annotation", nil, types.MergePatchType, annotate("a", `"b"`), ""}, "annotations"},
		{attempt{"another value of an annotation", nil, types.MergePatchType, annotate("team", `"b"`), ""}, "annotations"},
		{attempt{"no annotation", nil, types.MergePatchType, annotate("team", `null`), ""}, "annotations"},
		{attempt{"a finalizer", nil, types.MergePatchType, `{"metadata": {"finalizers": ["example.com/stay"]}}`, ""}, "metadata"},
		{attempt{"an owner", nil, types.MergePatchType, `{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "b"}]}}`, ""}, "metadata"},
		{attempt{"its phase", nil, types.MergePatchType, `{"status": {"phase": "Failed"}}`, "status"}, "status"},
		{attempt{"its address", nil, types.MergePatchType, `{"status": {"podIPs": [{"ip": "10.0.0.1"}], "podIP": "10.0.0.1"}}`, "status"}, "status"},
		{attempt{"another condition", nil, types.StrategicMergePatchType, `{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}`, "status"}, "status"},
		{attempt{"no conditions", nil, types.MergePatchType, `{"status": {"conditions": null}}`, "status"}, "status"},
		{attempt{"a grant by the status", nil, types.MergePatchType, annotate(grant, `"{}"`), "status"}, "annotations"},
		{attempt{"a label by the status", nil, types.MergePatchType, `{"metadata": {"labels": {"a": "b"}}}`, "status"}, "labels"},
		{attempt{"a container to look around", nil, types.StrategicMergePatchType, `{"spec": {"ephemeralContainers": [{"name": "shell", "image": "shell:1"}]}}`, "ephemeralcontainers"}, "spec"},
		{attempt{"its size", requests, types.StrategicMergePatchType, `{"spec": {"containers": [{"name": "worker", "resources": {"requests": {"cpu": "2"}}}]}}`, "resize"}, "spec"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.try(t, w, w.headroom, "shop")
			if !is(err, metav1.StatusReasonForbidden) || !strings.Contains(err.Error(), "expected Headroom to") || !strings.Contains(err.Error(), test.what) {
				t.Errorf("expected to be refused for its %s, got %v", test.what, err)
			}
		})
	}
}

// The same account elsewhere is held to the same, any other by that name only.
func TestOthersAreNotConfined(t *testing.T) {
	w := sharedWorld(t)
	image := attempt{"image of others", nil, types.StrategicMergePatchType, `{"spec": {"containers": [{"name": "worker", "image": "worker:2"}]}}`, ""}
	if err := image.try(t, w, w.admin, "shop"); err != nil {
		t.Errorf("administrator: %v", err)
	}
	image.name += " too"
	if err := image.try(t, w, w.deployer, "shop"); err != nil {
		t.Errorf("deployer: %v", err)
	}
}
