package scaler

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

func TestHTTP(t *testing.T) {
	b := newBoard()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewBuildInfoCollector())
	stopping := make(chan struct{})
	handler := NewHTTPServer(HTTPOptions{
		State: b.State, Metrics: registry, Stopping: stopping,
		Handlers: map[string]http.Handler{"GET /v1/why": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer(w, http.StatusOK, "because of "+r.FormValue("workload"))
		})},
	}).Handler
	get := func(method, path string, code int, words string) string {
		t.Helper()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		if w.Code != code || !strings.Contains(w.Body.String(), words) {
			t.Errorf("%s %s: got %d %q, want %d with %q", method, path, w.Code, w.Body, code, words)
		}
		return w.Body.String()
	}

	get("GET", "/livez", 200, "alive")
	get("GET", "/readyz", 503, "no plan yet")
	get("GET", "/v1/plans", 200, `{"plans":[]}`)
	b.publish(policy.WorkloadPlan{ID: orders, Target: 7, Reason: policy.ConnectionBudget})
	get("GET", "/readyz", 200, "ready")
	get("GET", "/metrics", 200, "go_build_info")
	get("GET", "/v1/why?workload=shop/order-workers", 200, "because of shop/order-workers")
	get("POST", "/v1/plans", 405, "")
	get("GET", "/etc/passwd", 404, "")

	var plans Plans
	if err := json.Unmarshal([]byte(get("GET", "/v1/plans", 200, "")), &plans); err != nil {
		t.Fatal(err)
	}
	if w, ok := plans.Plans[0].Workload(orders); !ok || w.Target != 7 || time.Since(plans.At) > within {
		t.Errorf("got %+v", plans)
	}

	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	read, never := metrics.ID{Namespace: "shop", Name: "orders-db"}, metrics.ID{Namespace: "shop", Name: "ledger"}
	b.publishAt(time.Now(), policy.Set{}, Decision{Snapshot: policy.Snapshot{Databases: map[metrics.ID]metrics.Reading[metrics.Database]{
		read: metrics.Known(metrics.Database{}, began).Failed("connection refused"), never: {},
	}}})
	get("GET", "/v1/plans", 200, `"read":{"shop/orders-db":"2026-03-01T12:00:00Z"}`)

	close(stopping)
	get("GET", "/readyz", 503, "stopping")
	get("GET", "/livez", 200, "alive")
}

func TestHTTPOfAFollower(t *testing.T) {
	waits, standby := "waiting for the world", "not the leader (headroom-b leads)"
	handler := NewHTTPServer(HTTPOptions{
		State: newBoard().State, Metrics: prometheus.NewRegistry(),
		Ready: func() string { return waits }, Standby: func() string { return standby },
	}).Handler
	get := func(path string, code int, words string) {
		t.Helper()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != code || !strings.Contains(w.Body.String(), words) {
			t.Errorf("%s: got %d %q, want %d with %q", path, w.Code, w.Body, code, words)
		}
	}
	get("/readyz", 503, "waiting for the world")
	waits = ""
	get("/readyz", 200, "ready: not the leader (headroom-b leads)")
	get("/v1/plans", 503, `{"error":"not the leader (headroom-b leads)"}`)
	get("/livez", 200, "alive")
	standby = ""
	get("/readyz", 200, "ready\n")
	get("/v1/plans", 200, `{"plans":[]}`)
}
