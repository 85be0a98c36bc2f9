package status_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/cmd/headroom/status"
	"github.com/keda-headroom/headroom/internal/fakeapi"
	"github.com/keda-headroom/headroom/internal/golden"
	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/internal/serverclient"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
)

var now = time.Date(2026, 3, 1, 12, 0, 2, 0, time.UTC)

func id(namespace, name string) metrics.ID { return metrics.ID{Namespace: namespace, Name: name} }

// plans are of two groups: one that is limited, one whose database is unknown.
var plans = scaler.Plans{
	At: now.Add(-300 * time.Millisecond),
	Plans: []policy.Plan{
		{
			Group: "platform/orders-db",
			Databases: []policy.DatabasePlan{{ID: id("platform", "orders-db"), Constraints: []policy.ConstraintPlan{
				{Name: "server", Limit: 97, Reserve: 10, Used: 71, Others: 15, OthersHighWater: 22, Ghosts: 1, Granted: 60, Budget: 64, Free: 4},
				{Name: "role/worker", Limit: 60, Used: 56, Granted: 60, Budget: 60},
			}}},
			Workloads: []policy.WorkloadPlan{{
				ID: id("shop", "order-workers"), Mode: policy.Target, Demand: policy.DemandPlan{Known: true, Backlog: 19}, Ceiling: 12, Target: 12, Replicas: 11,
				Reason: policy.ConnectionBudget, Sentence: "platform/orders-db role/worker carries 12 replicas",
				Uses: []policy.UsePlan{{Database: id("platform", "orders-db")}},
			}},
		},
		{
			Group:     "billing/ledger",
			Databases: []policy.DatabasePlan{{ID: id("billing", "ledger"), Unknown: "last read 40s ago, older than the 10s allowed: connection refused", Starting: "others on billing/ledger have been watched for 28m0s of 30m0s"}},
			Workloads: []policy.WorkloadPlan{{
				ID: id("billing", "invoices"), Mode: policy.Gate, Ceiling: 3, Target: 3, Replicas: 3, Gated: 2,
				Reason: policy.DatabaseUnknown, Sentence: "billing/ledger is unknown",
				Uses: []policy.UsePlan{{Database: id("billing", "ledger")}},
			}, {
				ID: id("billing", "reports"), Mode: policy.Gate, Demand: policy.DemandPlan{Known: true, NoQueue: true, Backlog: 6}, Ceiling: 6, Target: 6, Replicas: 6, Gated: 3, Ungated: 1,
				Reason: policy.Demand, Sentence: "6 pods ask for themselves", Uses: []policy.UsePlan{{Database: id("billing", "ledger")}},
				Admissions: []policy.Admission{{UID: "a", Name: "reports-a"}, {UID: "b", Name: "reports-b"}},
				Evictions:  []policy.Eviction{{UID: "c", Name: "reports-c", Reason: policy.Swap}},
			}},
		},
	},
	Read: map[metrics.ID]time.Time{id("platform", "orders-db"): now.Add(-1300 * time.Millisecond), id("billing", "ledger"): now.Add(-40 * time.Second)},
}

func server(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/plans" {
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(plans)
}

func run(t *testing.T, o status.Options) (string, error) {
	t.Helper()
	var out bytes.Buffer
	o.Out, o.Now = &out, func() time.Time { return now }
	if o.Output == "" {
		o.Output = "table"
	}
	if err := o.Validate(); err != nil {
		return "", err
	}
	err := status.Run(t.Context(), o)
	return out.String(), err
}

func TestStatus(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(server))
	defer s.Close()
	client := serverclient.Client{Server: s.URL}
	for _, output := range []string{"table", "json", "yaml"} {
		got, err := run(t, status.Options{Client: client, Output: output})
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, "testdata/status."+output, got)
		var parsed map[string]any
		if output != "table" {
			if err := yaml.Unmarshal([]byte(got), &parsed); err != nil || len(parsed["workloads"].([]any)) != 3 {
				t.Errorf("%s: %v", output, err)
			}
		}
	}
	got, err := run(t, status.Options{Client: client, Namespace: "shop"})
	if err != nil || strings.Contains(got, "billing") || !strings.Contains(got, "platform/orders-db, server") {
		t.Errorf("expected a namespace's workloads and their databases only: %v\n%s", err, got)
	}
	if got, err = run(t, status.Options{Client: client, Namespace: "none"}); err != nil || !strings.Contains(got, "No databases.") || !strings.Contains(got, "No workloads.") {
		t.Errorf("%v\n%s", err, got)
	}
}

// Through a cluster only the proxy of Headroom's Service is asked.
func TestThroughACluster(t *testing.T) {
	api := fakeapi.Start(t)
	client := serverclient.Client{Through: true, Namespace: "tools", Service: "headroom", Cluster: kubeflags.Flags{Kubeconfig: api.Kubeconfig(t), RequestTimeout: time.Minute}}
	if _, err := run(t, status.Options{Client: client}); err == nil || !strings.Contains(err.Error(), "expected Service tools/headroom to answer") {
		t.Errorf("unexpected: %v", err)
	}
	api.Proxied = http.HandlerFunc(server)
	got, err := run(t, status.Options{Client: client})
	if err != nil || !strings.Contains(got, "shop/order-workers") {
		t.Errorf("%v\n%s", err, got)
	}
	want := fakeapi.Request{Verb: "get", Resource: "/services", Namespace: "tools", Name: "http:headroom:http"}
	for _, asked := range api.Asked() {
		if asked != want {
			t.Errorf("asked for %+v", asked)
		}
	}
	api.Forbidden = []string{"/services"}
	if _, err := run(t, status.Options{Client: client}); err == nil || !strings.Contains(err.Error(), "expected permission to get services/proxy in namespace tools") {
		t.Errorf("unexpected: %v", err)
	}
}

func TestWithoutPlans(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"plans":[]}`)) }))
	defer s.Close()
	if got, err := run(t, status.Options{Client: serverclient.Client{Server: s.URL}}); err != nil || !strings.Contains(got, "Nothing was decided yet") {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err := run(t, status.Options{Client: serverclient.Client{Server: "nowhere"}, Output: "xml"}); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("expected two mistakes, found: %v", err)
	}
}
