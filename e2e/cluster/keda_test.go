package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

// scaledObject scales the Deployment of its name as a scaler wants.
func scaledObject(namespace, name, target, address string) string {
	return fmt.Sprintf(`
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {namespace: %s, name: %s}
spec:
  scaleTargetRef: {name: %s}
  pollingInterval: 1
  cooldownPeriod: 1
  minReplicaCount: 0
  maxReplicaCount: 20
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleDown: {stabilizationWindowSeconds: 0}
  triggers:
  - type: external-push
    metadata: {scalerAddress: %q}
`, namespace, name, target, address)
}

func awaitReplicas(t *testing.T, c *cluster.Cluster, namespace, name string, want int32) {
	t.Helper()
	wait(t, fmt.Sprintf("%d replicas", want), func(ctx context.Context) (bool, error) {
		found, err := c.Client().AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return *found.Spec.Replicas == want, fmt.Errorf("found %d", *found.Spec.Replicas)
	})
}

// TestKEDAScales goes the whole way: scaler, operator, adapter, the API server's
// aggregation, the autoscaler, and back to zero.
func TestKEDAScales(t *testing.T) {
	c := sharedCluster(t)
	scaler := startScaler(t)
	apply(t, c, namespace("scales")+"---"+deployment("scales", "workers", 0)+
		"---"+scaledObject("scales", "workers", "workers", scaler.address))
	for _, want := range []int32{7, 3, 12, 0} {
		scaler.wanted.Store(int64(want))
		awaitReplicas(t, c, "scales", "workers", want)
	}
	// The autoscaler's behavior is what was asked for: nothing on the way drops it.
	hpa, err := c.Client().AutoscalingV2().HorizontalPodAutoscalers("scales").Get(t.Context(), "keda-hpa-workers", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if window := hpa.Spec.Behavior.ScaleDown.StabilizationWindowSeconds; window == nil || *window != 0 {
		t.Errorf("expected a stabilization window of 0 s, found %v", window)
	}
}

func TestKEDARefusesTwoScaledObjectsOfOneTarget(t *testing.T) {
	c := sharedCluster(t)
	scaler := startScaler(t)
	apply(t, c, namespace("two")+"---"+deployment("two", "workers", 0)+
		"---"+scaledObject("two", "first", "workers", scaler.address))
	second := []byte(scaledObject("two", "second", "workers", scaler.address))
	// The webhook knows the first from its cache, a moment later.
	wait(t, "the second to be refused", func(ctx context.Context) (bool, error) {
		err := c.Apply(ctx, second)
		if err == nil {
			return false, c.Delete(ctx, second)
		}
		return strings.Contains(err.Error(), "already managed by the ScaledObject"), err
	})
}

// TestAPIServerIsAway for longer than anybody's patience with one request: nobody
// ends, and all go on afterwards.
func TestAPIServerIsAway(t *testing.T) {
	c := ownCluster(t, cluster.Options{KEDA: true, HPASyncPeriod: time.Second})
	scaler := startScaler(t)
	apply(t, c, namespace("away")+"---"+deployment("away", "workers", 0)+
		"---"+scaledObject("away", "workers", "workers", scaler.address))
	scaler.wanted.Store(2)
	awaitReplicas(t, c, "away", "workers", 2)
	c.Component("kube-apiserver").Kill()
	scaler.wanted.Store(3)
	// KEDA goes on asking; that it has asked often is a time that has passed.
	asked := scaler.asked.Load()
	wait(t, "KEDA to ask in vain", func(context.Context) (bool, error) {
		return scaler.asked.Load() >= asked+15, fmt.Errorf("asked %d times", scaler.asked.Load()-asked)
	})
	if err := c.Component("kube-apiserver").Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitReplicas(t, c, "away", "workers", 3)
}

func TestKEDAIsRestarted(t *testing.T) {
	c := sharedCluster(t)
	scaler := startScaler(t)
	apply(t, c, namespace("restarted")+"---"+deployment("restarted", "workers", 0)+
		"---"+scaledObject("restarted", "workers", "workers", scaler.address))
	scaler.wanted.Store(2)
	awaitReplicas(t, c, "restarted", "workers", 2)
	for _, name := range []string{"keda-operator", "keda-metrics-apiserver"} {
		if err := c.Component(name).Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	scaler.wanted.Store(5)
	for _, name := range []string{"keda-operator", "keda-metrics-apiserver"} {
		if err := c.Component(name).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	awaitReplicas(t, c, "restarted", "workers", 5)

	// One that ends by itself comes back by itself, as a Deployment's pod does.
	if err := syscall.Kill(c.Component("keda-operator").PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	scaler.wanted.Store(7)
	awaitReplicas(t, c, "restarted", "workers", 7)
}
