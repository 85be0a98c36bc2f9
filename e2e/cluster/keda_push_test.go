package cluster_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

// TestATriggerThatPushesForAScaledJobEndsKEDA holds that what `headroom lint` says of
// such triggers (JobPush) is so: KEDA 2.21 starts them a second time where it looks at
// an unchanged ScaledJob again while it creates Jobs, and panics. When this fails KEDA
// is mended, and the rule can go.
func TestATriggerThatPushesForAScaledJobEndsKEDA(t *testing.T) {
	c := ownCluster(t, cluster.Options{KEDA: true, HPASyncPeriod: time.Second})
	scaler := startScaler(t)
	scaler.wanted.Store(500) // which takes a while to create
	job := func(annotation string) string {
		return namespace("pushed") + fmt.Sprintf(`---
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {namespace: pushed, name: reports, annotations: {%s}}
spec:
  pollingInterval: 1
  maxReplicaCount: 500
  triggers:
  - type: external-push
    metadata: {scalerAddress: %q}
  jobTargetRef:
    template:
      spec:
        restartPolicy: Never
        containers: [{name: report, image: registry.example.com/report}]
`, annotation, scaler.address)
	}
	log := c.Component("keda-operator").Log()
	paused := ""
	wait(t, "KEDA's operator to panic", func(ctx context.Context) (bool, error) {
		asked := scaler.asked.Load()
		if err := c.Apply(ctx, []byte(job(paused))); err != nil {
			return false, err
		}
		wait(t, "KEDA to ask", func(context.Context) (bool, error) { return scaler.asked.Load() > asked, nil })
		paused = map[string]string{"": `autoscaling.keda.sh/paused: "false"`}[paused]
		said, err := os.ReadFile(log)
		return strings.Contains(string(said), "panic: close of closed channel"), err
	})
}
