package stop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/cmd/headroom/stop"
	"github.com/keda-headroom/headroom/internal/fakeapi"
	"github.com/keda-headroom/headroom/internal/kubeflags"
)

const annotation = "keda-headroom.github.io/stopped"

func policies(annotations string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  namespace: shop
  name: workers
  resourceVersion: "7"
  labels: {keda-headroom.github.io/policy: "true"}
  annotations: %s
data:
  policy.yaml: |
    apiVersion: keda-headroom.github.io/v1alpha1
    kind: Policy
    workloads:
    - {name: orders, databaseRefs: [{name: orders-db, user: u, connectionsPerPod: 5}], sqs: {queueName: q, messagesPerPod: 1}}
    - {name: invoices, databaseRefs: [{name: orders-db, user: u, connectionsPerPod: 5}], sqs: {queueName: q, messagesPerPod: 1}}
    - {name: refunds, databaseRefs: [{name: orders-db, user: u, connectionsPerPod: 5}], sqs: {queueName: q, messagesPerPod: 1}}
`, annotations)
}

func start(t *testing.T, annotations string) *fakeapi.Server {
	t.Helper()
	api := fakeapi.Start(t)
	api.Add(t, policies(annotations))
	return api
}

func run(t *testing.T, api *fakeapi.Server, resume bool, output string, workloads ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	o := stop.Options{
		Workloads: workloads, Resume: resume, Output: output, Out: &out,
		Cluster: kubeflags.Flags{Kubeconfig: api.Kubeconfig(t), RequestTimeout: time.Minute},
	}
	if err := o.Validate(); err != nil {
		return "", err
	}
	err := stop.Run(t.Context(), o)
	return out.String(), err
}

// stopped is the annotation as it is now, "-" where there is none.
func stopped(api *fakeapi.Server) string {
	meta := api.Object("/configmaps", "shop", "workers")["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	if text, ok := annotations[annotation].(string); ok {
		return text
	}
	return "-"
}

func TestStopAndResume(t *testing.T) {
	for name, test := range map[string]struct {
		before    string
		resume    bool
		workloads []string
		after     string
		says      string
	}{
		"the first":            {"-", false, []string{"orders"}, "orders", "shop/orders is stopped"},
		"two at once":          {"-", false, []string{"orders", "shop/invoices"}, "invoices,orders", "shop/invoices is stopped"},
		"beside another":       {"invoices", false, []string{"orders"}, "invoices,orders", "shop/orders is stopped"},
		"again":                {"orders", false, []string{"orders"}, "orders", "shop/orders was stopped already"},
		"all are":              {"*", false, []string{"orders"}, "*", "shop/orders was stopped already"},
		"resume the last":      {"orders", true, []string{"orders"}, "-", "shop/orders is resumed"},
		"resume one of two":    {"invoices, orders", true, []string{"orders"}, "invoices", "shop/orders is resumed"},
		"resume one of all":    {"*", true, []string{"orders"}, "invoices,refunds", "shop/orders is resumed"},
		"resume what runs":     {"invoices", true, []string{"orders"}, "invoices", "shop/orders was not stopped"},
		"what means nobody":    {"typo", false, []string{"orders"}, "orders,typo", "shop/orders is stopped"},
		"resume without it":    {"-", true, []string{"orders"}, "-", "shop/orders was not stopped"},
		"resume all by name":   {"*", true, []string{"orders", "invoices", "refunds"}, "-", "shop/refunds is resumed"},
		"resume beside a typo": {"orders,typo", true, []string{"orders"}, "typo", "shop/orders is resumed"},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := "{team: orders}"
			if test.before != "-" {
				annotations = fmt.Sprintf("{team: orders, %s: %q}", annotation, test.before)
			}
			api := start(t, annotations)
			says, err := run(t, api, test.resume, "table", test.workloads...)
			if err != nil || !strings.Contains(says, test.says) {
				t.Errorf("%v\n%s", err, says)
			}
			if got := stopped(api); got != test.after {
				t.Errorf("expected %q, found %q", test.after, got)
			}
			writes := 0
			for _, r := range api.Asked() {
				if r.Verb == "patch" {
					writes++
				}
			}
			if changed := test.before != test.after; changed != (writes > 0) {
				t.Errorf("%d writes", writes)
			}
			meta := api.Object("/configmaps", "shop", "workers")["metadata"].(map[string]any)
			if meta["annotations"].(map[string]any)["team"] != "orders" {
				t.Error("another annotation is gone")
			}
		})
	}
}

// What somebody else stops at the same moment stays stopped.
func TestAtTheSameTime(t *testing.T) {
	api := start(t, "{}")
	once := false
	api.BeforePatch = func(fakeapi.Request) {
		if once {
			return
		}
		once = true
		api.Change(t, "/configmaps", "shop", "workers", func(m map[string]any) map[string]any {
			m["metadata"].(map[string]any)["annotations"] = map[string]any{annotation: "refunds"}
			return m
		})
	}
	if says, err := run(t, api, false, "table", "orders"); err != nil || stopped(api) != "orders,refunds" {
		t.Errorf("found %q, %v\n%s", stopped(api), err, says)
	}
}

func TestReport(t *testing.T) {
	api := start(t, fmt.Sprintf("{%s: invoices}", annotation))
	text, err := run(t, api, false, "json", "orders", "invoices")
	var report stop.Report
	if err != nil || json.Unmarshal([]byte(text), &report) != nil || len(report.Workloads) != 2 {
		t.Fatalf("%v\n%s", err, text)
	}
	if a, b := report.Workloads[0], report.Workloads[1]; !a.Changed || !a.Stopped || b.Changed || !b.Stopped || a.ConfigMap != "workers" {
		t.Errorf("%+v", report)
	}
	if text, err = run(t, api, true, "yaml", "orders"); err != nil || !strings.Contains(text, "stopped: false") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestWhatCantBeDone(t *testing.T) {
	api := start(t, "{}")
	// Nobody is stopped where one of them is not known.
	if _, err := run(t, api, false, "table", "orders", "unknown"); err == nil || !strings.Contains(err.Error(), "described there are invoices, orders, refunds") || stopped(api) != "-" {
		t.Errorf("%q, %v", stopped(api), err)
	}
	api.ReadOnly = []string{"/configmaps"}
	if _, err := run(t, api, false, "table", "orders"); err == nil || !strings.Contains(err.Error(), "expected permission to get and patch configmaps in namespace shop") {
		t.Errorf("unexpected: %v", err)
	}
	if err := (stop.Options{Output: "xml", Workloads: []string{"a/b/c"}}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("expected two mistakes, found: %v", err)
	}
	if err := (stop.Options{Output: "json"}).Validate(); err == nil || !strings.Contains(err.Error(), "at least one WORKLOAD") {
		t.Errorf("unexpected: %v", err)
	}
}
