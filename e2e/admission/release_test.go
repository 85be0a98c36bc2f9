package admission_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/cmd/headroom/release"
	"github.com/keda-headroom/headroom/cmd/headroom/stop"
	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/scaler/policyconfigmap"
)

const fleetsPolicy = `
apiVersion: v1
kind: ConfigMap
metadata: {namespace: shop, name: fleets, labels: {keda-headroom.github.io/policy: "true"}}
data:
  policy.yaml: |
    apiVersion: keda-headroom.github.io/v1alpha1
    kind: Policy
    workloads:
    - name: released
      mode: Gate
      scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: released}
      databaseRefs: [{name: orders-db, namespace: platform, user: worker, connectionsPerPod: 5}]
`

// release runs headroom release with the rights of an account in its namespace, or
// for "" with those of the administrator in all.
func (w world) release(t *testing.T, o release.Options, account string) (release.Report, error) {
	t.Helper()
	in := kubeflags.Flags{Kubeconfig: w.AdminKubeconfig(), AllNamespaces: true}
	if namespace, name, given := strings.Cut(account, "/"); given {
		path, err := w.ServiceAccountKubeconfig(t.Context(), namespace, name)
		if err != nil {
			t.Fatal(err)
		}
		in = kubeflags.Flags{Kubeconfig: path}
	}
	var out bytes.Buffer
	o.Cluster, o.Output, o.Out = in, "json", &out
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	err := release.Run(t.Context(), o)
	var report release.Report
	if parsed := json.Unmarshal(out.Bytes(), &report); parsed != nil {
		t.Fatalf("%v, %v in %q", err, parsed, out.String())
	}
	return report, err
}

// gatedPods waits until a fleet has two pods, and returns how many of them are gated.
func (w world) gatedPods(t *testing.T, fleet string) int {
	t.Helper()
	gatedOnes := 0
	w.wait(t, "two pods of "+fleet, func(ctx context.Context) (bool, error) {
		pods, err := w.admin.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{LabelSelector: "fleet=" + fleet})
		if err != nil || len(pods.Items) != 2 {
			return false, err
		}
		gatedOnes = 0
		for _, p := range pods.Items {
			if gates(&p) == gate {
				gatedOnes++
			}
		}
		return true, nil
	})
	return gatedOnes
}

// The role that is meant for it is enough for headroom release, and no less.
func TestReleaseByTheRoleForIt(t *testing.T) {
	w := sharedWorld(t)
	w.injects(t)
	if err := w.Apply(t.Context(), []byte(fleetsPolicy)); err != nil {
		t.Fatal(err)
	}
	w.fleet(t, "released", "{}")
	w.fleet(t, "neighbors", "{}")
	if w.gatedPods(t, "released") != 2 || w.gatedPods(t, "neighbors") != 2 {
		t.Fatal("expected every pod to be gated")
	}
	beside := w.create(t, "shop", pod("beside", twice))
	report, err := w.release(t, release.Options{Workloads: []string{"released"}}, "shop/on-call")
	if err != nil || len(report.Pods) != 2 || report.Pods[0].Outcome != release.Released || report.Pods[1].Outcome != release.Released {
		t.Errorf("%v, %+v", err, report)
	}
	if w.gatedPods(t, "released") != 0 || w.gatedPods(t, "neighbors") != 2 {
		t.Error("expected the fleet's pods to be let through and no others")
	}
	report, err = w.release(t, release.Options{All: true}, "shop/deployer")
	if err == nil || len(report.Pods) != 3 || report.Pods[0].Outcome != release.Failed || !strings.Contains(report.Pods[0].Problem, "ClusterRole headroom-release") {
		t.Errorf("expected a stranger to be refused, got %v, %+v", err, report)
	}
	report, err = w.release(t, release.Options{All: true}, "shop/on-call")
	if err != nil || len(report.Pods) != 3 || w.gatedPods(t, "neighbors") != 0 {
		t.Errorf("%v, %+v", err, report)
	}
	found, err := w.admin.CoreV1().Pods("shop").Get(t.Context(), beside.Name, metav1.GetOptions{})
	if err != nil || gates(found) != foreignGate {
		t.Errorf("expected the other's gate alone, found %q, %v", gates(found), err)
	}
}

func TestStopAndResumeInACluster(t *testing.T) {
	w := sharedWorld(t)
	if err := w.Apply(t.Context(), []byte(fleetsPolicy)); err != nil {
		t.Fatal(err)
	}
	for _, resume := range []bool{false, true} {
		var out bytes.Buffer
		o := stop.Options{
			Workloads: []string{"shop/released"}, Resume: resume, Output: "table", Out: &out,
			Cluster: kubeflags.Flags{Kubeconfig: w.AdminKubeconfig()},
		}
		if err := stop.Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		m, err := w.admin.CoreV1().ConfigMaps("shop").Get(t.Context(), "fleets", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, is := annotation(m); is == resume {
			t.Errorf("resume %t: found %v\n%s", resume, m.Annotations, out.String())
		}
	}
}

func annotation(m *corev1.ConfigMap) (string, bool) {
	text, ok := m.Annotations[policyconfigmap.StoppedAnnotation]
	return text, ok
}
