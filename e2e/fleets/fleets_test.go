// Package fleets holds metrics/kube to a real API server and KEDA.
package fleets

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/fleet"
	"github.com/keda-headroom/headroom/metrics/kube"
)

const patience = 3 * time.Minute

var orders = metrics.ID{Namespace: "shop", Name: "order-workers"}

const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: orders}
spec:
  replicas: 2
  selector: {matchLabels: {app: orders}}
  template:
    metadata: {labels: {app: orders}}
    spec:
      schedulingGates: [{name: keda-headroom.github.io/connections}]
      containers: [{name: worker, image: worker}]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {namespace: shop, name: order-workers}
spec:
  scaleTargetRef: {name: orders}
  minReplicaCount: 2
  maxReplicaCount: 7
  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {tolerance: 20m, stabilizationWindowSeconds: 30}}}}
  triggers: [{type: cron, metadata: {timezone: UTC, start: 0 0 1 1 *, end: 1 0 1 1 *, desiredReplicas: "2"}}]
`

func eventually(t *testing.T, c *kube.Cluster, source fleet.Source, what string, wanted func(metrics.Fleet, error) bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		state, err := source.Read(ctx)
		cancel()
		var found metrics.Fleet
		if err == nil {
			found, err = state.Of(orders)
		}
		if wanted(found, err) {
			return
		}
		select {
		case <-c.Changed():
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("%s: not after %s; the last reading was %+v, %v", what, patience, state, err)
		}
	}
}

// TestFleetsOfARealCluster follows a fleet through a rollout, and through an API
// server that stands still and one that is started anew.
func TestFleetsOfARealCluster(t *testing.T) {
	start, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	real, err := cluster.Start(start, cluster.Options{KEDA: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := real.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := kube.New(kube.Options{Config: real.Config()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	source := c.Fleets(func() []kube.Reference { return []kube.Reference{{Workload: orders, ScaledObject: "order-workers"}} })

	eventually(t, c, source, "nothing yet", func(_ metrics.Fleet, err error) bool {
		return err != nil && err.Error() == "ScaledObject shop/order-workers not found"
	})
	if err := real.Apply(t.Context(), []byte(manifests)); err != nil {
		t.Fatal(err)
	}
	want := metrics.HPA{ScaleDownToleranceMilli: 20, ScaleDownStabilization: 30 * time.Second}
	eventually(t, c, source, "two gated pods", func(f metrics.Fleet, err error) bool {
		return err == nil && f.SpecReplicas == 2 && f.StatusReplicas == 2 && len(f.Pods) == 2 && f.Pods[0].Gated && f.Pods[1].Gated &&
			f.Pods[0].Revision == 1 && f.MaxReplicas == 7 && f.MinReplicas == 2 && f.MaxSurge.Up(4) == 1 && f.HPA == want && len(c.HPAs()) == 1
	})
	if refused := c.Refused(); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}

	if err := real.Apply(t.Context(), []byte(strings.Replace(manifests, "image: worker", "image: worker:2", 1))); err != nil {
		t.Fatal(err)
	}
	eventually(t, c, source, "a rollout", func(f metrics.Fleet, err error) bool {
		newest := func(p metrics.Pod) bool { return p.Revision == 2 }
		return err == nil && len(f.Pods) > 2 && slices.ContainsFunc(f.Pods, newest)
	})

	server := real.Component("kube-apiserver")
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	eventually(t, c, source, "an API server that stands still", func(_ metrics.Fleet, err error) bool {
		return err != nil && strings.Contains(err.Error(), "can't be reached since")
	})
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, c, source, "an API server that goes on", func(_ metrics.Fleet, err error) bool { return err == nil })
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, c, source, "an API server that is gone", func(_ metrics.Fleet, err error) bool {
		return err != nil && strings.Contains(err.Error(), "can't be reached since")
	})
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, c, source, "an API server that is back", func(_ metrics.Fleet, err error) bool { return err == nil })
}
