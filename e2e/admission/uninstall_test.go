package admission_test

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/cmd/headroom/release"
	"github.com/keda-headroom/headroom/e2e/cluster"
)

// Once the installation is deleted, components and all, no new pod waits, and headroom
// release lets through whoever is left.
func TestUninstallingLeavesNoGatedPod(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	var w world
	var err error
	if w.Cluster, err = cluster.Start(ctx, cluster.Options{Log: t.Output()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.install(ctx, "testdata/gate"); err != nil {
		t.Fatal(err)
	}
	w.injects(t)
	w.create(t, "shop", pod("left", optedIn))
	w.create(t, "labeled", pod("left-too", twice))
	objects, err := cluster.Kustomize("testdata/gate")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if err := w.Delete(t.Context(), document(t, object)); err != nil {
			t.Fatal(err)
		}
	}
	w.wait(t, "pods with the label to be left alone", func(ctx context.Context) (bool, error) {
		made, err := w.admin.CoreV1().Pods("shop").Create(ctx, pod("probe", optedIn), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && len(made.Spec.SchedulingGates) == 0, err
	})
	report, err := w.release(t, release.Options{All: true}, "")
	if err != nil || len(report.Pods) != 2 {
		t.Fatalf("%v, %+v", err, report)
	}
	for namespace, want := range map[string]string{"shop": "", "labeled": foreignGate} {
		pods, err := w.admin.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) != 1 || gates(&pods.Items[0]) != want {
			t.Errorf("%s: expected a pod with the gates %q, found %v, %v", namespace, want, pods.Items, err)
		}
	}
	if report, err = w.release(t, release.Options{All: true}, ""); err != nil || len(report.Pods) != 0 {
		t.Errorf("expected nothing to be left, found %+v, %v", report, err)
	}
}

func document(t *testing.T, object *unstructured.Unstructured) []byte {
	t.Helper()
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
