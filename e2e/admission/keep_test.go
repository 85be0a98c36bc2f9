package admission_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// attempt is one change of a pod.
type attempt struct {
	name string
	// pod is what it is tried on, nil for one with two gates and no grant.
	pod func(*corev1.Pod)
	// how the body is meant, which subresource it goes to ("" for none).
	how         types.PatchType
	body        string
	subresource string
}

func annotate(name, value string) string {
	return fmt.Sprintf(`{"metadata": {"annotations": {%q: %s}}}`, name, value)
}

// removal takes a gate away as a JSON patch does, by its place.
func removal(place int) string {
	return fmt.Sprintf(`[{"op": "remove", "path": "/spec/schedulingGates/%d"}]`, place)
}

func (a attempt) try(t *testing.T, w world, client kubernetes.Interface, namespace string) error {
	t.Helper()
	change := a.pod
	if change == nil {
		change = twice
	}
	made := w.create(t, namespace, pod(strings.ReplaceAll(strings.ToLower(a.name), " ", "-"), change))
	// As Headroom does, so that pods with grants exist.
	if strings.Contains(a.name, "granted") {
		if _, err := w.headroom.CoreV1().Pods(namespace).Patch(t.Context(), made.Name, types.MergePatchType,
			[]byte(`{"metadata": {"annotations": {"`+grant+`": "{\"platform/orders-db\":5}", "`+epoch+`": "headroom-a_1"}}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var subresources []string
	if a.subresource != "" {
		subresources = []string{a.subresource}
	}
	_, err := client.CoreV1().Pods(namespace).Patch(t.Context(), made.Name, a.how, []byte(a.body), metav1.PatchOptions{}, subresources...)
	return err
}

// what only who may release may do.
var releases = []attempt{
	{"gate by its place", nil, types.JSONPatchType, removal(1), ""},
	{"gate by its name", nil, types.StrategicMergePatchType, `{"spec": {"schedulingGates": [{"$patch": "delete", "name": "` + gate + `"}]}}`, ""},
	{"all gates", nil, types.MergePatchType, `{"spec": {"schedulingGates": null}}`, ""},
	{"a first grant", nil, types.MergePatchType, annotate(grant, `"{}"`), ""},
	{"a first epoch", nil, types.MergePatchType, annotate(epoch, `"headroom-b_2"`), ""},
	{"another grant if granted", nil, types.MergePatchType, annotate(grant, `"{}"`), ""},
	{"no grant if granted", nil, types.MergePatchType, annotate(grant, `null`), ""},
	{"no epoch if granted", nil, types.MergePatchType, annotate(epoch, `null`), ""},
}

func TestStrangersDontRelease(t *testing.T) {
	w := sharedWorld(t)
	behind := append([]attempt{
		// A kubelet's way: the status takes annotations along.
		{"a first grant by the status", nil, types.MergePatchType, annotate(grant, `"{}"`), "status"},
		{"another grant by the status if granted", nil, types.MergePatchType, annotate(grant, `"{}"`), "status"},
	}, releases...)
	for _, a := range behind {
		t.Run(a.name, func(t *testing.T) {
			err := a.try(t, w, w.deployer, "shop")
			if reason := metav1.StatusReasonForbidden; !is(err, reason) ||
				!strings.Contains(err.Error(), "system:serviceaccount:shop:deployer may not") || !strings.Contains(err.Error(), "ClusterRole headroom-release") {
				t.Errorf("expected to be refused and told who may, got %v", err)
			}
		})
	}
}

// is reports whether a request was refused for a reason.
func is(err error, reason metav1.StatusReason) bool { return apierrors.ReasonForError(err) == reason }

func TestStrangersDoWhatIsTheirs(t *testing.T) {
	w := sharedWorld(t)
	for _, a := range []attempt{
		{"another label", nil, types.MergePatchType, `{"metadata": {"labels": {"a": "b"}}}`, ""},
		{"another annotation if granted", nil, types.MergePatchType, annotate("a", `"b"`), ""},
		{"another image", nil, types.StrategicMergePatchType, `{"spec": {"containers": [{"name": "worker", "image": "worker:2"}]}}`, ""},
		{"the other gate", nil, types.JSONPatchType, removal(0), ""},
		{"a condition", nil, types.StrategicMergePatchType, `{"status": {"conditions": [{"type": "example.com/Warm", "status": "True"}]}}`, "status"},
		{"out of the opt in", func(p *corev1.Pod) { optedIn(p); gated(p) }, types.MergePatchType, `{"metadata": {"labels": {"` + optIn + `": null}}}`, ""},
	} {
		t.Run(a.name, func(t *testing.T) {
			if err := a.try(t, w, w.deployer, "shop"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhoMayRelease(t *testing.T) {
	w := sharedWorld(t)
	for _, a := range releases {
		t.Run(a.name, func(t *testing.T) {
			if err := a.try(t, w, w.admin, "shop"); err != nil {
				t.Errorf("administrator: %v", err)
			}
		})
		t.Run(a.name+" on call", func(t *testing.T) {
			a := a
			a.name += " on call"
			if err := a.try(t, w, w.onCall, "shop"); err != nil {
				t.Errorf("on call: %v", err)
			}
		})
	}
	// A RoleBinding holds in its namespace.
	elsewhere := attempt{"elsewhere", nil, types.JSONPatchType, removal(1), ""}
	if err := elsewhere.try(t, w, w.onCall, "labeled"); !is(err, metav1.StatusReasonForbidden) {
		t.Errorf("expected to be refused in another namespace, got %v", err)
	}
}

// Nobody makes a pod that has its grant already.
func TestNewPodsHaveNoGrant(t *testing.T) {
	w := sharedWorld(t)
	for _, annotation := range []string{grant, epoch} {
		for who, client := range map[string]kubernetes.Interface{"deployer": w.deployer, "headroom": w.headroom, "administrator": w.admin} {
			forged := pod("forged", func(p *corev1.Pod) { p.Annotations[annotation] = "{}" })
			_, err := client.CoreV1().Pods("shop").Create(t.Context(), forged, metav1.CreateOptions{})
			if !is(err, metav1.StatusReasonForbidden) || !strings.Contains(err.Error(), "a new Pod without the annotation "+annotation) {
				t.Errorf("%s, %s: expected to be refused, got %v", who, annotation, err)
			}
		}
		free := w.create(t, "shop", pod("free", nil))
		for who, client := range map[string]kubernetes.Interface{"deployer": w.deployer, "administrator": w.admin} {
			binding := &corev1.Binding{
				ObjectMeta: metav1.ObjectMeta{Name: free.Name, Annotations: map[string]string{annotation: "{}"}}, Target: corev1.ObjectReference{Kind: "Node", Name: "node"},
			}
			if err := client.CoreV1().Pods("shop").Bind(t.Context(), binding, metav1.CreateOptions{}); !is(err, metav1.StatusReasonForbidden) ||
				!strings.Contains(err.Error(), "a new Binding without the annotation "+annotation) {
				t.Errorf("%s, %s: expected a binding to be refused, got %v", who, annotation, err)
			}
			err := client.CoreV1().RESTClient().Post().Namespace("shop").Resource("bindings").Body(binding).Do(t.Context()).Error()
			if !is(err, metav1.StatusReasonForbidden) {
				t.Errorf("%s, %s: expected the older binding to be refused, got %v", who, annotation, err)
			}
		}
		if err := w.admin.CoreV1().Pods("shop").Delete(t.Context(), free.Name, *metav1.NewDeleteOptions(0)); err != nil {
			t.Fatal(err)
		}
	}
}
