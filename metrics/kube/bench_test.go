package kube

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// somePod is a pod as clusters have them, with every text of it its own, as when
// it was decoded.
func somePod(i int) *corev1.Pod {
	yes := true
	set := i / 10
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: fmt.Sprintf("team-%d", set%50), Name: fmt.Sprintf("order-workers-6d4cf56db6-%05d", i),
			ResourceVersion:   fmt.Sprint(81_000_000 + i),
			UID:               types.UID(fmt.Sprintf("0f5a7c1e-8d3b-4a56-9c2f-%012d", i)),
			CreationTimestamp: metav1.NewTime(time.Unix(1772366400+int64(i), 0)),
			Labels:            map[string]string{"app": fmt.Sprintf("orders-%d", set), "pod-template-hash": fmt.Sprintf("hash-%d", set)},
			Annotations:       map[string]string{"kubernetes.io/config.seen": fmt.Sprint("a long text ", i)},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: fmt.Sprintf("order-workers-%d", set),
				UID: types.UID(fmt.Sprintf("5b2c7c1e-8d3b-4a56-9c2f-%012d", set)), Controller: &yes,
			}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)},
	}
	for c := range 2 {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{
			Name: fmt.Sprintf("container-%d", c), Image: fmt.Sprintf("registry.example.com/orders/workers:%d", i),
			Env: []corev1.EnvVar{{Name: fmt.Sprintf("NAME_%d", i), Value: fmt.Sprintf("value-%d", i)}},
		})
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return p
}

func emptyPodTable() *table[pod] {
	return newPodTable(&watched{kind: "pods", current: func() {}})
}

// BenchmarkPods says what 10,000 pods need in memory, each.
func BenchmarkPods(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		b.ReportMetric(bytesPerPod(b, n), "B/pod")
	}
}

func bytesPerPod(t testing.TB, n int) float64 {
	var before, after runtime.MemStats
	table := emptyPodTable()
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		if err := table.Add(somePod(i)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(table)
	return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / float64(n)
}

// TestAPodIsKeptSmall fails where somebody keeps whole pods.
func TestAPodIsKeptSmall(t *testing.T) {
	if got := bytesPerPod(t, 10_000); got > 1000 {
		t.Errorf("a pod takes %.0f bytes, want 1000 at most", got)
	}
}

// BenchmarkPodEvents is what each change of a pod costs.
func BenchmarkPodEvents(b *testing.B) {
	table := emptyPodTable()
	for i := range 10_000 {
		if err := table.Add(somePod(i)); err != nil {
			b.Fatal(err)
		}
	}
	p := somePod(5000)
	b.ReportAllocs()
	for b.Loop() {
		if err := table.Update(p); err != nil {
			b.Fatal(err)
		}
	}
}
