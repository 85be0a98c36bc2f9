package lint_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/cmd/headroom/lint"
	"github.com/keda-headroom/headroom/internal/fakeapi"
	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/policy"
)

// cluster has the objects of a file, its policy in a ConfigMap.
func cluster(t *testing.T, file string) *fakeapi.Server {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	api := fakeapi.Start(t)
	api.Add(t, string(content))
	carried, _, _ := strings.Cut(string(content), "\n---\n")
	api.Add(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: shop, name: workers, labels: {keda-headroom.github.io/policy: \"true\"}}\ndata: {policy.yaml: %q}\n", carried))
	return api
}

// A cluster is judged as its manifests are, and only read.
func TestACluster(t *testing.T) {
	api := cluster(t, "testdata/fleets/fleets.yaml")
	content, err := os.ReadFile("testdata/fleets/fleets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	api.Add(t, strings.ReplaceAll(string(content), "namespace: shop", "namespace: elsewhere"))
	flags := kubeflags.Flags{Kubeconfig: api.Kubeconfig(t), Namespace: "shop", RequestTimeout: kubeflags.DefaultTimeout}
	// No API server has an object that it would not take.
	if _, err := run(t, lint.Options{Cluster: flags}); err == nil || errors.Is(err, lint.ErrFound) || !strings.Contains(err.Error(), "shop/wrong: expected a ScaledObject") {
		t.Errorf("unexpected: %v", err)
	}

	api = cluster(t, "testdata/closed/all.yaml")
	flags.Kubeconfig = api.Kubeconfig(t)
	out, err := run(t, lint.Options{Cluster: flags, FailOn: policy.SeverityWarning})
	if err != nil || !strings.Contains(out, "1 good policy document and 3 fleets in the cluster at "+api.URL+": no problems") {
		t.Errorf("%v\n%s", err, out)
	}
	api = cluster(t, "testdata/gateopen/all.yaml")
	flags.Kubeconfig = api.Kubeconfig(t)
	out, err = run(t, lint.Options{Cluster: flags})
	for _, want := range []string{"PodDisruptionBudget shop/workers: spec.selector", "Rollout shop/stock-workers: spec.strategy.blueGreen", "StatefulSet shop/mail-workers: spec.template.metadata.labels"} {
		if !errors.Is(err, lint.ErrFound) || !strings.Contains(out, want) {
			t.Errorf("expected %q: %v\n%s", want, err, out)
		}
	}
	for _, asked := range api.Asked() {
		if asked.Verb != "list" || asked.Resource == "/secrets" {
			t.Errorf("asked for %+v", asked)
		}
	}

	open := cluster(t, "testdata/closed/all.yaml")
	open.Add(t, "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: by-hand, namespace: shop}\nspec: {scaleTargetRef: {kind: Deployment, name: order-workers}, maxReplicas: 60}\n")
	flags = kubeflags.Flags{Kubeconfig: open.Kubeconfig(t), AllNamespaces: true}
	for _, output := range lint.Outputs {
		out, err = run(t, lint.Options{Cluster: flags, Output: output})
		if !errors.Is(err, lint.ErrFound) || !strings.Contains(out, "HorizontalPodAutoscaler shop/by-hand") {
			t.Errorf("%s: %v\n%s", output, err, out)
		}
		wellFormed(t, output, out)
	}
	flags.AllNamespaces, flags.Namespace = false, "billing"
	if out, err = run(t, lint.Options{Cluster: flags}); err != nil || !strings.Contains(out, "0 good policy documents and 0 fleets") {
		t.Errorf("expected nothing of another namespace: %v\n%s", err, out)
	}
}

func TestAClusterThatCannotBeRead(t *testing.T) {
	api := cluster(t, "testdata/closed/all.yaml")
	flags := kubeflags.Flags{Kubeconfig: api.Kubeconfig(t), AllNamespaces: true}
	api.Forbidden = []string{"apps/deployments", "keda.sh/scaledobjects"}
	_, err := run(t, lint.Options{Cluster: flags})
	for _, want := range []string{"expected permission to list deployments.apps in all namespaces", "expected permission to list scaledobjects.keda.sh in all namespaces"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q in %v", want, err)
		}
	}
	api.Forbidden = []string{"policy/poddisruptionbudgets", "argoproj.io/rollouts"}
	if out, err := run(t, lint.Options{Cluster: flags}); err != nil || !strings.Contains(out, "note: poddisruptionbudgets.policy in all namespaces are not known") || !strings.Contains(out, "note: rollouts.argoproj.io") {
		t.Errorf("%v\n%s", err, out)
	}
	api.Forbidden, api.Absent = nil, []string{"keda.sh/scaledobjects", "keda.sh/scaledjobs"}
	if out, err := run(t, lint.Options{Cluster: flags}); err != nil || !strings.Contains(out, "note: the cluster has no scaledobjects.keda.sh: KEDA is not installed") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := (lint.Options{Output: "table", FailOn: policy.SeverityError, Paths: []string{"a"}, Cluster: flags}).Validate(); err == nil || !strings.Contains(err.Error(), "found both") {
		t.Errorf("unexpected: %v", err)
	}
}

// Documents without a namespace are in the one that is given, as for kubectl.
func TestNamespaceOfFiles(t *testing.T) {
	content, err := os.ReadFile("testdata/closed/all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bare := strings.NewReplacer(", namespace: shop", "", "metadata: {namespace: shop}\n", "").Replace(string(content))
	for _, namespace := range []string{"", "shop"} {
		out, err := run(t, lint.Options{Paths: []string{"-"}, In: strings.NewReader(bare), Cluster: kubeflags.Flags{Namespace: namespace}, FailOn: policy.SeverityWarning})
		if err != nil {
			t.Errorf("namespace %q: %v\n%s", namespace, err, out)
		}
	}
	mixed := strings.Replace(string(content), "metadata: {namespace: shop}\n", "", 1)
	out, err := run(t, lint.Options{Paths: []string{"-"}, In: strings.NewReader(mixed)})
	if !errors.Is(err, lint.ErrFound) || !strings.Contains(out, "nor any other in namespace shop") {
		t.Errorf("expected the policy to be in namespace default: %v\n%s", err, out)
	}
}

// A label alone gates nothing: somebody has to act on it.
func TestAClusterThatInjectsNothing(t *testing.T) {
	api := cluster(t, "testdata/gate/all.yaml")
	flags := kubeflags.Flags{Kubeconfig: api.Kubeconfig(t), Namespace: "shop"}
	const want = "Deployment shop/order-workers: spec.template.metadata.labels[keda-headroom.github.io/gate]: the label asks an admission policy for the gate"
	if out, err := run(t, lint.Options{Cluster: flags, FailOn: policy.SeverityWarning}); !errors.Is(err, lint.ErrFound) || !strings.Contains(out, want) || strings.Contains(out, "ScaledJob shop/reports: ") {
		t.Errorf("%v\n%s", err, out)
	}
	shipped, err := os.ReadFile("../../../manifests/components/gate/inject.yaml")
	if err != nil {
		t.Fatal(err)
	}
	unbound, _, _ := strings.Cut(string(shipped), "\n---\n")
	api.Add(t, unbound)
	if out, err := run(t, lint.Options{Cluster: flags}); err != nil || !strings.Contains(out, want) {
		t.Errorf("a policy that isn't bound does nothing: %v\n%s", err, out)
	}
	api = cluster(t, "testdata/gate/all.yaml")
	api.Add(t, string(shipped))
	flags.Kubeconfig = api.Kubeconfig(t)
	if out, err := run(t, lint.Options{Cluster: flags, FailOn: policy.SeverityWarning}); err != nil || !strings.Contains(out, ": no problems\n") {
		t.Errorf("%v\n%s", err, out)
	}
	api.Forbidden = []string{"admissionregistration.k8s.io/mutatingadmissionpolicybindings"}
	if out, err := run(t, lint.Options{Cluster: flags, FailOn: policy.SeverityWarning}); err != nil || !strings.Contains(out, "mutatingadmissionpolicybindings.admissionregistration.k8s.io in all namespaces are not known") {
		t.Errorf("%v\n%s", err, out)
	}
	api.Forbidden, api.Absent = nil, []string{"admissionregistration.k8s.io/mutatingadmissionpolicies", "admissionregistration.k8s.io/mutatingadmissionpolicybindings"}
	if out, err := run(t, lint.Options{Cluster: flags}); err != nil || !strings.Contains(out, want) {
		t.Errorf("an earlier Kubernetes has none: %v\n%s", err, out)
	}
}
