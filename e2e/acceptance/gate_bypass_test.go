package acceptance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
)

// far is ten times what the database carries: where somebody who goes past the
// target sets the replicas.
const far = 10 * gateCapacity

// bypass is a way past the target.
type bypass struct {
	name string
	// fleet is changed before it is deployed, take takes the way at a full budget.
	fleet func(*gatedFleet)
	take  func(*gateSite)
	// stays says that the replicas stay far above the ceiling, so that pods wait.
	stays bool
}

// alwaysSixty is a second trigger that asks for 60 replicas, whatever there is to do.
func alwaysSixty() string {
	now := time.Now().UTC()
	at := func(t time.Time) string { return fmt.Sprintf("%d %d * * *", t.Minute(), t.Hour()) }
	return fmt.Sprintf(`
  - type: cron
    metadata: {timezone: UTC, start: %q, end: %q, desiredReplicas: "60"}
`, at(now.Add(-time.Hour)), at(now.Add(12*time.Hour)))
}

// neverAnswers is a second trigger that fails, so that the fallback of the
// ScaledObject applies to it.
const neverAnswers = `
  - type: metrics-api
    metadata: {url: "http://127.0.0.1:1/", valueLocation: value, targetValue: "1"}
`

var bypasses = []bypass{
	{
		name: "kubectl scale",
		take: func(s *gateSite) {
			// The autoscaler takes it back with its next sync, each time. A moment is
			// enough for pods to be there that nobody has reckoned with.
			for range 5 {
				s.scale("orders", far)
				s.wait("the autoscaler to take it back", func(ctx context.Context) (bool, error) {
					p, err := s.plan(ctx, "orders")
					return err == nil && p.Replicas == gateCapacity, err
				})
			}
		},
	},
	{
		name:  "a second trigger",
		fleet: func(f *gatedFleet) { f.auth = alwaysSixty() },
		stays: true,
	},
	{
		name:  "maxSurge 100 %",
		fleet: func(f *gatedFleet) { f.surge, f.unavailable = `"100%"`, "0" },
		take: func(s *gateSite) {
			before := uids(s.passed("orders", gateCapacity))
			s.rollOut("orders", "second")
			s.wait("all pods past the gate to be of the new revision", func(ctx context.Context) (bool, error) {
				passed, gated, err := s.pods(ctx, "orders")
				if err != nil {
					return false, err
				}
				newer := 0
				for _, p := range passed {
					if p.Labels["revision"] == "second" && isReady(&p) {
						newer++
					}
				}
				return newer == gateCapacity && len(passed) == newer, fmt.Errorf("%d of %d are, %d wait, %d were there before", newer, len(passed), len(gated), len(before))
			})
		},
	},
	{
		name:  "a fallback of 60",
		fleet: func(f *gatedFleet) { f.auth, f.spec = neverAnswers, "fallback: {failureThreshold: 1, replicas: 60}" },
		take:  func(s *gateSite) { s.condition("orders", "Fallback", "True") },
		stays: true,
	},
	{
		name:  "paused at 60",
		take:  func(s *gateSite) { s.annotate("orders", kedaapi.PausedReplicas, "60") },
		stays: true,
	},
	{
		name:  "a minimum of 60",
		fleet: func(f *gatedFleet) { f.min = 60 },
		stays: true,
	},
}

// TestNothingGoesPastTheGate takes every way past a target that there is, at a full
// budget, and replaces pods meanwhile. Nobody is refused a connection, neither the
// workers nor the other application.
func TestNothingGoesPastTheGate(t *testing.T) {
	t.Parallel()
	for _, b := range bypasses {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			s := newGateSite(t)
			f := &gatedFleet{fleet: s.start(&fleet{name: "orders", max: 100})}
			if b.fleet != nil {
				b.fleet(f)
			}
			s.policy("policy", gatePolicy(f.governed("Gate")))
			s.deployGated(f)
			s.send(f.queue, 300)
			s.passed("orders", gateCapacity)
			if b.take != nil {
				b.take(s)
			}
			if b.stays {
				s.planned("orders", "replicas far above the ceiling, that wait", func(p policy.WorkloadPlan) bool {
					return p.Replicas >= 60 && p.Ceiling == gateCapacity && p.Gated >= 60-gateCapacity && p.Holding == gateCapacity && p.Ungated == 0
				})
				s.told("ScaledObject/orders", "WaitingForConnections")
			}
			s.turnOver("orders", 3, gateCapacity)
			s.nobodyRefused(gateCapacity * perPod)
		})
	}
}
