package acceptance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/policy"
)

// What KEDA's own end-to-end tests check of an external scaler, with Headroom as the
// scaler and a queue in the place of the value that they set: 10 messages a pod is
// their metricThreshold of 10.

// TestAsKEDATestsAnExternalScaler is tests/scalers/external_scaler_so of KEDA.
func TestAsKEDATestsAnExternalScaler(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.start(&fleet{name: "workers", trigger: "external", min: 1, max: 2, spec: "idleReplicaCount: 0"})
	s.policy("policy", database(othersWindow, f.governed("Target")))
	s.deploy(f)
	s.idle(f)

	s.send(f.queue, 10) // the threshold
	s.runs("workers", 1)
	s.send(f.queue, 10) // twice
	s.runs("workers", 2)
	s.purge(f.queue)
	s.runs("workers", 0)
}

// idle waits until KEDA has found that the fleet has nothing to do, and left it at
// its idleReplicaCount, below its minReplicaCount.
func (s *site) idle(f *fleet) {
	s.t.Helper()
	seen := s.follow(f.name)
	s.planned(f.name, "nothing to do", func(p policy.WorkloadPlan) bool { return p.Demand.Known && p.Demand.Backlog == 0 && !p.Active })
	s.condition(f.name, "Active", "False")
	if most := seen.most(); most > 0 {
		s.t.Errorf("replicas of %s were %v without a message", f.name, seen.all())
	}
}

// TestAsKEDATestsAnExternalPushScaler is tests/scalers/external_push_scaler of KEDA.
func TestAsKEDATestsAnExternalPushScaler(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.start(&fleet{name: "workers", trigger: "external-push", min: 1, max: 3, spec: "idleReplicaCount: 0"})
	s.policy("policy", database(othersWindow, f.governed("Target")))
	s.deploy(f)
	s.idle(f)

	s.send(f.queue, 10)
	s.runs("workers", 1)
	s.send(f.queue, 10)
	s.runs("workers", 2)
	// A value that is no multiple of the threshold, as their 22.222 of 6.111 to three.
	s.send(f.queue, 3)
	s.runs("workers", 3)
	s.purge(f.queue)
	s.runs("workers", 0)
}

// TestAsKEDATestsAnExternalScalerOfJobs is tests/scalers/external_scaler_sj of KEDA.
func TestAsKEDATestsAnExternalScalerOfJobs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// Each Job takes its messages with it, where theirs sleep.
	f := s.start(&fleet{name: "jobs", trigger: "external", max: 3, works: true, work: 3 * time.Second})
	s.policy("policy", database(othersWindow, f.governed("Target", "scaledJobRef: {name: jobs}")))
	jobs := s.followJobs()
	s.apply(s.scaledJob(f, "strategy: default", 10))
	s.planned("jobs", "nothing to do", func(p policy.WorkloadPlan) bool { return p.Demand.Known && p.Demand.Backlog == 0 })

	s.send(f.queue, 30)
	s.wait("3 Jobs", func(context.Context) (bool, error) {
		return jobs.most() >= 3, fmt.Errorf("there were %v", jobs.all())
	})
	s.wait("no Jobs", func(context.Context) (bool, error) {
		return jobs.now() == 0, fmt.Errorf("there were %v", jobs.all())
	})
	if most := jobs.most(); most > 3 {
		t.Errorf("Jobs were %v, with a maxReplicaCount of 3", jobs.all())
	}
}
