package events

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/policies"
)

var (
	epoch    = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	orders   = metrics.ID{Namespace: "shop", Name: "order-workers"}
	ordersDB = metrics.ID{Namespace: "shop", Name: "orders-db"}
)

// told are events in words.
type told []string

func (t *told) Eventf(about, _ runtime.Object, kind, reason, _, note string, args ...any) {
	ref := about.(*corev1.ObjectReference)
	*t = append(*t, fmt.Sprintf("%s/%s %s %s: %s", ref.Kind, ref.Name, kind, reason, fmt.Sprintf(note, args...)))
}

// take returns what was told since the last time.
func (t *told) take() []string {
	out := *t
	*t = nil
	return out
}

func publisher(t *told) *Publisher {
	return New(Options{Recorder: t, Workload: func(w policy.Workload) (*corev1.ObjectReference, bool) {
		return &corev1.ObjectReference{Kind: "ScaledObject", Namespace: w.ID.Namespace, Name: w.ScaledObject}, true
	}})
}

// state is one so many seconds after the beginning, in mode Target.
func state(after int, change func(*scaler.Decision)) *scaler.State {
	at := epoch.Add(time.Duration(after) * time.Second)
	d := scaler.Decision{
		Group: policy.Group{Workloads: []policy.Workload{{ID: orders, Mode: policy.Target, ScaledObject: "orders"}}},
		Snapshot: policy.Snapshot{Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{
			orders: metrics.Known(metrics.Fleet{HPA: metrics.HPA{ScaleDownStabilization: 10 * time.Second}}, at),
		}},
		Plan: policy.Plan{
			Databases: []policy.DatabasePlan{{ID: ordersDB}},
			Workloads: []policy.WorkloadPlan{{
				ID: orders, Mode: policy.Target, Reason: policy.Demand, Target: 5, Ceiling: 8, Replicas: 5,
				Demand: policy.DemandPlan{Smoothed: 9}, Sentence: "the queue asks for 5",
				Uses: []policy.UsePlan{{Database: ordersDB, PerPod: 3, Declared: 3}},
			}},
		},
	}
	if change != nil {
		change(&d)
	}
	return &scaler.State{At: at, Decisions: []scaler.Decision{d}}
}

// wants fails where not exactly the events that begin so were told.
func wants(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestALimitThatLastsIsToldOnce(t *testing.T) {
	var events told
	p := publisher(&events)
	limited := func(r policy.Reason) func(*scaler.Decision) {
		return func(d *scaler.Decision) {
			w := &d.Plan.Workloads[0]
			w.Reason, w.Sentence, w.Target = r, "no more fits", 4
		}
	}
	p.follow(state(0, limited(policy.ConnectionBudget)))
	p.follow(state(2, nil))
	p.follow(state(4, limited(policy.ConnectionBudget)))
	wants(t, "what flickers", events.take())
	for s := 5; s < 30; s++ {
		p.follow(state(s, limited(policy.ConnectionBudget)))
	}
	wants(t, "what lasts", events.take(), "ScaledObject/orders Normal TargetLimited: workload order-workers: ConnectionBudget: target 4 of 9 wanted: no more fits")
	for s := 30; s < 60; s++ {
		p.follow(state(s, limited(policy.PolicyInvalid)))
	}
	wants(t, "another reason within the minute", events.take())
	for s := 60; s < 80; s++ {
		p.follow(state(s, limited(policy.PolicyInvalid)))
	}
	wants(t, "and after it", events.take(), "ScaledObject/orders Warning TargetLimited: workload order-workers: PolicyInvalid")
	for s := 80; s < 100; s++ {
		p.follow(state(s, nil))
	}
	wants(t, "it is over", events.take(), "ScaledObject/orders Normal TargetRecovered: workload order-workers follows its queue again: target 5")
	for s := 200; s < 300; s++ {
		p.follow(state(s, func(d *scaler.Decision) {
			limited(policy.ConnectionBudget)(d)
			d.Plan.Workloads[0].Mode = policy.Observe
		}))
	}
	wants(t, "who is only observed is not limited", events.take())
}

func TestAnObjectiveThatCannotBeKept(t *testing.T) {
	var events told
	p := publisher(&events)
	misses := func(d *scaler.Decision) {
		w := &d.Plan.Workloads[0]
		w.Steps = append(w.Steps, policy.Step{Reason: policy.ObjectiveUnreachable, Before: 5, After: 5, Sentence: "messages will be older than 2m, with 15 connections"})
	}
	const wanted = "ScaledObject/orders Warning ObjectiveUnreachable: workload order-workers: messages will be older than 2m, with 15 connections"
	p.follow(state(0, misses))
	wants(t, "it is known", events.take(), wanted)
	for s := 1; s < 90; s++ {
		p.follow(state(s, misses))
	}
	wants(t, "it is known still", events.take())
	p.follow(state(90, nil))
	p.follow(state(91, misses))
	wants(t, "it is so again", events.take(), wanted)
	p.follow(state(92, nil))
	p.follow(state(93, misses))
	wants(t, "and again within the minute", events.take())
}

func TestReplicasAboveTheCeiling(t *testing.T) {
	var events told
	p := publisher(&events)
	above := func(d *scaler.Decision) { d.Plan.Workloads[0].Replicas = 12 }
	for s := range 54 { // 45 s and the HPA's own stabilization
		p.follow(state(s, above))
	}
	wants(t, "while the HPA may still follow", events.take())
	for s := range 20 {
		p.follow(state(54+s, above))
	}
	wants(t, "and longer", events.take(), "ScaledObject/orders Warning CapBypassed: workload order-workers: spec.replicas has been 12 or so for 55s, above the ceiling of 8")
}

func TestPodsThatHoldMoreThanDeclared(t *testing.T) {
	var events told
	p := publisher(&events)
	holds := func(n int) func(*scaler.Decision) {
		return func(d *scaler.Decision) {
			d.Plan.Workloads[0].Mode = policy.Observe
			d.Plan.Workloads[0].Uses[0].ObservedMax = n
		}
	}
	for s := range 120 {
		p.follow(state(s, holds(4)))
	}
	wants(t, "more than declared", events.take(), "ScaledObject/orders Warning ConnectionsUnderdeclared: workload order-workers: a pod was seen to hold 4 connections on database shop/orders-db, and connectionsPerPod declares 3")
	for s := range 20 {
		p.follow(state(120+s, holds(5)))
	}
	wants(t, "still more", events.take(), "ScaledObject/orders Warning ConnectionsUnderdeclared: workload order-workers: a pod was seen to hold 5")
}

func TestPoliciesAndTheirDatabases(t *testing.T) {
	var events told
	p := publisher(&events)
	verdict := func(name string, s policies.State, content string, problems ...policy.Problem) policies.Verdict {
		return policies.Verdict{
			Input: policies.Input{UID: "uid-of-" + name, Content: []byte(content), Source: policy.Source{
				Namespace: "shop", Name: name, Where: "ConfigMap shop/" + name + " policy.yaml",
			}},
			State: s, LastGood: s == policies.Rejected, Problems: problems,
		}
	}
	wrong := policy.Problem{Severity: policy.SeverityError, Where: "ConfigMap shop/b policy.yaml", Line: 3, Field: "workloads", Rule: "expected a list"}
	p.Policies(policies.Result{
		Verdicts: []policies.Verdict{verdict("a", policies.Accepted, "1"), verdict("b", policies.Rejected, "1", wrong), verdict("c", policies.Conflict, "1")},
		Kept:     []policies.Describing{{Kept: policies.Kept{Source: policy.Source{Where: "ConfigMap shop/a policy.yaml"}}, Databases: []metrics.ID{ordersDB}}},
	})
	wants(t, "at the start", events.take(),
		"ConfigMap/b Warning PolicyRejected: policy.yaml: not in force, the last good version stays; 3: workloads: expected a list",
		"ConfigMap/c Warning PolicyConflict: policy.yaml: not in force")
	again := policies.Result{
		Verdicts: []policies.Verdict{verdict("a", policies.Accepted, "2"), verdict("b", policies.Accepted, "2"), verdict("c", policies.Conflict, "1")},
		Kept:     []policies.Describing{{Kept: policies.Kept{Source: policy.Source{Where: "ConfigMap shop/a policy.yaml"}}, Databases: []metrics.ID{ordersDB}}},
	}
	p.Policies(again)
	wants(t, "edited", events.take(), "ConfigMap/a Normal PolicyAccepted: policy.yaml: in force", "ConfigMap/b Normal PolicyAccepted")
	p.Policies(again)
	wants(t, "nothing new", events.take())

	for s := range 20 {
		p.follow(state(s, func(d *scaler.Decision) { d.Plan.Databases[0].Unknown = "nobody answers" }))
	}
	wants(t, "a database is away", events.take(), "ConfigMap/a Warning DatabaseUnreachable: database shop/orders-db: nobody answers")
}

func TestNotesAreCut(t *testing.T) {
	if got := cut(strings.Repeat("ä", 600)); len(got) > maxNote || !strings.HasSuffix(got, "ä…") {
		t.Errorf("found %d bytes that end in %q", len(got), got[len(got)-6:])
	}
}

func TestEventsReachTheServer(t *testing.T) {
	client := fake.NewClientset()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	recorder, err := Record(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	New(Options{Recorder: recorder}).Remark(&corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "a", UID: "1"}, PolicyConflict, "100% of it")
	deadline := time.After(time.Minute)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		list, err := client.EventsV1().Events("shop").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) == 1 {
			if e := list.Items[0]; e.Regarding.UID != "1" || e.Reason != PolicyConflict || e.Note != "100% of it" || e.ReportingController != controller {
				t.Errorf("found %+v", e)
			}
			return
		}
		select {
		case <-deadline:
			t.Fatalf("no event within a minute, found %+v", list.Items)
		case <-again.C:
		}
	}
}
