package admission_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

// older is the oldest version that the control plane can behave as.
const older = "1.33"

// Where the API server can't add the gate, the template carries it, and a label alone
// is not taken for one.
func TestOlderClusters(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	var w world
	var err error
	if w.Cluster, err = cluster.Start(ctx, cluster.Options{EmulatedVersion: older, Log: t.Output()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.ApplyKustomization(ctx, "testdata/gate"); !meta.IsNoMatchError(err) {
		t.Errorf("expected the component gate to have a kind that is not there, got %v", err)
	}
	if err := w.install(ctx, "testdata/gate-by-template"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.deployer.CoreV1().Pods("shop").Create(t.Context(), pod("labeled", optedIn), metav1.CreateOptions{}); !is(err, metav1.StatusReasonInvalid) ||
		!strings.Contains(err.Error(), "spec.template.spec.schedulingGates") {
		t.Errorf("expected the label without a gate to be refused, got %v", err)
	}
	if got := gates(w.create(t, "shop", pod("both", func(p *corev1.Pod) { optedIn(p); gated(p) }))); got != gate {
		t.Errorf("expected the template's gate, found %q", got)
	}
	remove := attempt{"gate by its place", nil, types.JSONPatchType, removal(1), ""}
	if err := remove.try(t, w, w.deployer, "shop"); !is(err, metav1.StatusReasonForbidden) {
		t.Errorf("expected a stranger to be refused, got %v", err)
	}
	made := w.create(t, "shop", pod("admitted", twice))
	if _, err := w.headroom.CoreV1().Pods("shop").Patch(t.Context(), made.Name, types.JSONPatchType, []byte(admit(made)), metav1.PatchOptions{}); err != nil {
		t.Errorf("admission: %v", err)
	}
	image := `{"spec": {"containers": [{"name": "worker", "image": "miner:1"}]}}`
	if _, err := w.headroom.CoreV1().Pods("shop").Patch(t.Context(), made.Name, types.StrategicMergePatchType, []byte(image), metav1.PatchOptions{}); !is(err, metav1.StatusReasonForbidden) {
		t.Errorf("expected Headroom to be refused another image, got %v", err)
	}
}
