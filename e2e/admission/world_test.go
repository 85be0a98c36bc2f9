package admission_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

const (
	// startTimeout is generous: other tests may run on the same two processors.
	startTimeout = 5 * time.Minute
	// patience is how long anything in a cluster may take.
	patience = 2 * time.Minute

	gate        = "keda-headroom.github.io/connections"
	foreignGate = "quota.example.com/admission"
	grant       = "keda-headroom.github.io/grant"
	epoch       = "keda-headroom.github.io/epoch"
	optIn       = "keda-headroom.github.io/gate"
	leader      = "keda-headroom.github.io/leader"
	reserved    = "keda-headroom.github.io/ConnectionsReserved"
)

// who are the people and programs of the tests, beside the administrator. RBAC lets
// headroom and deployer do anything to pods, so that whatever is refused to them is
// refused by the admission policies.
const who = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: labeled, labels: {keda-headroom.github.io/gate: "true"}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: shop, name: deployer}
---
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: shop, name: on-call}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: anything-to-pods}
rules:
- {apiGroups: [""], resources: [bindings, pods, pods/binding, pods/ephemeralcontainers, pods/resize, pods/status], verbs: ["*"]}
- {apiGroups: [apps], resources: [deployments], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: anything-to-pods}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: anything-to-pods}
subjects:
- {kind: ServiceAccount, namespace: shop, name: deployer}
- {kind: ServiceAccount, namespace: headroom, name: headroom}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: shop, name: on-call}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: headroom-release}
subjects: [{kind: ServiceAccount, namespace: shop, name: on-call}]
`

// world is a cluster with Headroom's policies, and clients of those who act in it.
type world struct {
	*cluster.Cluster
	admin, headroom, deployer, onCall kubernetes.Interface
}

// shared is one cluster for all tests of the component gate.
var (
	shared    world
	errShared error
	startOnce sync.Once
)

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.Cluster != nil {
		if err := shared.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

func sharedWorld(t *testing.T) world {
	t.Helper()
	startOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if shared.Cluster, errShared = cluster.Start(ctx, cluster.Options{Log: os.Stderr}); errShared == nil {
			errShared = shared.install(ctx, "testdata/gate")
		}
	})
	if errShared != nil {
		t.Fatal(errShared)
	}
	return shared
}

// install installs a kustomization and waits until its policies are in force, which
// the API server learns of a moment after they are written.
func (w *world) install(ctx context.Context, dir string) error {
	if err := w.ApplyKustomization(ctx, dir); err != nil {
		return err
	}
	if err := w.Apply(ctx, []byte(who)); err != nil {
		return err
	}
	w.admin = w.Client()
	for account, client := range map[string]*kubernetes.Interface{
		"headroom/headroom": &w.headroom, "shop/deployer": &w.deployer, "shop/on-call": &w.onCall,
	} {
		namespace, name, _ := strings.Cut(account, "/")
		path, err := w.ServiceAccountKubeconfig(ctx, namespace, name)
		if err != nil {
			return err
		}
		config, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			return err
		}
		config.QPS = -1
		if *client, err = kubernetes.NewForConfig(config); err != nil {
			return err
		}
	}
	return w.inForce(ctx)
}

// inForce waits until each policy refuses what it should, and roles permit.
func (w *world) inForce(ctx context.Context) error {
	probe, err := w.admin.CoreV1().Pods("labeled").Create(ctx, pod("probe", nil), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	dry := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}
	patch := func(client kubernetes.Interface, body string) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			_, err := client.CoreV1().Pods(probe.Namespace).Patch(ctx, probe.Name, types.MergePatchType, []byte(body), dry)
			return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy"), err
		}
	}
	return errors.Join(
		cluster.WaitFor(ctx, patience, "the policy that keeps the gate", patch(w.deployer, `{"metadata": {"annotations": {"`+grant+`": "{}"}}}`)),
		cluster.WaitFor(ctx, patience, "the policy that confines Headroom", patch(w.headroom, `{"metadata": {"labels": {"a": "b"}}}`)),
		w.admin.CoreV1().Pods(probe.Namespace).Delete(ctx, probe.Name, metav1.DeleteOptions{}),
	)
}

// injects waits until the gate is added to pods.
func (w world) injects(t *testing.T) {
	t.Helper()
	w.wait(t, "the policy that adds the gate", func(ctx context.Context) (bool, error) {
		made, err := w.admin.CoreV1().Pods("shop").Create(ctx, pod("probe", optedIn), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && len(made.Spec.SchedulingGates) == 1, err
	})
}

func (w world) wait(t *testing.T, what string, condition func(context.Context) (bool, error)) {
	t.Helper()
	if err := cluster.WaitFor(t.Context(), patience, what, condition); err != nil {
		t.Fatal(err)
	}
}

// pod is one that a template could have made, changed by change.
func pod(name string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "workers"}, Annotations: map[string]string{"team": "orders"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "worker", Image: "worker:1"}}},
	}
	if change != nil {
		change(p)
	}
	return p
}

// optedIn adds the label, gated the gate as a template would.
func optedIn(p *corev1.Pod) { p.Labels[optIn] = "true" }

func gated(p *corev1.Pod) {
	p.Spec.SchedulingGates = append(p.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: gate})
}

// twice is a pod with somebody else's gate before ours.
func twice(p *corev1.Pod) {
	p.Spec.SchedulingGates = append(p.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: foreignGate})
	gated(p)
}

// create makes a pod as the administrator, to be deleted when the test ends.
func (w world) create(t *testing.T, namespace string, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	made, err := w.admin.CoreV1().Pods(namespace).Create(t.Context(), p, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		zero := int64(0)
		err := w.admin.CoreV1().Pods(namespace).Delete(context.WithoutCancel(t.Context()), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	return made
}

func gates(p *corev1.Pod) string {
	var names []string
	for _, g := range p.Spec.SchedulingGates {
		names = append(names, g.Name)
	}
	return strings.Join(names, " ")
}
