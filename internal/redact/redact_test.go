package redact_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/keda-headroom/headroom/internal/redact"
	"github.com/keda-headroom/headroom/internal/replay"
	"github.com/keda-headroom/headroom/internal/replay/replaytest"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// A redacted recording has none of the names, and every decision.
func TestRecording(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "incident")
	set := replaytest.Shop(10)
	replaytest.Record(t, dir, set)
	n, err := redact.NewWords([]byte("key")).Recording(dir, out, time.Time{}, time.Time{})
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	reader, err := recording.OpenReader(out)
	if err != nil {
		t.Fatal(err)
	}
	var redacted policy.Set
	for r, err := range reader.Records(time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"order", "worker-", "shop", "platform", "sqs.eu", "amazonaws", "123456789012", "monitor", "10.0.", "192.0.2"} {
			if strings.Contains(string(text), secret) {
				t.Fatalf("%q is left in %s", secret, text)
			}
		}
		redacted = policy.Set{Databases: r.Group.Databases, Workloads: r.Group.Workloads}
	}
	before, after := replaytest.Run(t, replay.Options{Dir: dir, Policy: set}), replaytest.Run(t, replay.Options{Dir: out, Policy: redacted})
	b, a := before.Workloads[0], after.Workloads[0]
	if a.DifferentSeconds != 0 || a.Recorded.PodHours != b.Recorded.PodHours || a.Recorded.MaxTarget != b.Recorded.MaxTarget || before.Decisions != after.Decisions {
		t.Errorf("expected the decisions to be those of the original\n%+v\nfound\n%+v", b, a)
	}
	if _, err := redact.NewWords([]byte("key")).Recording(dir, out, time.Time{}, time.Time{}); err == nil {
		t.Error("expected a directory with files not to be written to")
	}
}

// secrets are what must not be left of [replaytest.Shop].
var secrets = []string{"order", "shop", "platform", "amazonaws", "123456789012", "10.0.", "monitor"}

func leaks(t *testing.T, text string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%q is left in\n%s", s, text)
		}
	}
}

// Plans keep their numbers and reasons, and databases the same words as in recordings.
func TestPlans(t *testing.T) {
	w := redact.NewWords([]byte("key"))
	text, err := json.Marshal(scaler.Plans{At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Read: map[metrics.ID]time.Time{replaytest.OrdersDB: {}}, Plans: []policy.Plan{{
		Group:     replaytest.OrdersDB.String(),
		Databases: []policy.DatabasePlan{{ID: replaytest.OrdersDB, Unknown: "connection to 10.0.0.1 refused", Constraints: []policy.ConstraintPlan{{Name: "server", Limit: 97}, {Name: "role/order_worker"}}}},
		Workloads: []policy.WorkloadPlan{{ID: replaytest.Workers, Target: 7, Reason: policy.ConnectionBudget, Sentence: "platform/orders-db carries 7", Binding: replaytest.OrdersDB.String() + " server"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if text, err = w.JSON(text, redact.FieldsOf(reflect.TypeFor[scaler.Plans]())); err != nil {
		t.Fatal(err)
	}
	leaks(t, string(text))
	var got scaler.Plans
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	p := got.Plans[0]
	if d, w := p.Databases[0], p.Workloads[0]; p.Group != d.ID.String() || w.Binding != d.ID.String()+" server" || w.Target != 7 || w.Reason != policy.ConnectionBudget ||
		d.Constraints[0].Name != "server" || !strings.HasPrefix(d.Constraints[1].Name, "role/x") || len(got.Read) != 1 || got.Read[d.ID] != (time.Time{}) {
		t.Errorf("found %s", text)
	}
	if _, err := w.JSON([]byte("<html>"), nil); err == nil {
		t.Error("a page is no JSON")
	}
}

// Metrics keep their names, numbers and Headroom's own words.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "headroom_workload_limited", Help: "Of shop."}, []string{"namespace", "workload", "reason"})
	gauge.WithLabelValues("shop", "order-workers", "ConnectionBudget").Set(1)
	reads := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "headroom_read_duration_seconds", Help: "x", Buckets: []float64{1, 2}}, []string{"source", "name"})
	reads.WithLabelValues("postgresql", "platform/orders-db").Observe(1.5)
	registry.MustRegister(gauge, reads)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var in, out bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&in, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := redact.NewWords([]byte("key")).Metrics(&in, &out); err != nil {
		t.Fatal(err)
	}
	leaks(t, out.String())
	for _, want := range []string{`headroom_workload_limited{namespace="x`, `reason="ConnectionBudget",`, `source="postgresql",le="2"} 1`, "headroom_read_duration_seconds_sum"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("expected %q in\n%s", want, out.String())
		}
	}
	if err := redact.NewWords(nil).Metrics(strings.NewReader("<html>"), &out); err == nil {
		t.Error("a page is no metrics")
	}
}

// Nobody can find a name by trying it: words of unknown keys are never the same.
func TestUnknownKeys(t *testing.T) {
	text := []byte(`{"name": "orders"}`)
	a, _ := redact.NewWords(nil).JSON(text, redact.Fields{"name": true})
	b, _ := redact.NewWords(nil).JSON(text, redact.Fields{"name": true})
	if bytes.Equal(a, b) || bytes.Contains(a, []byte("orders")) {
		t.Errorf("found %s and %s", a, b)
	}
}
