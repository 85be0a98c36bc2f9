package hpa_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

const (
	namespace = "default"
	patience  = 5 * time.Minute
)

// world is a cluster, asked without a limit of our own on how often.
type world struct {
	fleets  dynamic.ResourceInterface
	cluster kubernetes.Interface
}

func newWorld(t *testing.T, c *cluster.Cluster) world {
	t.Helper()
	config := c.Config()
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return world{objects.Resource(fleets).Namespace(namespace), client}
}

// create makes a fleet and, once its status says what it should, its autoscaler.
func (w world) create(t *testing.T, p point) {
	t.Helper()
	fleet := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": fleets.GroupVersion().String(), "kind": "Fleet",
		"metadata": map[string]any{"name": p.name()}, "spec": map[string]any{"replicas": int64(p.spec)},
	}}
	made, err := w.fleets.Create(t.Context(), fleet, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Object["status"] = map[string]any{"replicas": int64(p.status), "selector": "fleet=" + p.name()}
	if _, err := w.fleets.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.cluster.AutoscalingV2().HorizontalPodAutoscalers(namespace).Create(t.Context(), p.autoscaler(t), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// autoscaler follows its metric at once, but for the tolerance.
func (p point) autoscaler(t *testing.T) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	least, window, one := int32(1), int32(0), resource.MustParse("1")
	rules := autoscalingv2.HPAScalingRules{
		StabilizationWindowSeconds: &window,
		Policies:                   []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PodsScalingPolicy, Value: maxReplicas, PeriodSeconds: 1}},
	}
	if p.tolerance != noTolerance {
		tolerance, err := resource.ParseQuantity(p.tolerance)
		if err != nil {
			t.Fatal(err)
		}
		rules.Tolerance = &tolerance
	}
	up, down := rules, rules
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: p.name()},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: fleets.GroupVersion().String(), Kind: "Fleet", Name: p.name()},
			MinReplicas:    &least, MaxReplicas: maxReplicas,
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: &up, ScaleDown: &down},
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ExternalMetricSourceType,
				External: &autoscalingv2.ExternalMetricSource{
					Metric: autoscalingv2.MetricIdentifier{Name: "m" + strconv.FormatInt(p.milli, 10)},
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &one},
				},
			}},
		},
	}
}

// await returns where each of so many autoscalers went, once all have looked at
// their metric.
func (w world) await(t *testing.T, autoscalers int) map[string]int {
	t.Helper()
	went := map[string]int{}
	if err := cluster.WaitFor(t.Context(), patience, "every autoscaler to sync", func(ctx context.Context) (bool, error) {
		list, err := w.cluster.AutoscalingV2().HorizontalPodAutoscalers(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		synced := 0
		var waits error
		for _, a := range list.Items {
			if len(a.Status.CurrentMetrics) == 0 {
				waits = fmt.Errorf("%s is among those that didn't: %v", a.Name, a.Status.Conditions)
				continue
			}
			synced++
			went[a.Name] = int(a.Status.DesiredReplicas)
		}
		return synced == autoscalers, waits
	}); err != nil {
		t.Fatal(err)
	}
	// The status is not all: what counts is what they wrote.
	list, err := w.fleets.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, fleet := range list.Items {
		written, _, err := unstructured.NestedInt64(fleet.Object, "spec", "replicas")
		if err != nil || int(written) != went[fleet.GetName()] {
			t.Errorf("%s: the autoscaler says %d and wrote %d, %v", fleet.GetName(), went[fleet.GetName()], written, err)
		}
	}
	return went
}
