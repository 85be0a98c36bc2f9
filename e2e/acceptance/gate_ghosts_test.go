package acceptance

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/node"
	"github.com/keda-headroom/headroom/policy"
)

// TestForcedDeletionReleasesNothing deletes pods by force in mid-query. Their processes
// are killed within a second, and the server goes on with what they asked for: what
// replaces them waits until that is over.
func TestForcedDeletionReleasesNothing(t *testing.T) {
	t.Parallel()
	s := newGateSite(t)
	f := &gatedFleet{fleet: s.start(&fleet{name: "orders", min: 20, max: 100, works: true, work: 20 * time.Second})}
	s.policy("policy", gatePolicy(f.governed("Gate")))
	s.deployGated(f)
	before := s.passed("orders", gateCapacity)
	s.planned("orders", "a full budget", full)
	s.send(f.queue, 200)
	s.wait("every connection to be at work", func(context.Context) (bool, error) {
		return s.truth("orders").InFlight == gateCapacity*perPod, fmt.Errorf("%d are", s.truth("orders").InFlight)
	})

	const victims = 3
	now := int64(0)
	for _, p := range before[:victims] {
		if err := s.Client().CoreV1().Pods(s.namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
			t.Fatal(err)
		}
	}
	s.ghosts(victims * perPod)
	s.passed("orders", gateCapacity)
	s.nobodyRefused(gateCapacity * perPod)
}

// full is a plan with as many pods as there may be, and others that wait.
func full(p policy.WorkloadPlan) bool { return p.Holding == gateCapacity && p.Gated > 0 }

// ghosts waits until Headroom sees connections that belong to no living pod, and holds
// back for them, or for what their pods were granted.
func (s *site) ghosts(connections int) {
	s.t.Helper()
	s.wait(fmt.Sprintf("%d connections without pods", connections), func(ctx context.Context) (bool, error) {
		d, err := s.databasePlan(ctx, "database")
		if err != nil || len(d.Constraints) == 0 {
			return false, err
		}
		c := d.Constraints[0]
		return c.Ghosts+c.Departed >= connections, fmt.Errorf("%d are ghosts, and %d of those who went", c.Ghosts, c.Departed)
	})
}

// TestALostNodeKeepsItsConnections loses a node with its pods: they are replaced on
// another one, but not before the server has let go of their connections.
func TestALostNodeKeepsItsConnections(t *testing.T) {
	t.Parallel()
	s := newGateSite(t)
	first := s.ownNode("first")
	f := &gatedFleet{
		fleet: s.start(&fleet{name: "orders", min: 20, max: 100}),
		more:  fmt.Sprintf("nodeSelector: {%[1]s: %[2]s}\n      tolerations: [{key: %[1]s, operator: Exists}]", siteLabel, s.namespace),
	}
	s.policy("policy", gatePolicy(f.governed("Gate")))
	s.deployGated(f)
	s.passed("orders", gateCapacity)
	s.planned("orders", "a full budget", full)
	s.ownNode("second")

	// Longer than Kubernetes takes to find that the pods are gone: PodGC looks every 20 s,
	// and at a node that is missing again 40 s later, 80 s in all.
	const linger = 2 * time.Minute
	lost := time.Now()
	if err := first.Lose(t.Context(), node.Loss{DeleteNode: true, Freeze: true, Linger: linger}); err != nil {
		t.Fatal(err)
	}
	s.ghosts(gateCapacity * perPod)
	s.passed("orders", gateCapacity)
	if early := time.Since(lost); early < linger {
		t.Errorf("%d pods run again after %s, while the connections of those before were open", gateCapacity, early)
	}
	s.turnOver("orders", 2, gateCapacity)
	s.nobodyRefused(gateCapacity * perPod)
}

// siteLabel is on nodes that take the pods of one site, and keeps others off.
const siteLabel = "e2e.keda-headroom.github.io/site"

// ownNode starts a node for the site's pods.
func (s *site) ownNode(name string) *node.Node {
	s.t.Helper()
	addresses, err := s.addresses()
	if err != nil {
		s.t.Fatal(err)
	}
	name = s.namespace + "-" + name
	n, err := node.Start(context.WithoutCancel(s.t.Context()), node.Options{
		Config: s.Config(), Name: name, Addresses: addresses, Dir: filepath.Join(s.dir, name), Backoff: time.Second,
		Labels:   map[string]string{siteLabel: s.namespace},
		Taints:   []corev1.Taint{{Key: siteLabel, Value: s.namespace, Effect: corev1.TaintEffectNoSchedule}},
		Programs: map[string]node.Program{workerImage: s.workerProgram()},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := n.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return n
}
