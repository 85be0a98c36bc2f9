package acceptance

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/policy"
)

// TestModesChangeNothingButTheMode goes through the modes and back under load. The
// pods that run go on, as many are wanted as before, and nobody waits at the gate.
func TestModesChangeNothingButTheMode(t *testing.T) {
	t.Parallel()
	s := newGateSite(t)
	const pods = 4
	f := &gatedFleet{fleet: s.start(&fleet{name: "orders", max: 100})}
	s.policy("policy", gatePolicy(f.governed("Target")))
	s.send(f.queue, pods*10)
	s.deployGated(f)
	running := uids(s.passed("orders", pods))
	wanted := s.follow("orders")
	for _, mode := range []policy.Mode{policy.Observe, policy.Target, policy.Gate, policy.Observe, policy.Gate, policy.Target, policy.Observe} {
		s.policy("policy", gatePolicy(f.governed(string(mode))))
		s.planned("orders", string(mode), func(p policy.WorkloadPlan) bool {
			return p.Mode == mode && p.Demand.Known && p.Target == pods && p.Holding == pods
		})
		if now := uids(s.passed("orders", pods)); !slices.Equal(now, running) {
			t.Errorf("in mode %s other pods run: %v, and were %v", mode, now, running)
		}
		s.neverGated()
		// One that is new gets its place in every mode.
		s.turnOver("orders", 1, pods)
		running = uids(s.passed("orders", pods))
	}
	if all := wanted.all(); len(all) != 1 {
		t.Errorf("replicas were %v, want %d all the time", all, pods)
	}
	s.nobodyRefused(gateCapacity * perPod)
}

// waiting is a fleet with two pods more than there is room for, which the server would
// carry all the same.
func (s *gateSite) waiting() *gatedFleet {
	s.t.Helper()
	f := &gatedFleet{fleet: s.start(&fleet{name: "orders", min: gateCapacity + 2, max: gateCapacity + 2})}
	s.policy("policy", gatePolicy(f.governed("Gate")))
	s.deployGated(f)
	s.passed("orders", gateCapacity)
	s.planned("orders", "two pods that wait", func(p policy.WorkloadPlan) bool { return p.Gated == 2 && p.Holding == gateCapacity })
	return f
}

// TestObservingLetsEverybodyThrough leaves mode Gate while pods wait.
func TestObservingLetsEverybodyThrough(t *testing.T) {
	t.Parallel()
	s := newGateSite(t)
	f := s.waiting()
	s.policy("policy", gatePolicy(f.governed("Observe")))
	s.passed("orders", gateCapacity+2)
	s.neverGated()
}

// These two take Headroom away, and run one after the other before the rest.

// TestLeavingWithoutHeadroom stops, resumes and releases workloads while no Headroom
// runs.
func TestLeavingWithoutHeadroom(t *testing.T) {
	s := newGateSite(t)
	s.waiting()
	s.headroom.stop(t)
	workload := s.namespace + "/orders"
	s.command("stop", workload)
	// Who waits goes on waiting: nobody lets them through.
	s.command("release", workload)
	s.passed("orders", gateCapacity+2)
	s.neverGated()

	s.headroom.start(t)
	s.planned("orders", "stopped", func(p policy.WorkloadPlan) bool {
		return p.Reason == policy.Stopped && p.Holding == gateCapacity+2
	})
	s.command("resume", workload)
	s.planned("orders", "resumed, above its ceiling as it was released", func(p policy.WorkloadPlan) bool {
		return p.Reason == policy.ConnectionBudget && p.Ceiling == gateCapacity && p.Holding == gateCapacity+2
	})
	// Who goes is not replaced before there is room.
	passed, _, err := s.pods(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range passed[:3] {
		if err := s.Client().CoreV1().Pods(s.namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.planned("orders", "as many as fit, and two that wait", func(p policy.WorkloadPlan) bool { return p.Gated == 2 && p.Holding == gateCapacity })
	s.nobodyRefused((gateCapacity + 2) * perPod)
}

// TestUninstallingLeavesNobodyAtTheGate takes Headroom and its admission policies away
// while pods wait, in the wrong order, and lets through who is left.
func TestUninstallingLeavesNobodyAtTheGate(t *testing.T) {
	s := newGateSite(t)
	s.waiting()
	s.headroom.stop(t)
	component := filepath.Join("..", "manifests", "headroom")
	objects, err := cluster.Kustomize(component)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.ApplyKustomization(context.WithoutCancel(t.Context()), component); err != nil {
			t.Error(err)
		}
	})
	for _, o := range objects {
		if o.GroupVersionKind().Group != "admissionregistration.k8s.io" {
			continue
		}
		document, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), document); err != nil {
			t.Fatal(err)
		}
	}
	s.wait("new pods to come without the gate", func(ctx context.Context) (bool, error) {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "new", Labels: map[string]string{"keda-headroom.github.io/gate": "true"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "worker", Image: workerImage}}},
		}
		made, err := s.Client().CoreV1().Pods(s.namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && !isGated(*made), err
	})
	s.command("release", "--all", "-A")
	s.passed("orders", gateCapacity+2)
	s.turnOver("orders", 1, gateCapacity+2)
	s.neverGated()
}

// command runs headroom as an administrator would.
func (s *site) command(args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), time.Minute)
	defer cancel()
	args = append(args, "--kubeconfig", filepath.Join(s.Cluster.Dir(), "kubeconfigs", "admin.yaml"))
	out, err := exec.CommandContext(ctx, s.program, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("headroom %v: %v\n%s", args, err, out)
	}
	s.t.Logf("headroom %v:\n%s", args[:len(args)-2], out)
}
