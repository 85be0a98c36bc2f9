package release_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/cmd/headroom/release"
	"github.com/keda-headroom/headroom/internal/fakeapi"
	"github.com/keda-headroom/headroom/internal/kubeflags"
)

const (
	gate    = "keda-headroom.github.io/connections"
	foreign = "quota.example.com/admission"
)

// policies describe a fleet of each kind.
const policies = `apiVersion: v1
kind: ConfigMap
metadata: {namespace: shop, name: workers, labels: {keda-headroom.github.io/policy: "true"}}
data:
  policy.yaml: |
    apiVersion: keda-headroom.github.io/v1alpha1
    kind: Policy
    workloads:
    - {name: orders, mode: Gate, databaseRefs: [{name: db, user: u, connectionsPerPod: 5}], sqs: {queueName: q, messagesPerPod: 1}}
    - {name: carts, mode: Gate, scaledObjectRef: {name: carts-scaler}, databaseRefs: [{name: db, user: u, connectionsPerPod: 5}], sqs: {queueName: q, messagesPerPod: 1}}
    - {name: reports, mode: Gate, scaledJobRef: {name: reports}, databaseRefs: [{name: db, user: u, connectionsPerPod: 5}], sqs: {queueName: q, messagesPerPod: 1}}
    - {name: api, mode: Gate, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: api}, databaseRefs: [{name: db, user: u, connectionsPerPod: 5}]}
    - {name: loose, mode: Gate, podSelector: {matchLabels: {app: loose}}, databaseRefs: [{name: db, user: u, connectionsPerPod: 5}]}
    - {name: lost, mode: Gate, databaseRefs: [{name: db, user: u, connectionsPerPod: 5}], sqs: {queueName: q, messagesPerPod: 1}}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {namespace: shop, name: orders}
spec: {scaleTargetRef: {name: order-workers}, triggers: []}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {namespace: shop, name: carts-scaler}
spec: {scaleTargetRef: {kind: StatefulSet, name: carts}, triggers: []}
`

// owned is an object that another controls.
func owned(apiVersion, kind, namespace, name, owner string, more string) string {
	meta := fmt.Sprintf("namespace: %s, name: %s, uid: %s", namespace, name, name)
	if owner != "" {
		parts := strings.Split(owner, " ")
		meta += fmt.Sprintf(", ownerReferences: [{apiVersion: %s, kind: %s, name: %s, uid: %s, controller: true}]", parts[0], parts[1], parts[2], parts[2])
	}
	return fmt.Sprintf("---\napiVersion: %s\nkind: %s\nmetadata: {%s}\n%s", apiVersion, kind, meta, more)
}

func pod(namespace, name, owner string, gates ...string) string {
	var list []string
	for _, g := range gates {
		list = append(list, "{name: "+g+"}")
	}
	return owned("v1", "Pod", namespace, name, owner, "spec: {schedulingGates: ["+strings.Join(list, ", ")+"]}\n")
}

func world(t *testing.T) *fakeapi.Server {
	t.Helper()
	api := fakeapi.Start(t)
	api.Add(t, strings.TrimSpace(strings.Join([]string{
		policies,
		owned("apps/v1", "ReplicaSet", "shop", "order-workers-1", "apps/v1 Deployment order-workers", ""),
		owned("apps/v1", "ReplicaSet", "shop", "api-1", "apps/v1 Deployment api", ""),
		owned("apps/v1", "ReplicaSet", "shop", "stranger-1", "", ""),
		owned("batch/v1", "Job", "shop", "reports-a", "keda.sh/v1alpha1 ScaledJob reports", ""),
		owned("batch/v1", "Job", "shop", "other-a", "keda.sh/v1alpha1 ScaledJob other", ""),
		pod("shop", "orders-a", "apps/v1 ReplicaSet order-workers-1", gate),
		pod("shop", "orders-b", "apps/v1 ReplicaSet order-workers-1", foreign, gate),
		pod("shop", "orders-runs", "apps/v1 ReplicaSet order-workers-1"),
		pod("shop", "orders-foreign", "apps/v1 ReplicaSet order-workers-1", foreign),
		pod("shop", "carts-0", "apps/v1 StatefulSet carts", gate),
		pod("shop", "reports-a-1", "batch/v1 Job reports-a", gate),
		pod("shop", "other-a-1", "batch/v1 Job other-a", gate),
		pod("shop", "api-x", "apps/v1 ReplicaSet api-1", gate),
		pod("shop", "stranger-x", "apps/v1 ReplicaSet stranger-1", gate),
		strings.Replace(pod("shop", "loose-x", "", gate), "uid:", "labels: {app: loose, more: a}, uid:", 1),
		strings.Replace(pod("shop", "ends", "", gate), "uid:", `deletionTimestamp: "2026-03-01T00:00:00Z", uid:`, 1),
		pod("billing", "ledger-x", "", gate),
	}, "")))
	return api
}

func options(t *testing.T, api *fakeapi.Server, workloads ...string) release.Options {
	t.Helper()
	return release.Options{
		Workloads: workloads, All: len(workloads) == 0, Output: "json",
		Cluster: kubeflags.Flags{Kubeconfig: api.Kubeconfig(t), RequestTimeout: time.Minute},
	}
}

func run(t *testing.T, o release.Options) (string, error) {
	t.Helper()
	var out bytes.Buffer
	o.Out = &out
	if err := o.Validate(); err != nil {
		return "", err
	}
	err := release.Run(t.Context(), o)
	return out.String(), err
}

// report runs the command, and returns each pod with what became of it.
func report(t *testing.T, o release.Options) (release.Report, string, error) {
	t.Helper()
	text, err := run(t, o)
	var r release.Report
	if parsed := json.Unmarshal([]byte(text), &r); parsed != nil {
		t.Fatalf("%v, %v in %q", err, parsed, text)
	}
	var pods []string
	for _, p := range r.Pods {
		pods = append(pods, fmt.Sprintf("%s %s", p.ID, p.Outcome))
	}
	return r, strings.Join(pods, ", "), err
}

// gates are those of a pod as it is now.
func gates(t *testing.T, api *fakeapi.Server, namespace, name string) string {
	t.Helper()
	var names []string
	list, _ := api.Object("/pods", namespace, name)["spec"].(map[string]any)["schedulingGates"].([]any)
	for _, g := range list {
		names = append(names, g.(map[string]any)["name"].(string))
	}
	return strings.Join(names, " ")
}

func TestPodsOfEachKindOfWorkload(t *testing.T) {
	for workload, want := range map[string]string{
		"orders":      "shop/orders-a Released, shop/orders-b Released",
		"shop/carts":  "shop/carts-0 Released",
		"reports":     "shop/reports-a-1 Released",
		"api":         "shop/api-x Released",
		"loose":       "shop/loose-x Released",
		"orders shop": "shop/orders-a Released, shop/orders-b Released", // twice is once
	} {
		t.Run(workload, func(t *testing.T) {
			api := world(t)
			names := []string{strings.Fields(workload)[0]}
			if strings.Contains(workload, " ") {
				names = append(names, "shop/orders")
			}
			r, got, err := report(t, options(t, api, names...))
			if err != nil || got != want {
				t.Errorf("expected %s, found %s, %v", want, got, err)
			}
			if notes := strings.Join(r.Notes, " "); !strings.Contains(notes, "Nobody has looked") || !strings.Contains(notes, "goes on gating") {
				t.Errorf("it doesn't warn: %v", r.Notes)
			}
			for _, name := range []string{"stranger-x", "other-a-1", "ends"} {
				if gates(t, api, "shop", name) != gate {
					t.Errorf("%s was let through", name)
				}
			}
		})
	}
}

// Others' gates stay, and no pod is written to that is not let through.
func TestOnlyOurGateIsRemoved(t *testing.T) {
	api := world(t)
	r, _, err := report(t, options(t, api, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"orders-a": "", "orders-b": foreign, "orders-foreign": foreign, "carts-0": gate} {
		if got := gates(t, api, "shop", name); got != want {
			t.Errorf("%s: expected the gates %q, found %q", name, want, got)
		}
	}
	if diff := cmp.Diff([]string{foreign}, r.Pods[1].OtherGates); diff != "" || !strings.Contains(strings.Join(r.Notes, " "), "wait for those") {
		t.Errorf("%s\n%v", diff, r.Notes)
	}
	for _, asked := range api.Asked() {
		if asked.Verb == "patch" && asked.Name != "orders-a" && asked.Name != "orders-b" {
			t.Errorf("it wrote to %s", asked.Name)
		}
	}
}

func TestAll(t *testing.T) {
	api := world(t)
	one := options(t, api)
	if _, got, err := report(t, one); err != nil || strings.Contains(got, "billing") || strings.Count(got, "Released") != 8 || strings.Contains(got, "ends") {
		t.Errorf("%s, %v", got, err)
	}
	one.Cluster.AllNamespaces = true
	if _, got, err := report(t, one); err != nil || got != "billing/ledger-x Released" {
		t.Errorf("%s, %v", got, err)
	}
	one.Output = "table"
	if text, err := run(t, one); err != nil || text != "No pods have the gate.\n" {
		t.Errorf("%q, %v", text, err)
	}
	for _, asked := range api.Asked() {
		if asked.Resource != "/pods" {
			t.Errorf("it asked for %s, which may be gone", asked.Resource)
		}
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	api := world(t)
	o := options(t, api, "orders")
	o.DryRun = true
	if r, got, err := report(t, o); err != nil || got != "shop/orders-a WouldBe, shop/orders-b WouldBe" || !r.DryRun || len(r.Notes) == 0 {
		t.Errorf("%s, %v, %v", got, r, err)
	}
	o.Output = "table"
	if text, err := run(t, o); err != nil || !strings.Contains(text, "2 would be released; nothing was changed.") {
		t.Errorf("%s, %v", text, err)
	}
	for _, asked := range api.Asked() {
		if asked.Verb != "list" {
			t.Errorf("it asked to %s", asked.Verb)
		}
	}
}

// While it works others remove gates, delete pods, and make new ones of their names.
func TestPodsThatChangeMeanwhile(t *testing.T) {
	for name, test := range map[string]struct {
		change func(map[string]any) map[string]any
		want   release.Outcome
		gates  string
	}{
		"the other gate goes": {func(p map[string]any) map[string]any {
			p["spec"] = map[string]any{"schedulingGates": []any{map[string]any{"name": gate}}}
			return p
		}, release.Released, ""},
		"ours goes": {func(p map[string]any) map[string]any {
			p["spec"] = map[string]any{"schedulingGates": []any{map[string]any{"name": foreign}}}
			return p
		}, release.AlreadyOpen, foreign},
		"another pod of its name": {func(p map[string]any) map[string]any {
			p["metadata"].(map[string]any)["uid"] = "another"
			return p
		}, release.Gone, foreign + " " + gate},
		"it is gone": {func(map[string]any) map[string]any { return nil }, release.Gone, "-"},
		"something else changes": {func(p map[string]any) map[string]any {
			p["metadata"].(map[string]any)["annotations"] = map[string]any{"a": "b"}
			return p
		}, release.Released, foreign},
	} {
		t.Run(name, func(t *testing.T) {
			api := world(t)
			once := false
			api.BeforePatch = func(r fakeapi.Request) {
				if r.Name == "orders-b" && !once {
					once = true
					api.Change(t, "/pods", "shop", "orders-b", test.change)
				}
			}
			r, got, err := report(t, options(t, api, "orders"))
			if err != nil || len(r.Pods) != 2 || r.Pods[1].Outcome != test.want {
				t.Errorf("expected %s, found %s, %v", test.want, got, err)
			}
			if test.gates != "-" && gates(t, api, "shop", "orders-b") != test.gates {
				t.Errorf("expected the gates %q, found %q", test.gates, gates(t, api, "shop", "orders-b"))
			}
		})
	}
}

func TestWhatCantBeDone(t *testing.T) {
	api := world(t)
	if _, err := run(t, options(t, api, "unknown")); err == nil || !strings.Contains(err.Error(), "described there are api, carts") || !strings.Contains(err.Error(), "release --all needs no policy") {
		t.Errorf("unexpected: %v", err)
	}
	if _, err := run(t, options(t, api, "lost")); err == nil || !strings.Contains(err.Error(), "expected the ScaledObject shop/lost") {
		t.Errorf("unexpected: %v", err)
	}
	api.ReadOnly = []string{"/pods"}
	r, got, err := report(t, options(t, api, "orders"))
	if !errors.Is(err, release.ErrFailed) || got != "shop/orders-a Failed, shop/orders-b Failed" || !strings.Contains(r.Pods[0].Problem, "ClusterRole headroom-release") {
		t.Errorf("%s, %v, %+v", got, err, r.Pods)
	}
	for resource, want := range map[string]string{
		"/pods": "expected permission to list pods", "apps/replicasets": "expected permission to list replicasets.apps in namespace shop",
		"/configmaps": "expected permission to list configmaps", "keda.sh/scaledobjects": "expected permission to list scaledobjects.keda.sh",
	} {
		api.Forbidden = []string{resource}
		if _, err := run(t, options(t, api, "orders")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: unexpected: %v", resource, err)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	for want, o := range map[string]release.Options{
		"found neither":                 {Output: "table"},
		"found both":                    {Output: "table", All: true, Workloads: []string{"a"}},
		"expected --all with it":        {Output: "table", Workloads: []string{"a"}, Cluster: kubeflags.Flags{AllNamespaces: true}},
		"--output: expected table":      {Output: "xml", All: true},
		"expected NAME or NAMESPACE/NA": {Output: "table", Workloads: []string{"a/b/c"}},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q, found %v", want, err)
		}
	}
}
