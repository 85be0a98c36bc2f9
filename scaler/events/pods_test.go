package events

import (
	"fmt"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/gate"
)

// gated is a state in which so many pods have waited since the beginning.
func gated(after, n int) *scaler.State {
	return state(after, func(d *scaler.Decision) {
		w := &d.Plan.Workloads[0]
		w.Mode, w.Gated, w.Sentence = policy.Gate, n, "10 of 10 are granted"
		var pods []metrics.Pod
		for i := range n {
			pods = append(pods, metrics.Pod{UID: fmt.Sprint(i), Gated: true, CreatedAt: epoch.Add(time.Duration(i) * time.Second)})
		}
		d.Snapshot.Fleets[orders] = metrics.Known(metrics.Fleet{Pods: pods}, d.Plan.At)
	})
}

func outcome(k gate.Kind, name string, r gate.Result, after int) gate.Outcome {
	return gate.Outcome{
		Action: gate.Action{Kind: k, Workload: orders, Name: name, UID: name, Sentence: "it fits"}, Result: r,
		At: epoch.Add(time.Duration(after) * time.Second),
	}
}

func evicted(name string, reason policy.EvictionReason, r gate.Result, after int) gate.Outcome {
	o := outcome(gate.Evict, name, r, after)
	o.Reason, o.Sentence = reason, "8 are too many"
	return o
}

func TestPodsThatWait(t *testing.T) {
	var events told
	p := publisher(&events)
	p.follow(gated(0, 3))
	p.follow(gated(3, 0))
	p.follow(gated(4, 3))
	wants(t, "for a moment", events.take())
	for s := 5; s < 30; s++ {
		p.follow(gated(s, 3))
	}
	wants(t, "for longer", events.take(), "ScaledObject/orders Normal WaitingForConnections: workload order-workers: 3 pods wait at the gate, for 9s at most: 10 of 10 are granted")
	for s := 30; s < 130; s++ {
		p.follow(gated(s, 1))
	}
	wants(t, "once a minute", events.take(),
		"ScaledObject/orders Normal WaitingForConnections: workload order-workers: 1 pod waits at the gate, for 1m9s at most",
		"ScaledObject/orders Normal WaitingForConnections: workload order-workers: 1 pod waits at the gate, for 2m9s at most")
}

func TestPodsThatPass(t *testing.T) {
	var events told
	p := publisher(&events)
	for s := range 70 {
		if s < 10 {
			p.Outcome(outcome(gate.Admit, fmt.Sprintf("pod-%d", s), gate.Done, s))
			p.Outcome(outcome(gate.Admit, "another", gate.Stale, s))
			p.Outcome(outcome(gate.Stamp, "another", gate.Done, s))
		}
		p.follow(gated(s, 0))
	}
	wants(t, "together, once a minute", events.take(),
		"ScaledObject/orders Normal ConnectionsReserved: workload order-workers: 6 pods passed the gate (pod-0, pod-1, pod-2 and 3 more): it fits",
		"ScaledObject/orders Normal ConnectionsReserved: workload order-workers: 4 pods passed the gate (pod-6, pod-7, pod-8 and 1 more): it fits")
}

func TestPodsThatAreTakenAway(t *testing.T) {
	var events told
	p := publisher(&events)
	p.Outcome(evicted("a", policy.Shed, gate.Done, 0))
	past := evicted("b", policy.Shed, gate.Done, 0)
	past.Deleted = true
	p.Outcome(past)
	p.Outcome(evicted("c", policy.Swap, gate.Done, 0))
	p.Outcome(evicted("d", policy.ReadyTimeout, gate.Done, 0))
	p.Outcome(evicted("e", policy.Shed, gate.Stale, 0))
	p.follow(gated(0, 0))
	wants(t, "on the pod, at once", events.take(),
		"Pod/a Warning EvictedToFreeConnections: evicted: 8 are too many",
		"Pod/b Warning EvictedToFreeConnections: deleted, because a PodDisruptionBudget refused its eviction and the policy ignores them: 8 are too many",
		"Pod/c Warning EvictedToFreeConnections: evicted: 8 are too many",
		"Pod/d Warning PodsReadyTimeout: evicted: 8 are too many")
	p.follow(gated(5, 0))
	wants(t, "on the workload, together", events.take(),
		"ScaledObject/orders Warning EvictedToFreeConnections: workload order-workers: 2 pods evicted to free connections (a, b): 8 are too many",
		"ScaledObject/orders Normal RolloutWaitingForConnections: workload order-workers: 1 pod of an older revision evicted, because a rollout waits for their connections (c): 8 are too many",
		"ScaledObject/orders Warning PodsReadyTimeout: workload order-workers: 1 pod evicted that did not become ready while others wait for their connections (d): 8 are too many")

	for s := range 12 {
		blocked := evicted("a", policy.Shed, gate.Blocked, 100+s)
		blocked.Said = "the budget orders keeps it"
		p.Outcome(blocked)
		p.follow(gated(100+s, 0))
	}
	wants(t, "and those that stay", events.take(),
		"Pod/a Warning EvictionBlocked: not evicted: the budget orders keeps it; it was to go because 8 are too many",
		"ScaledObject/orders Warning EvictionBlocked: workload order-workers: 1 pod to be evicted and kept (a): the budget orders keeps it",
		"Pod/a Warning EvictionBlocked")
}

func TestOutcomesDoNotPileUp(t *testing.T) {
	var events told
	p := publisher(&events)
	for range maxOutcomes + 10 {
		p.Outcome(outcome(gate.Admit, "a", gate.Done, 0))
	}
	if n := len(p.outcomes); n != maxOutcomes {
		t.Errorf("%d outcomes wait", n)
	}
	p.follow(gated(0, 0))
	if n := len(p.outcomes); n != 0 {
		t.Errorf("%d outcomes wait", n)
	}
}
