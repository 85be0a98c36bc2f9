package inventory_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/fakeapi"
	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

func id(name string) metrics.ID { return metrics.ID{Namespace: "shop", Name: name} }

// More objects than one answer holds are all read, each once.
func TestPages(t *testing.T) {
	api := fakeapi.Start(t)
	const many = 1203
	for i := range many {
		api.Add(t, fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: shop, name: d-%d}\n", i))
	}
	api.Add(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: billing, name: other}\n")
	in, err := inventory.Read(t.Context(), &rest.Config{Host: api.URL}, "shop", inventory.Deployments)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, d := range in.Deployments {
		seen[d.Name] = true
	}
	if len(in.Deployments) != many || len(seen) != many || !in.Live {
		t.Errorf("found %d, %d of them different, live %t", len(in.Deployments), len(seen), in.Live)
	}
	if asked := len(api.Asked()); asked != 3 {
		t.Errorf("expected 3 pages, found %d", asked)
	}
}

func add(t *testing.T, in *inventory.Inventory, apiVersion, kind, object string) {
	t.Helper()
	if _, known, err := in.Add(apiVersion, kind, "shop", []byte(object)); err != nil || !known {
		t.Fatalf("%s: known %t, %v", kind, known, err)
	}
}

func TestFleets(t *testing.T) {
	var in inventory.Inventory
	const keda = "keda.sh/v1alpha1"
	add(t, &in, keda, "ScaledObject", `{"metadata":{"name":"referred"},"spec":{"scaleTargetRef":{"name":"one"}}}`)
	add(t, &in, keda, "ScaledObject", `{"metadata":{"name":"same"},"spec":{"scaleTargetRef":{"kind":"StatefulSet","name":"two"}}}`)
	add(t, &in, keda, "ScaledObject", `{"metadata":{"name":"asks"},"spec":{"scaleTargetRef":{"name":"three"},"triggers":[{"type":"external","metadata":{"workloadFromEnv":"NAME"}}]}}`)
	add(t, &in, keda, "ScaledObject", `{"metadata":{"name":"same","namespace":"billing"},"spec":{"scaleTargetRef":{"name":"one"}}}`)
	add(t, &in, keda, "ScaledJob", `{"metadata":{"name":"job"},"spec":{}}`)
	add(t, &in, "apps/v1", "Deployment", `{"metadata":{"name":"one"}}`)
	add(t, &in, "apps/v1", "StatefulSet", `{"metadata":{"name":"two"}}`)
	add(t, &in, "apps/v1", "Deployment", `{"metadata":{"name":"three"},"spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"NAME","value":"other-name"}]}]}}}}`)
	add(t, &in, "autoscaling/v2", "HorizontalPodAutoscaler", `{"metadata":{"name":"h"}}`)
	if _, known, err := in.Add("example.com/v1", "ScaledObject", "shop", []byte(`{}`)); known || err != nil {
		t.Errorf("a kind of another group: known %t, %v", known, err)
	}
	if _, _, err := in.Add(keda, "ScaledObject", "shop", []byte(`{"spec":{"maxReplicaCount":"many"}}`)); err == nil {
		t.Error("expected an error")
	}

	set := policy.Set{Workloads: []policy.Workload{
		{ID: id("a"), ScaledObject: "referred"}, {ID: id("same")}, {ID: id("other-name"), ScaledObject: "elsewhere"}, {ID: id("d"), ScaledJob: "job"},
	}}
	want := map[bypass.Object]string{
		{Kind: "ScaledObject", Namespace: "billing", Name: "same"}:  "- Deployment false StatefulSet false HPAs 0",
		{Kind: "ScaledObject", Namespace: "shop", Name: "asks"}:     "other-name Deployment true StatefulSet false HPAs 1",
		{Kind: "ScaledObject", Namespace: "shop", Name: "referred"}: "a Deployment true StatefulSet false HPAs 1",
		{Kind: "ScaledObject", Namespace: "shop", Name: "same"}:     "same Deployment false StatefulSet true HPAs 1",
		{Kind: "ScaledJob", Namespace: "shop", Name: "job"}:         "d Deployment false StatefulSet false HPAs 0",
	}
	fleets := in.Fleets(set)
	for _, f := range fleets {
		governed := "-"
		if f.Workload != nil {
			governed = f.Workload.ID.Name
		}
		got := fmt.Sprintf("%s Deployment %t StatefulSet %t HPAs %d", governed, f.Deployment != nil, f.StatefulSet != nil, len(f.HPAs))
		if got != want[inventory.Name(f)] {
			t.Errorf("%s: expected %s, found %s", inventory.Name(f), want[inventory.Name(f)], got)
		}
	}
	if len(fleets) != len(want) {
		t.Errorf("expected %d fleets, found %d", len(want), len(fleets))
	}
}

// What runs pods and no ScaledObject scales is governed by name or by labels.
func TestUnscaled(t *testing.T) {
	var in inventory.Inventory
	add(t, &in, "keda.sh/v1alpha1", "ScaledObject", `{"metadata":{"name":"scaled"},"spec":{"scaleTargetRef":{"apiVersion":"argoproj.io/v1alpha1","kind":"Rollout","name":"scaled"}}}`)
	add(t, &in, "argoproj.io/v1alpha1", "Rollout", `{"metadata":{"name":"scaled"},"spec":{"workloadRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"template"},"strategy":{"canary":{"trafficRouting":{"nginx":{"stableIngress":"a"}}}}}}`)
	add(t, &in, "argoproj.io/v1alpha1", "Rollout", `{"metadata":{"name":"alone"},"spec":{"template":{"metadata":{"labels":{"app":"mail","tier":"back"}}}}}`)
	add(t, &in, "apps/v1", "Deployment", `{"metadata":{"name":"template"},"spec":{"template":{"spec":{"nodeName":"a"}}}}`)
	add(t, &in, "apps/v1", "Deployment", `{"metadata":{"name":"named"}}`)
	add(t, &in, "apps/v1", "StatefulSet", `{"metadata":{"name":"named"}}`)
	add(t, &in, "apps/v1", "StatefulSet", `{"metadata":{"name":"named","namespace":"billing"}}`)
	add(t, &in, "batch/v1", "CronJob", `{"metadata":{"name":"nightly"},"spec":{"jobTemplate":{"spec":{"template":{"metadata":{"labels":{"app":"mail","more":"a"}}}}}}}`)
	add(t, &in, "apps/v1", "DaemonSet", `{"metadata":{"name":"agents"},"spec":{"template":{"metadata":{"labels":{"app":"agents"}}}}}`)
	add(t, &in, "policy/v1", "PodDisruptionBudget", `{"metadata":{"name":"b"},"spec":{"minAvailable":1}}`)
	set := policy.Set{Workloads: []policy.Workload{
		{ID: id("template")}, // the ScaledObject of its name, which there is not
		{ID: id("scaled")},
		{ID: id("w"), ScaleTarget: &policy.ScaleTarget{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "named"}},
		{ID: id("mail"), PodSelector: map[string]string{"app": "mail"}},
	}}
	var got []string
	for _, f := range append(in.Fleets(set), in.Unscaled(set)...) {
		governed := "-"
		if f.Workload != nil {
			governed = f.Workload.ID.Name
		}
		got = append(got, fmt.Sprintf("%s: %s, budgets %d, template %t", inventory.Name(f), governed, len(f.DisruptionBudgets), inventory.Template(f) != nil))
	}
	want := []string{
		"ScaledObject shop/scaled: scaled, budgets 1, template true",
		"StatefulSet billing/named: -, budgets 0, template true",
		"StatefulSet shop/named: w, budgets 1, template true",
		"Rollout shop/alone: mail, budgets 1, template true",
		"Deployment shop/named: -, budgets 1, template true",
		"DaemonSet shop/agents: -, budgets 1, template true",
		"CronJob shop/nightly: mail, budgets 1, template true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if fleet := in.Fleets(set)[0]; fleet.Rollout == nil || fleet.Referred == nil || inventory.Template(fleet).Spec.NodeName != "a" || fleet.Rollout.Spec.Strategy.Canary.TrafficRouting == nil {
		t.Errorf("the template of a Rollout may stand in a Deployment, found %+v", fleet)
	}
}

// Argo is seldom installed, and what a gate does to disruption budgets is worth a
// look but no permission.
func TestWhatCanBeDoneWithout(t *testing.T) {
	api := fakeapi.Start(t)
	api.Absent = []string{"argoproj.io/rollouts"}
	api.Forbidden = []string{"policy/poddisruptionbudgets"}
	in, err := inventory.Read(t.Context(), &rest.Config{Host: api.URL}, "", inventory.Rollouts, inventory.DisruptionBudgets, inventory.Deployments)
	if err != nil || len(in.Missing) != 0 || len(in.Unread) != 1 || in.Unread[0] != "poddisruptionbudgets.policy in all namespaces are not known: that needs permission to list them" {
		t.Errorf("%v, missing %q, unread %q", err, in.Missing, in.Unread)
	}
}
