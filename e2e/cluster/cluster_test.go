package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

// node makes a Node that is ready and has room for a hundred pods.
func node(t *testing.T, c *cluster.Cluster, name string) {
	t.Helper()
	nodes := c.Client().CoreV1().Nodes()
	_, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nodes.Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	status := corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
			LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
		}},
		Allocatable: resources(), Capacity: resources(),
	}
	// Controllers write to it meanwhile.
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		found, err := nodes.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		found.Status = status
		_, err = nodes.UpdateStatus(t.Context(), found, metav1.UpdateOptions{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// deployment of pods that nobody runs.
func deployment(namespace, name string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: %[1]s, name: %[2]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec:
      containers: [{name: worker, image: worker}]
`, namespace, name, replicas)
}

func namespace(name string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", name)
}

// awaitPods waits for a number of pods that meet a condition.
func awaitPods(t *testing.T, c *cluster.Cluster, namespace string, want int, what string, is func(corev1.Pod) bool) {
	t.Helper()
	wait(t, fmt.Sprintf("%d pods %s", want, what), func(ctx context.Context) (bool, error) {
		pods, err := c.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		var found int
		for _, pod := range pods.Items {
			if is(pod) {
				found++
			}
		}
		return found == want, fmt.Errorf("found %d of %d pods %s", found, len(pods.Items), what)
	})
}

func scheduled(pod corev1.Pod) bool { return pod.Spec.NodeName != "" }

func TestPodsAreScheduled(t *testing.T) {
	c := sharedCluster(t)
	node(t, c, "scheduling")
	apply(t, c, namespace("scheduling")+"---"+deployment("scheduling", "workers", 3))
	awaitPods(t, c, "scheduling", 3, "on the node", func(pod corev1.Pod) bool { return pod.Spec.NodeName == "scheduling" })

	// A gated pod is left alone; without its gate it is not.
	apply(t, c, `
apiVersion: v1
kind: Pod
metadata: {namespace: scheduling, name: gated}
spec:
  schedulingGates: [{name: example.com/gate}]
  containers: [{name: worker, image: worker}]
`)
	awaitPods(t, c, "scheduling", 1, "gated", func(pod corev1.Pod) bool {
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodScheduled && condition.Reason == corev1.PodReasonSchedulingGated {
				return !scheduled(pod)
			}
		}
		return false
	})
}

// TestGarbage is about controllers that nothing else here shows.
func TestGarbage(t *testing.T) {
	c := sharedCluster(t)
	apply(t, c, namespace("garbage")+"---"+deployment("garbage", "workers", 2))
	awaitPods(t, c, "garbage", 2, "there", func(corev1.Pod) bool { return true })
	background := metav1.DeletePropagationBackground
	err := c.Client().AppsV1().Deployments("garbage").Delete(t.Context(), "workers", metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil {
		t.Fatal(err)
	}
	awaitPods(t, c, "garbage", 0, "left", func(corev1.Pod) bool { return true })
	if err := c.Client().CoreV1().Namespaces().Delete(t.Context(), "garbage", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wait(t, "the namespace to go", func(ctx context.Context) (bool, error) {
		left, err := c.Client().CoreV1().Namespaces().List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=garbage"})
		return err == nil && len(left.Items) == 0, err
	})
}

func TestApplySaysWhatItExpected(t *testing.T) {
	c := sharedCluster(t)
	for documents, want := range map[string]string{
		"kind: ConfigMap": "expected apiVersion, kind and metadata.name",
		"a: b: c":         "document 1",
		"apiVersion: v1\nkind: X\nmetadata: {name: x}":   "apply X x",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: x}": "apply Pod x",
	} {
		if err := c.Apply(t.Context(), []byte(documents)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: expected %q, got %v", documents, want, err)
		}
	}
	if err := c.Apply(t.Context(), []byte("# nothing\n---\n---\n")); err != nil {
		t.Errorf("nothing was applied: %v", err)
	}
}

func resources() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("100"), corev1.ResourceMemory: resource.MustParse("100Gi"),
		corev1.ResourcePods: resource.MustParse("100"),
	}
}
