package acceptance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/internal/process"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/leader"
)

// How often the leader is killed and paused, where the environment says nothing: make
// e2e-kills KILLS=50 PAUSES=50 takes its time.
const (
	killsVariable, pausesVariable = "HEADROOM_E2E_KILLS", "HEADROOM_E2E_PAUSES"
	fewTimes                      = 2
)

// A lease that runs out soon, so that not much time is spent on waiting for it.
const shortLease = 3 * time.Second

var shortLeaseArgs = []string{"--leader-elect-lease-duration=3s", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=500ms"}

// TestTwoMindsNeverPromiseTheSame kills the leader, and pauses it for twice the lease
// and lets it go on, at random moments of a burst in which a pod is let through twice a
// second. By PostgreSQL's own count workers never hold more than the budget, nobody is
// refused, and the burst drains.
func TestTwoMindsNeverPromiseTheSame(t *testing.T) {
	kills, pauses := times(t, killsVariable), times(t, pausesVariable)
	s := newGateSite(t)
	s.headroom.withArgs(t, shortLeaseArgs...)
	f := &gatedFleet{fleet: s.start(&fleet{name: "orders", works: true, work: 300 * time.Millisecond, min: 40, max: 100})}
	s.policy("policy", gatePolicy(f.governed("Gate")))
	s.send(f.queue, 1000)
	s.deployGated(f)
	s.passed("orders", gateCapacity)
	const budget = gateCapacity * perPod

	seed := rand.Uint64()
	t.Logf("seed %d: %d kills and %d pauses", seed, kills, pauses)
	random := rand.New(rand.NewPCG(seed, 0))
	admitted, end := s.churn("orders", random.Int64())
	defer end()
	// In any order, and as many of each as were asked for.
	order := random.Perm(kills + pauses)
	for i, which := range order {
		if s.truth("orders").Visible < 500 {
			s.send(f.queue, 1000)
		}
		// The leader is at work, and somewhere between two admissions.
		before := admitted()
		s.wait("the leader to let pods through", func(context.Context) (bool, error) { return admitted() >= before+3, nil })
		s.awaitMoment(time.Duration(random.Int64N(int64(time.Second))))
		if which < kills {
			s.strike("kill", 0, (*process.Process).Kill)
		} else {
			s.strike("pause", 2*shortLease, func(p *process.Process) {
				s.awaitAdmission("orders")
				if err := p.Pause(); err != nil {
					t.Error(err)
				}
			})
		}
		if most := s.watch.most().workers; most > budget {
			t.Fatalf("after %d kills and pauses workers held %d connections at once, and the budget is %d", i+1, most, budget)
		}
	}
	end()
	t.Logf("%d pods were let through", admitted())

	s.wait("the burst to be drained", func(context.Context) (bool, error) {
		left := s.truth("orders")
		return left.Visible+left.InFlight == 0, fmt.Errorf("%d messages are left", left.Visible+left.InFlight)
	})
	s.passed("orders", gateCapacity)
	s.planned("orders", "all of the budget in use, and nothing unanswered", func(p policy.WorkloadPlan) bool {
		return p.Holding == gateCapacity && len(p.Stamps) == 0 && len(p.Admissions) == 0
	})
	s.nobodyRefused(budget)
}

// awaitAdmission returns as soon as the leader says that it has decided to let a pod
// through: that is on its way, then, or about to be.
func (s *site) awaitAdmission(workload string) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for late := time.Now().Add(patience); time.Now().Before(late); <-ticker.C {
		if p, err := s.plan(context.Background(), workload); err == nil && len(p.Admissions) > 0 {
			return
		}
	}
	s.t.Errorf("nobody was let through for %s", patience)
}

// times is a number in the environment.
func times(t *testing.T, variable string) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return fewTimes
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s: expected a number from 0 on, found %q", variable, text)
	}
	return n
}

// awaitMoment lets time pass.
func (s *site) awaitMoment(d time.Duration) {
	s.t.Helper()
	from := time.Now()
	s.wait(d.String()+" to pass", func(context.Context) (bool, error) { return time.Since(from) >= d, nil })
}

// churn deletes a pod of a fleet that is past the gate twice a second, any of them, as
// long as others wait, until it is ended. admitted is how many it has seen there.
func (s *site) churn(fleet string, seed int64) (admitted func() int, end func()) {
	var mu sync.Mutex
	seen := map[types.UID]bool{}
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	end = sync.OnceFunc(during(func(ctx context.Context) {
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			passed, gated, err := s.pods(ctx, fleet)
			if err != nil || len(passed) == 0 || len(gated) == 0 {
				continue
			}
			mu.Lock()
			for _, p := range passed {
				seen[p.UID] = true
			}
			mu.Unlock()
			// One that is on its way out already is left alone.
			_ = s.Client().CoreV1().Pods(s.namespace).Delete(ctx, passed[random.IntN(len(passed))].Name, metav1.DeleteOptions{})
		}
	}))
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}, end
}

// strike does something to the process that leads, waits until another one leads,
// and, where it was paused, lets it go on when it has been so for a while. It returns
// when both replicas are well again.
func (s *site) strike(what string, paused time.Duration, do func(*process.Process)) {
	s.t.Helper()
	before := s.holder()
	var victim *corev1.Pod
	var running *process.Process
	s.wait("a leader to "+what, func(ctx context.Context) (bool, error) {
		var err error
		if victim, err = s.headroom.pod(ctx); err != nil {
			return false, err
		}
		running = s.node.Process(victim.Namespace, victim.Name)
		return running != nil, fmt.Errorf("%s has no process", victim.Name)
	})
	from := time.Now()
	do(running)
	s.wait("another leader than "+before, func(context.Context) (bool, error) {
		now := s.holder()
		return now != "" && now != before && time.Since(from) >= paused, fmt.Errorf("%q holds the lease", now)
	})
	if paused > 0 {
		if err := running.Resume(); err != nil {
			s.t.Error(err)
		}
		s.wait("it to see that, and to end", func(context.Context) (bool, error) { return running.HasEnded(), nil })
	}
	led := time.Since(from)
	s.headroom.recover(s.t)
	s.t.Logf("%s of %s: another one led after %.1f s, both were well after %.1f s", what, victim.Name, led.Seconds(), time.Since(from).Seconds())
}

// holder is who holds the lease, "" where nobody says so.
func (s *site) holder() string {
	lease, err := s.Client().CoordinationV1().Leases(headroomNamespace).Get(context.Background(), leader.DefaultLeaseName, metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// recover waits until all replicas are ready and one leads. One that has restarted
// so often that it waits for the next time is replaced.
func (h *installation) recover(t *testing.T) {
	t.Helper()
	pods := h.world.Client().CoreV1().Pods(headroomNamespace)
	eventually(t, "all replicas of Headroom to be well", func(ctx context.Context) (bool, error) {
		list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=headroom"})
		if err != nil {
			return false, err
		}
		ready := 0
		for i := range list.Items {
			p := &list.Items[i]
			switch {
			case p.DeletionTimestamp != nil:
			case isReady(p):
				ready++
			case len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].RestartCount > 1:
				if err := pods.Delete(ctx, p.Name, metav1.DeleteOptions{}); err != nil {
					return false, err
				}
			}
		}
		_, err = h.pod(ctx)
		return ready == int(h.replicas) && err == nil, errors.Join(err, fmt.Errorf("%d of %d are ready", ready, h.replicas))
	})
}

// withArgs rolls Headroom out with more arguments, until the test ends.
func (h *installation) withArgs(t *testing.T, args ...string) {
	t.Helper()
	deployments := h.world.Client().AppsV1().Deployments(headroomNamespace)
	ctx := context.WithoutCancel(t.Context())
	d, err := deployments.Get(ctx, "headroom", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := d.Spec.Template.Spec.Containers[0].Args
	roll := func(args []string) {
		quoted := ""
		for i, a := range args {
			if i > 0 {
				quoted += ","
			}
			quoted += strconv.Quote(a)
		}
		patch := fmt.Appendf(nil, `[{"op":"replace","path":"/spec/template/spec/containers/0/args","value":[%s]}]`, quoted)
		if _, err := deployments.Patch(ctx, "headroom", types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := h.awaitReady(ctx); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { roll(before) })
	roll(append(append([]string(nil), before...), args...))
}
