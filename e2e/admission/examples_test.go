package admission_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

// The shipped examples are taken by Kubernetes and by KEDA's own checks, and the pods
// of those in mode Gate wait, however they asked for it.
func TestExamples(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	var w world
	var err error
	if w.Cluster, err = cluster.Start(ctx, cluster.Options{KEDA: true, Log: t.Output()}); err != nil {
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
	if err := w.Apply(t.Context(), []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: platform}\n")); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("../../manifests/examples/*.yaml")
	if err != nil || len(paths) < 14 {
		t.Fatalf("%v, %v", paths, err)
	}
	waiting := 0
	for _, path := range paths {
		documents, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := cluster.Decode(documents)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := w.ApplyObjects(t.Context(), objects...); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		want := ""
		if bytes.Contains(documents, []byte("mode: Gate")) {
			want = gate
		}
		for _, object := range objects {
			template := podTemplate(t, object)
			if template == nil {
				continue
			}
			made, err := w.admin.CoreV1().Pods("shop").Create(t.Context(), &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{GenerateName: object.GetName() + "-", Labels: template.Labels, Annotations: template.Annotations}, Spec: template.Spec,
			}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if gates(made) != want {
				t.Errorf("%s: expected the gates %q, found %q", path, want, gates(made))
			}
			if want != "" {
				waiting++
			}
		}
	}
	if waiting < 6 {
		t.Errorf("pods of %d examples wait", waiting)
	}
}

// podTemplate is that of the pods which an object makes, nil where it makes none.
func podTemplate(t *testing.T, object *unstructured.Unstructured) *corev1.PodTemplateSpec {
	t.Helper()
	for _, path := range [][]string{{"template"}, {"jobTemplate", "spec", "template"}, {"jobTargetRef", "template"}} {
		found, ok, err := unstructured.NestedMap(object.Object, slices.Concat([]string{"spec"}, path)...)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		text, err := json.Marshal(found)
		if err != nil {
			t.Fatal(err)
		}
		var template corev1.PodTemplateSpec
		if err := json.Unmarshal(text, &template); err != nil {
			t.Fatal(err)
		}
		return &template
	}
	return nil
}
