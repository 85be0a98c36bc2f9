package acceptance

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/internal/otherapp"
	"github.com/keda-headroom/headroom/policy"
)

// rolloutsVariable is "all" for every rollout there is; else those that cover them are
// tried: every strategy once, and every size.
const rolloutsVariable = "HEADROOM_E2E_ROLLOUTS"

// A pod of a fleet that is rolled out opens 3 connections. Headroom, the other
// application and the test hold 3 to 5.
const (
	rolloutPerPod = 3
	rolloutOthers = 5
)

// rollout is a Deployment, and how many of its pods the budget carries.
type rollout struct {
	surge, unavailable string
	replicas, ceiling  int
}

func (r rollout) String() string {
	return fmt.Sprintf("%d of %d with surge %s and unavailable %s", min(r.replicas, r.ceiling), r.replicas, strings.Trim(r.surge, `"`), strings.Trim(r.unavailable, `"`))
}

// rollouts are all of them: every strategy that Kubernetes accepts, with replicas below
// the ceiling, at it, and far above it. One replica can't be far above.
func rollouts() (all, covering []rollout) {
	type size struct{ replicas, ceiling int }
	var sizes []size
	for _, n := range []int{1, 3, 10, 40} {
		sizes = append(sizes, size{n, n + 1}, size{n, n})
		if n > 1 {
			sizes = append(sizes, size{n, max(1, n/5)})
		}
	}
	values := []string{"0", "1", `"25%"`, `"100%"`}
	mix := 0
	for _, surge := range values {
		for _, unavailable := range values {
			if surge == "0" && unavailable == "0" {
				continue // the API server refuses it
			}
			for i, s := range sizes {
				r := rollout{surge, unavailable, s.replicas, s.ceiling}
				all = append(all, r)
				if i == mix*3%len(sizes) { // 3 and their number have no common divisor: each comes
					covering = append(covering, r)
				}
			}
			mix++
		}
	}
	// As it was first found to deadlock.
	return all, append(covering, rollout{`"25%"`, `"25%"`, 10, 6})
}

// TestRolloutsEnd changes the template of Deployments that nobody scales, at a full
// budget. In the end as many pods of the new revision are past the gate as the budget
// carries, and none of the old one; nobody was refused meanwhile.
func TestRolloutsEnd(t *testing.T) {
	t.Parallel()
	all, some := rollouts()
	if os.Getenv(rolloutsVariable) == "all" {
		some = all
	}
	for _, r := range some {
		t.Run(r.String(), func(t *testing.T) {
			t.Parallel()
			s := newRolloutSite(t, r.ceiling)
			f := &gatedFleet{fleet: s.start(&fleet{name: "orders"}), replicas: r.replicas, surge: r.surge, unavailable: r.unavailable, pool: rolloutPerPod}
			s.policy("policy", gatePolicy(unscaled("Deployment", "orders")))
			s.apply(s.gatedDeployment(f))
			pods := min(r.replicas, r.ceiling)
			s.passed("orders", pods)
			s.full("orders", r.replicas, r.ceiling)
			begin := time.Now()
			s.rollOut("orders", "second")
			s.renewed("orders", "second", pods)
			if r.replicas <= r.ceiling {
				s.rolledOut("orders")
			}
			t.Logf("rolled out in %.1f s", time.Since(begin).Seconds())
			s.nobodyRefused(r.ceiling * rolloutPerPod)
		})
	}
}

// newRolloutSite has a server that carries so many pods of 3 connections.
func newRolloutSite(t *testing.T, ceiling int) *gateSite {
	t.Helper()
	const superusers = 3
	s := &gateSite{site: newSiteOf(t, serverOf(ceiling*rolloutPerPod+rolloutOthers+gateReserve+superusers))}
	s.watch = s.site.watch()
	var err error
	if s.web, err = otherapp.Start(context.WithoutCancel(t.Context()), otherapp.Options{
		DSN: s.database.DSN("web", "postgres"), Held: 1, ShortEvery: 500 * time.Millisecond,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.web.Stop)
	return s
}

// unscaled is the part of a policy of a workload that KEDA doesn't scale.
func unscaled(kind, name string) string {
	return fmt.Sprintf(`- name: %[2]s
  scaleTargetRef: {apiVersion: apps/v1, kind: %[1]s, name: %[2]s}
  mode: Gate
  databaseRefs: [{name: database, user: worker, applicationName: %[2]s-, connectionsPerPod: %[3]d}]
`, kind, name, rolloutPerPod)
}

// full waits until Headroom sees the budget used as far as the replicas use it.
func (s *site) full(workload string, replicas, ceiling int) {
	s.t.Helper()
	s.planned(workload, "as many pods as there may be", func(p policy.WorkloadPlan) bool {
		return p.Replicas == replicas && p.Ceiling == ceiling && p.Holding == min(replicas, ceiling) && p.Ungated == 0
	})
}

// renewed waits until so many pods of a revision are past the gate, all ready, and
// nothing else.
func (s *site) renewed(fleet, revision string, pods int) {
	s.t.Helper()
	// Where none may be unavailable pods are swapped one by one, each as long as it takes
	// for the old one to leave and the new one to become ready.
	long := patience + time.Duration(pods)*30*time.Second
	if err := cluster.WaitFor(context.WithoutCancel(s.t.Context()), long, fmt.Sprintf("%d pods of revision %s past the gate, and no others", pods, revision), func(ctx context.Context) (bool, error) {
		passed, gated, err := s.pods(ctx, fleet)
		if err != nil {
			return false, err
		}
		newer := 0
		for i := range passed {
			if p := &passed[i]; p.Labels["revision"] == revision && p.DeletionTimestamp == nil && isReady(p) {
				newer++
			}
		}
		return newer == pods && len(passed) == pods, fmt.Errorf("%d of %d are, and the gate holds %s", newer, len(passed), revisions(gated))
	}); err != nil {
		s.t.Fatal(err)
	}
}

// revisions counts pods by their revision.
func revisions(pods []corev1.Pod) string {
	count := map[string]int{}
	for _, p := range pods {
		count[p.Labels["revision"]]++
	}
	return fmt.Sprintf("%d of the first and %d of the second", count[""], count["second"])
}

// rolledOut waits until Kubernetes calls a Deployment's rollout complete.
func (s *site) rolledOut(deployment string) {
	s.t.Helper()
	s.wait("the rollout of "+deployment+" to be complete", func(ctx context.Context) (bool, error) {
		d, err := s.Client().AppsV1().Deployments(s.namespace).Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		n := *d.Spec.Replicas
		return d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == n && d.Status.Replicas == n && d.Status.AvailableReplicas == n,
			fmt.Errorf("its status is %+v", d.Status)
	})
}
