package described_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/internal/described"
	"github.com/keda-headroom/headroom/internal/fakeapi"
	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/metrics"
)

func id(namespace, name string) metrics.ID { return metrics.ID{Namespace: namespace, Name: name} }

// configMap has a policy of workloads, made on a day of March.
func configMap(namespace, name string, day int, workloads ...string) string {
	text := fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  namespace: %s
  name: %s
  creationTimestamp: "2026-03-%02dT00:00:00Z"
  labels: {keda-headroom.github.io/policy: "true"}
data:
  policy.yaml: |
    apiVersion: keda-headroom.github.io/v1alpha1
    kind: Policy
    workloads:
`, namespace, name, day)
	for _, w := range workloads {
		text += fmt.Sprintf("    - {name: %s, mode: Gate, databaseRefs: [{name: orders-db, user: u, connectionsPerPod: 5}], sqs: {queueName: q, messagesPerPod: 1}}\n", w)
	}
	return text
}

func read(t *testing.T, api *fakeapi.Server, ids ...metrics.ID) ([]described.Workload, error) {
	t.Helper()
	config, err := kubeflags.Flags{Kubeconfig: api.Kubeconfig(t), RequestTimeout: time.Minute}.Config()
	if err != nil {
		t.Fatal(err)
	}
	return described.Read(t.Context(), config, ids)
}

func TestArguments(t *testing.T) {
	got, err := described.IDs([]string{"a", "billing/b", "shop/a"}, "shop")
	if diff := cmp.Diff([]metrics.ID{id("shop", "a"), id("billing", "b")}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := described.IDs([]string{"a/b/c", "a", "/"}, "shop"); err == nil || strings.Count(err.Error(), "expected NAME or NAMESPACE/NAME") != 2 {
		t.Errorf("expected two mistakes, found: %v", err)
	}
}

// The oldest of two policies that claim a workload is in force, as for the server.
func TestWhoDescribesAWorkload(t *testing.T) {
	api := fakeapi.Start(t)
	api.Add(t, strings.Join([]string{
		configMap("shop", "newer", 3, "orders"),
		configMap("shop", "older", 2, "orders", "invoices"),
		configMap("billing", "ledger", 1, "ledger"),
	}, "---\n"))
	got, err := read(t, api, id("billing", "ledger"), id("shop", "orders"))
	if err != nil || len(got) != 2 || got[0].ConfigMap.Name != "ledger" || got[1].ConfigMap.Name != "older" {
		t.Fatalf("%v, %v", got, err)
	}
	if diff := cmp.Diff([]metrics.ID{id("shop", "invoices"), id("shop", "orders")}, got[1].Beside); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNotDescribed(t *testing.T) {
	api := fakeapi.Start(t)
	broken := strings.ReplaceAll(configMap("shop", "broken", 1, "refunds"), "mode:", "mood:")
	unlabeled := strings.ReplaceAll(configMap("shop", "unlabeled", 1, "hidden"), "headroom.github.io/policy", "headroom.github.io/other")
	api.Add(t, strings.Join([]string{
		configMap("shop", "older", 2, "orders"), configMap("shop", "newer", 3, "orders", "invoices"), broken, unlabeled,
	}, "---\n"))
	for _, test := range []struct {
		id   metrics.ID
		want string
	}{
		{id("shop", "hidden"), "described there are invoices, orders; errors keep others from being read in ConfigMap broken"},
		{id("shop", "refunds"), "errors keep others from being read in ConfigMap broken"},
		{id("shop", "invoices"), "ConfigMap newer describes it and is not in force"},
		{id("billing", "orders"), "no policy in that namespace describes any"},
	} {
		if _, err := read(t, api, id("shop", "orders"), test.id); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: expected %q, found %v", test.id, test.want, err)
		}
	}
	_, err := read(t, api, id("shop", "hidden"), id("billing", "orders"))
	if err == nil || strings.Count(err.Error(), "workload ") != 2 {
		t.Errorf("expected both to be told, found %v", err)
	}
	api.Forbidden = []string{"/configmaps"}
	if _, err := read(t, api, id("shop", "orders")); err == nil || !strings.Contains(err.Error(), "expected permission to list configmaps in namespace shop") {
		t.Errorf("unexpected: %v", err)
	}
}
