package scaler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// everything is a state in which every metric has a series.
func everything(now time.Time) *board {
	b := newBoard()
	set := shop(orders)
	set.Workloads[0].SQS.MaxMessageAge = 2 * time.Minute
	b.publishAt(now, set, Decision{
		Group: policy.Group{Databases: set.Databases, Workloads: set.Workloads},
		Snapshot: policy.Snapshot{Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{
			orders: metrics.Known(metrics.Queue{Visible: 180, InFlight: 20, Delayed: 3}, now),
		}, Points: map[metrics.ID]metrics.Reading[metrics.Points]{
			orders: metrics.Known(metrics.Points{Minutes: []metrics.Minute{{Start: now.Add(-5 * time.Minute)}, {Start: now.Add(-4 * time.Minute)}}}, now),
		}, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{
			orders: metrics.Known(metrics.Fleet{Pods: []metrics.Pod{
				{UID: "1", CreatedAt: now.Add(-time.Hour)}, {UID: "2", CreatedAt: now.Add(-10 * time.Second), Gated: true},
				{UID: "3", CreatedAt: now.Add(-20 * time.Second), Gated: true}, {UID: "4", CreatedAt: now.Add(-time.Minute), Gated: true, Terminating: true},
			}}, now),
		}},
		Plan: policy.Plan{
			At: now, Group: "platform/orders-db",
			Databases: []policy.DatabasePlan{{ID: ordersDB, Server: "one", Constraints: []policy.ConstraintPlan{{
				Name: "server", Limit: 97, Reserve: 10, Used: 60, Others: 20, OthersHighWater: 30, Ghosts: 2, Granted: 40, Departed: 5, Pressure: 3, Budget: 55, Free: 10,
			}}}},
			Workloads: []policy.WorkloadPlan{{
				ID: orders, Mode: policy.Target, Demand: policy.DemandPlan{Known: true, Backlog: 10, Raw: 10, Smoothed: 10, Objective: &policy.ObjectivePlan{
					Age: policy.AgePlan{Known: true, Seconds: 90, Uncertainty: 4}, Arrivals: 2, Rate: 0.25, Replicas: 10, ByMessages: 12, Least: 9, ShortReplicas: 1, ShortConnections: 5,
				}},
				Replicas: 8, Holding: 8, Gated: 1, Ceiling: 9, Target: 9, Value: 9, Active: true, Reason: policy.ConnectionBudget,
				Uses: []policy.UsePlan{{Database: ordersDB, PerPod: 5, Declared: 5, Granted: 40, Observed: 38, ObservedKnown: true, ObservedMax: 5}},
			}},
		},
	})
	return b
}

// exercised is a registry in which every metric has a series.
func exercised(t *testing.T, b *board, now time.Time) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	telemetry := NewTelemetry(registry, buildinfo.Info{Version: "v1.2.3", Revision: "abc", Go: "go1"})
	registry.MustRegister(NewPlanCollector(b.State, func() []ReadingTime {
		return []ReadingTime{
			{"postgresql", "platform/orders-db", now},
			{"sqs", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders", time.Time{}}, // never read
		}
	}))
	registry.MustRegister(NewRecordingCollectors(func() uint64 { return 3 }, func() int64 { return 4096 })...)
	telemetry.Read("postgresql", "platform/orders-db", now, 2*time.Millisecond, nil)
	telemetry.Read("sqs", "orders", now, time.Second, errors.New("denied"))
	telemetry.Planned(100 * time.Microsecond)
	telemetry.Refused(ordersDB)
	telemetry.AWSRequest("sqs", "GetQueueAttributes", "ok")
	telemetry.Poked(PokeNow)
	telemetry.PodRequest("Admit", "ok")
	telemetry.Admitted(orders, 3*time.Second)
	telemetry.Evicted(orders, policy.Shed, "blocked")
	telemetry.Leader(true)
	telemetry.Ungoverned(map[string]int{"elsewhere": 1})
	telemetry.Ungoverned(map[string]int{"shop": 2})
	telemetry.PoliciesRead([]PolicyStatus{{"shop", "orders", true}, {"", "invoices.yaml", false}}, false)

	address, _, _ := serve(t, ServerOptions{State: b.State, Metrics: telemetry.GRPC})
	client := pb.NewExternalScalerClient(dial(t, address))
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := client.StreamIsActive(ctx, ask(orders))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	noneLeft(t, "(*Service).StreamIsActive")
	if _, err := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)}); err != nil {
		t.Fatal(err)
	}
	return registry
}

func TestTheDocumentationHasEveryMetric(t *testing.T) {
	now := time.Now()
	families, err := exercised(t, everything(now), now).Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, f := range families {
		labels := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
		shown[f.GetName()] = fmt.Sprintf("%s {%s}", strings.ToLower(f.GetType().String()), strings.Join(slices.Sorted(maps.Keys(labels)), " "))
	}

	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| ([a-z_]+) \| (\w+) \| ([a-z_, ]*?) ?\| (.+) \|$`)
	documented := map[string]string{}
	for _, cells := range row.FindAllStringSubmatch(string(page), -1) {
		labels := strings.FieldsFunc(cells[3], func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(labels)
		if cells[1] != "name" {
			documented[cells[1]] = fmt.Sprintf("%s {%s}", cells[2], strings.Join(labels, " "))
		}
	}
	for name, is := range shown {
		if documented[name] != is {
			t.Errorf("%s is %s, and docs/metrics.md has %q", name, is, documented[name])
		}
	}
	for name := range documented {
		if _, ok := shown[name]; !ok {
			t.Errorf("docs/metrics.md has %s, which is not there", name)
		}
	}
}

func TestMetricsAreNamedAsIsCustom(t *testing.T) {
	now := time.Now()
	problems, err := testutil.GatherAndLint(exercised(t, everything(now), now))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestPlansAsMetrics(t *testing.T) {
	now := time.Unix(1800000000, 0)
	want := `
# HELP headroom_database_connections_budget Connections for governed pods: limit less reserve, others' high water, ghosts and pressure. Negative where more is held than fits.
# TYPE headroom_database_connections_budget gauge
headroom_database_connections_budget{constraint="server",database="orders-db",database_namespace="platform"} 55
# HELP headroom_database_connections_usable Connections that may be in use by policy: limit less reserve.
# TYPE headroom_database_connections_usable gauge
headroom_database_connections_usable{constraint="server",database="orders-db",database_namespace="platform"} 87
# HELP headroom_policy_valid Whether the newest version of a policy document is in force.
# TYPE headroom_policy_valid gauge
headroom_policy_valid{name="invoices.yaml",namespace=""} 0
headroom_policy_valid{name="orders",namespace="shop"} 1
# HELP headroom_reading_timestamp_seconds When the last good reading of a source began, in seconds since 1970.
# TYPE headroom_reading_timestamp_seconds gauge
headroom_reading_timestamp_seconds{name="platform/orders-db",source="postgresql"} 1.8e+09
# HELP headroom_workload_limited 1 for the reason that keeps the target from following demand.
# TYPE headroom_workload_limited gauge
headroom_workload_limited{namespace="shop",reason="ConnectionBudget",workload="order-workers"} 1
# HELP headroom_workload_messages Messages in the workload's queue.
# TYPE headroom_workload_messages gauge
headroom_workload_messages{namespace="shop",state="delayed",workload="order-workers"} 3
headroom_workload_messages{namespace="shop",state="in_flight",workload="order-workers"} 20
headroom_workload_messages{namespace="shop",state="visible",workload="order-workers"} 180
# HELP headroom_workload_oldest_gated_pod_timestamp_seconds When the oldest of the pods that wait at the scheduling gate was created, in seconds since 1970.
# TYPE headroom_workload_oldest_gated_pod_timestamp_seconds gauge
headroom_workload_oldest_gated_pod_timestamp_seconds{namespace="shop",workload="order-workers"} 1.79999998e+09
# HELP headroom_workload_observed_connections_per_pod Connections that the workload's pods are seen to hold.
# TYPE headroom_workload_observed_connections_per_pod gauge
headroom_workload_observed_connections_per_pod{database="orders-db",database_namespace="platform",namespace="shop",stat="max",workload="order-workers"} 5
headroom_workload_observed_connections_per_pod{database="orders-db",database_namespace="platform",namespace="shop",stat="mean",workload="order-workers"} 4.75
`
	b := everything(now)
	registry := prometheus.NewPedanticRegistry()
	telemetry := NewTelemetry(registry, buildinfo.Info{})
	telemetry.PoliciesRead([]PolicyStatus{{"shop", "orders", true}, {"", "invoices.yaml", false}}, false)
	registry.MustRegister(NewPlanCollector(b.State, func() []ReadingTime {
		return []ReadingTime{{"postgresql", "platform/orders-db", now}}
	}))
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"headroom_database_connections_budget", "headroom_database_connections_usable", "headroom_policy_valid",
		"headroom_reading_timestamp_seconds", "headroom_workload_limited", "headroom_workload_messages",
		"headroom_workload_observed_connections_per_pod", "headroom_workload_oldest_gated_pod_timestamp_seconds"); err != nil {
		t.Error(err)
	}
}

func TestWhatWasDoneAsMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	telemetry := NewTelemetry(registry, buildinfo.Info{})
	telemetry.Admitted(orders, 90*time.Second)
	telemetry.Admitted(orders, -1) // created at nobody knows when
	telemetry.Evicted(orders, policy.Swap, "ok")
	telemetry.Leader(true)
	telemetry.Ungoverned(map[string]int{"elsewhere": 1})
	telemetry.Ungoverned(map[string]int{"shop": 2})
	telemetry.Leader(false)
	want := `
# HELP headroom_admissions_total Pods that were let through the scheduling gate.
# TYPE headroom_admissions_total counter
headroom_admissions_total{namespace="shop",workload="order-workers"} 2
# HELP headroom_evictions_total Attempts to take a pod away, by why and how they ended.
# TYPE headroom_evictions_total counter
headroom_evictions_total{namespace="shop",reason="Swap",result="ok",workload="order-workers"} 1
# HELP headroom_leader Whether this process leads: decides, and acts on pods.
# TYPE headroom_leader gauge
headroom_leader 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "headroom_admissions_total", "headroom_evictions_total", "headroom_leader"); err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if h := byName(families)["headroom_admission_wait_seconds"].GetMetric()[0].GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() != 90 {
		t.Errorf("found %v", h)
	}
}

func TestWhatIsUnknownHasNoSeries(t *testing.T) {
	b := newBoard()
	now := time.Now()
	set := shop(orders)
	b.publishAt(now, set, Decision{
		Group: policy.Group{Databases: set.Databases, Workloads: set.Workloads},
		Snapshot: policy.Snapshot{Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{
			orders: metrics.Known(metrics.Queue{Visible: 180}, now.Add(-time.Hour)),
		}},
		Plan: policy.Plan{
			At:        now,
			Databases: []policy.DatabasePlan{{ID: ordersDB, Unknown: "not read yet"}},
			Workloads: []policy.WorkloadPlan{{
				ID: orders, Mode: policy.Observe, Reason: policy.ReplicasUnknown, Failure: "never read",
				Uses: []policy.UsePlan{{Database: ordersDB, PerPod: 5}},
			}},
		},
	})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewPlanCollector(b.State, func() []ReadingTime { return nil }))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(byName(families)))
	want := []string{
		"headroom_workload_ceiling_replicas", "headroom_workload_declared_connections_per_pod",
		"headroom_workload_granted_connections", "headroom_workload_info", "headroom_workload_limited", "headroom_workload_target_replicas",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}

	// And what is held up, by a minimum for example, is not limited.
	for _, reason := range []policy.Reason{policy.Demand, policy.MinReplicas, policy.ScaleDownStabilization} {
		b.publish(policy.WorkloadPlan{ID: orders, Reason: reason})
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := byName(families)["headroom_workload_limited"]; ok {
			t.Errorf("limited by %s", reason)
		}
	}
}

func byName(families []*dto.MetricFamily) map[string]*dto.MetricFamily {
	out := map[string]*dto.MetricFamily{}
	for _, f := range families {
		out[f.GetName()] = f
	}
	return out
}
