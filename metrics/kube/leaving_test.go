package kube

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/fleet"
)

func TestWhoLeavesIsFollowedUntilNothingIsGated(t *testing.T) {
	server := newAPIServer(t)
	server.ordersFleet() // its pod c is gated
	c := server.start(Options{})
	ref, others := Reference{Workload: orders, ScaledObject: "order-workers"}, []Reference(nil)
	references := []Reference{ref}
	source := c.Fleets(func() []Reference { return references })
	leaves := func(what string, want Reference, more bool) {
		t.Helper()
		eventually(t, c, source, what, func(_ fleet.State, err error) bool {
			got, left := c.Leaves(t.Context(), ref, others)
			return err == nil && left == more && cmp.Equal(got, want)
		})
	}
	if _, more := c.Leaves(t.Context(), ref, nil); !more {
		t.Error("before anything was read it is known that nothing is gated")
	}
	eventually(t, c, source, "the first reading", known(orders))
	named := Reference{Workload: orders, ScaledObject: "order-workers", Leaving: true}
	leaves("a gated pod", named, true)

	// The ScaledObject goes: what it scaled is still known.
	server.remove(scaledObjects, "shop/order-workers")
	target := Reference{Workload: orders, Target: &Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"}, Leaving: true}
	leaves("without its ScaledObject", target, true)
	ref, references = target, []Reference{target}
	leaves("by its target", target, true)
	state := eventually(t, c, source, "its pods by its target", known(orders))
	if !podsAre(state.Fleets[orders], "a", "b", "c") {
		t.Errorf("found %v", names(state.Fleets[orders]))
	}

	// Somebody else governs the same pods by now: they are not let go.
	other := metrics.ID{Namespace: "shop", Name: "others"}
	others = []Reference{{Workload: other, PodSelector: map[string]string{"app": "orders"}}}
	leaves("a pod that is another's", target, false)
	references = []Reference{target, others[0]}
	eventually(t, c, source, "no pods of its own", func(s fleet.State, err error) bool {
		// "stranger" and "naked" have the label too.
		return err == nil && podsAre(s.Fleets[orders]) && len(s.Fleets[other].Pods) == 5 && s.Fleets[other].SpecReplicas == 5
	})
	references, others = []Reference{target}, nil

	// Let through.
	server.set(pods, podOfSet("c", "rs-new", noonPast, "10.0.0.3"))
	leaves("let through", target, false)

	// Its template makes gated pods, none of which is there now.
	deployment := func(labels, gates string) string {
		return fmt.Sprintf(`{"metadata": {"namespace": "shop", "name": "orders", "uid": "deploy-1"}, "spec": {"replicas": 3, "template": {"metadata": {"labels": {%s}}, "spec": {"schedulingGates": [%s]}}}}`, labels, gates)
	}
	server.set(deployments, deployment(`"keda-headroom.github.io/gate": "true"`, ""))
	leaves("a template with the label", target, true)
	others = []Reference{{Workload: other, Target: target.Target}}
	leaves("a template of another's", target, false)
	others = nil
	server.set(deployments, deployment(`"keda-headroom.github.io/gate": "false"`, `{"name": "keda-headroom.github.io/connections"}`))
	leaves("a template with the gate", target, true)
	server.set(deployments, deployment("", `{"name": "example.com/quota"}`))
	leaves("a template without", target, false)
	server.set(deployments, deployment(`"keda-headroom.github.io/gate": "true"`, ""))
	leaves("a template with the label again", target, true)
	server.remove(deployments, "shop/orders")
	leaves("nothing is left", target, false)

	// What nobody ever read leads nowhere.
	ref = Reference{Workload: orders, ScaledObject: "nobody"}
	leaves("an unknown ScaledObject", Reference{Workload: orders, ScaledObject: "nobody", Leaving: true}, false)
}
