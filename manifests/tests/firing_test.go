package tests

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

// Series of an installation where all is well, one value a minute for an hour. A
// time of a reading is a minute's beginning: it is never more than a minute old.
var well = []string{
	`headroom_build_info{job="headroom", instance="a", version="v1"} 1x60`,
	`headroom_policy_valid{job="headroom", instance="a", namespace="shop", name="order-workers"} 1x60`,
	`headroom_reading_timestamp_seconds{job="headroom", instance="a", source="postgresql", name="platform/orders-db"} 0+60x60`,
	`headroom_reading_timestamp_seconds{job="headroom", instance="a", source="sqs", name="orders"} 0+60x60`,
	`headroom_reading_timestamp_seconds{job="headroom", instance="a", source="fleets", name="fleets"} 0+60x60`,
	`headroom_database_connections_limit` + server + ` 100x60`,
	`headroom_database_connections_usable` + server + ` 90x60`,
	`headroom_database_connections_used` + server + ` 90x60`,
	`headroom_database_connections_limit` + nobody + ` 0x60`,
	`headroom_database_connections_usable` + nobody + ` 0x60`,
	`headroom_database_connections_used` + nobody + ` 0x60`,
	`headroom_database_refusals_total{job="headroom", instance="a", database_namespace="platform", database="orders-db"} 7x60`,
	`headroom_workload_info` + workload(`mode="Target"`) + ` 1x60`,
	`headroom_workload_ceiling_replicas` + workload("") + ` 10x60`,
	`headroom_workload_current_replicas` + workload("") + ` 10x60`,
	`headroom_workload_limited` + workload(`reason="MaxReplicas"`) + ` 1x60`,
	`headroom_workload_objective_shortfall_connections` + workload("") + ` 0x60`,
	`headroom_workload_declared_connections_per_pod` + workload(use) + ` 5x60`,
	`headroom_workload_observed_connections_per_pod` + workload(use+`, stat="mean"`) + ` 4.5x60`,
	`headroom_workload_observed_connections_per_pod` + workload(use+`, stat="max"`) + ` 5x60`,
	`headroom_leader{job="headroom", instance="a"} 1x60`,
	`headroom_leader{job="headroom", instance="b"} 0x60`,
	`headroom_workload_oldest_gated_pod_timestamp_seconds` + workload("") + ` 0+60x60`,
	`headroom_evictions_total` + workload(`reason="Shed", result="ok"`) + ` 0+1x60`,
	`headroom_evictions_total` + workload(`reason="Shed", result="stale"`) + ` 0+1x60`,
	`headroom_evictions_total` + workload(`reason="Swap", result="blocked"`) + ` 3x60`,
	`headroom_pod_requests_total` + request("Admit", "ok") + ` 0+5x60`,
	`headroom_pod_requests_total` + request("Admit", "stale") + ` 0+1x60`,
	`headroom_pod_requests_total` + request("Condition", "denied") + ` 0+1x60`,
	`headroom_pod_requests_total` + request("Stamp", "denied") + ` 3x60`,
	`grpc_server_handled_total` + call("OK") + ` 0+10x60`,
	`grpc_server_handled_total` + call("Canceled") + ` 0+1x60`,
	`grpc_server_handled_total` + call("Unavailable") + ` 3x60`,
	`grpc_server_handled_total{job="another-scaler", instance="b", grpc_service="externalscaler.ExternalScaler", grpc_method="GetMetrics", grpc_code="Internal"} 0+10x60`,
}

const (
	server = `{job="headroom", instance="a", database_namespace="platform", database="orders-db", constraint="server"}`
	nobody = `{job="headroom", instance="a", database_namespace="platform", database="orders-db", constraint="role/nobody"}`
	use    = `database_namespace="platform", database="orders-db"`
)

func workload(more string) string {
	return `{job="headroom", instance="a", namespace="shop", workload="order-workers"` + strings.TrimSuffix(", "+more, ", ") + `}`
}

func call(code string) string {
	return `{job="headroom", instance="a", grpc_service="externalscaler.ExternalScaler", grpc_method="GetMetrics", grpc_code="` + code + `"}`
}

func request(action, result string) string {
	return `{job="headroom", instance="a", action="` + action + `", result="` + result + `"}`
}

// cases change something in the tenth minute, or before where that is said.
var cases = map[string]struct {
	becomes []string // series in place of those that have the same name and labels
	without string   // series that begin so are gone
	fires   []string // alerts, and what their texts have to say after a space
	quiet   int      // minutes in which none of them fires yet
	by      int      // the minute in which they all do
}{
	"all is well": {quiet: 60, by: 60},
	"it is not there": {
		without: "headroom_build_info", fires: []string{"HeadroomDown no metrics"}, quiet: 4, by: 5,
	},
	"a policy is wrong": {
		becomes: []string{`headroom_policy_valid{job="headroom", instance="a", namespace="shop", name="order-workers"} 1x9 0x50`},
		fires:   []string{"HeadroomPolicyInvalid shop/order-workers"}, quiet: 11, by: 12,
	},
	"KEDA gets errors": {
		becomes: []string{`grpc_server_handled_total` + call("Unavailable") + ` 0x9 1+4x50`},
		fires:   []string{"HeadroomErrorsToKEDA Unavailable"}, quiet: 19, by: 21,
	},
	"the database is full": {
		becomes: []string{`headroom_database_connections_used` + server + ` 90x9 100x50`},
		fires:   []string{"HeadroomDatabaseFull limit server", "HeadroomDatabaseNearlyFull 100 connections"}, quiet: 10, by: 15,
	},
	"the monitor is refused": {
		becomes: []string{`headroom_database_refusals_total{job="headroom", instance="a", database_namespace="platform", database="orders-db"} 7x9 8+1x50`},
		fires:   []string{"HeadroomDatabaseFull platform/orders-db. Whoever"}, quiet: 10, by: 11,
	},
	"the reserve is in use": {
		becomes: []string{`headroom_database_connections_used` + server + ` 90x9 91x50`},
		fires:   []string{"HeadroomDatabaseNearlyFull 91 connections"}, quiet: 14, by: 15,
	},
	"the reserve is in use for four minutes": {
		becomes: []string{`headroom_database_connections_used` + server + ` 90x9 91x3 90x50`}, quiet: 60, by: 60,
	},
	"the database can't be read": {
		becomes: []string{`headroom_reading_timestamp_seconds{job="headroom", instance="a", source="postgresql", name="platform/orders-db"} 0+60x9 540x50`},
		fires:   []string{"HeadroomDatabaseReadingStale platform/orders-db is 4m 0s old"}, quiet: 12, by: 13,
	},
	"the queue can't be read": {
		becomes: []string{`headroom_reading_timestamp_seconds{job="headroom", instance="a", source="sqs", name="orders"} 0+60x9 540x50`},
		fires:   []string{"HeadroomQueueReadingStale of orders is"}, quiet: 13, by: 14,
	},
	"pods can't be read": {
		becomes: []string{`headroom_reading_timestamp_seconds{job="headroom", instance="a", source="fleets", name="fleets"} 0+60x9 540x50`},
		fires:   []string{"HeadroomFleetReadingStale Nobody scales out"}, quiet: 12, by: 13,
	},
	"the budget is spent, whichever reason names it": {
		without: "headroom_workload_limited",
		becomes: []string{
			`headroom_workload_limited` + workload(`reason="ConnectionBudget"`) + ` _x10 1x7 stale _x42`,
			`headroom_workload_limited` + workload(`reason="FairShare"`) + ` _x18 1x42`,
		},
		fires: []string{"HeadroomBudgetExhausted shop/order-workers"}, quiet: 24, by: 25,
	},
	"the budget was spent for a while": {
		without: "headroom_workload_limited",
		becomes: []string{`headroom_workload_limited` + workload(`reason="ConnectionBudget"`) + ` _x10 1x10 stale _x39`},
		quiet:   60, by: 60,
	},
	"the objective lacks connections": {
		becomes: []string{`headroom_workload_objective_shortfall_connections` + workload("") + ` 0x9 15x50`},
		fires:   []string{"HeadroomObjectiveUnreachable lacked 15 connections"}, quiet: 11, by: 12,
	},
	"there are more replicas than the ceiling": {
		becomes: []string{`headroom_workload_current_replicas` + workload("") + ` 10x9 12x50`},
		fires:   []string{"HeadroomCapBypassed 12 replicas"}, quiet: 14, by: 15,
	},
	"there are more replicas than the ceiling in mode Observe": {
		without: "headroom_workload_info",
		becomes: []string{
			`headroom_workload_info` + workload(`mode="Observe"`) + ` 1x60`,
			`headroom_workload_current_replicas` + workload("") + ` 10x9 12x50`,
		},
		quiet: 60, by: 60,
	},
	"a pod holds more than is declared": {
		becomes: []string{`headroom_workload_observed_connections_per_pod` + workload(use+`, stat="max"`) + ` 5x9 8x50`},
		fires:   []string{"HeadroomConnectionsUnderdeclared holds 8 connections to platform/orders-db"}, quiet: 14, by: 15,
	},
	"pods hold more on average, and can't be told apart": {
		without: `headroom_workload_observed_connections_per_pod`,
		becomes: []string{`headroom_workload_observed_connections_per_pod` + workload(use+`, stat="mean"`) + ` 5x9 5.5x50`},
		fires:   []string{"HeadroomConnectionsUnderdeclared 5.5"}, quiet: 14, by: 15,
	},
	"nobody leads": {
		becomes: []string{`headroom_leader{job="headroom", instance="a"} 1x9 0x50`},
		fires:   []string{"HeadroomNoLeader scraped as headroom leads"}, quiet: 11, by: 12,
	},
	"another takes over": {
		becomes: []string{`headroom_leader{job="headroom", instance="a"} 1x9 0x50`, `headroom_leader{job="headroom", instance="b"} 0x10 1x49`}, quiet: 60, by: 60,
	},
	"two lead": {
		becomes: []string{`headroom_leader{job="headroom", instance="b"} 0x9 1x50`},
		fires:   []string{"HeadroomTwoLeaders 2 replicas"}, quiet: 11, by: 12,
	},
	"a pod waits": {
		becomes: []string{`headroom_workload_oldest_gated_pod_timestamp_seconds` + workload("") + ` 0+60x9 540x50`},
		fires:   []string{"HeadroomPodsWaiting shop/order-workers that waits at the gate was created 21m 0s ago"}, quiet: 29, by: 30,
	},
	"pods wait that nobody governs": {
		becomes: []string{`headroom_ungoverned_gated_pods{namespace="shop"} _x9 2x50`},
		fires:   []string{"HeadroomPodsUngoverned 2 pods in namespace shop"}, quiet: 13, by: 15,
	},
	"a pod waits that nobody governs for a moment": {
		becomes: []string{`headroom_ungoverned_gated_pods{namespace="shop"} _x9 1x3 stale _x47`}, quiet: 60, by: 60,
	},
	"a pod waits for ten minutes": {
		becomes: []string{`headroom_workload_oldest_gated_pod_timestamp_seconds` + workload("") + ` 0+60x9 540x10 stale _x39`}, quiet: 60, by: 60,
	},
	"a budget keeps pods that have to go": {
		becomes: []string{`headroom_evictions_total` + workload(`reason="Shed", result="blocked"`) + ` _x9 0+10x50`},
		fires:   []string{"HeadroomEvictionsBlocked shop/order-workers (Shed)"}, quiet: 13, by: 15,
	},
	"pods may not be evicted": {
		becomes: []string{`headroom_evictions_total` + workload(`reason="ReadyTimeout", result="denied"`) + ` _x9 0+10x50`},
		fires:   []string{"HeadroomEvictionsBlocked shop/order-workers (ReadyTimeout)"}, quiet: 13, by: 15,
	},
	"a budget keeps a pod for a moment": {
		becomes: []string{`headroom_evictions_total` + workload(`reason="Swap", result="blocked"`) + ` 3x9 4x50`}, quiet: 60, by: 60,
	},
	"pods may not be written to": {
		becomes: []string{`headroom_pod_requests_total` + request("Stamp", "denied") + ` 3x9 4+10x50`},
		fires:   []string{"HeadroomGateStuck gated pods (Stamp)"}, quiet: 13, by: 15,
	},
	"a workload can't be decided for": {
		without: "headroom_workload_limited",
		becomes: []string{`headroom_workload_limited` + workload(`reason="DatabaseUnknown"`) + ` _x10 1x50`},
		fires:   []string{"HeadroomWorkloadFrozen shop/order-workers"}, quiet: 19, by: 20,
	},
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	proved := map[string]bool{}
	for name, c := range cases {
		for _, f := range c.fires {
			proved[strings.Fields(f)[0]] = true
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			firing := evaluate(t, world(c.becomes, c.without))
			for minute := range c.quiet + 1 {
				for _, f := range c.fires {
					if alert, _, _ := strings.Cut(f, " "); len(firing[minute][alert]) > 0 {
						t.Fatalf("%s fires in minute %d, want %d", alert, minute, c.by)
					}
				}
			}
			var wanted []string
			for _, f := range c.fires {
				alert, words, _ := strings.Cut(f, " ")
				wanted = append(wanted, alert)
				if text := firing[c.by][alert]; len(text) != 1 || !strings.Contains(text[0], words) {
					t.Errorf("in minute %d %s says %q, want it once, and to say %q", c.by, alert, text, words)
				}
			}
			for minute, alerts := range firing {
				for alert, text := range alerts {
					if !slices.Contains(wanted, alert) {
						t.Fatalf("%s fires in minute %d: %s", alert, minute, text)
					}
					for _, s := range text {
						if strings.Contains(s, "<no value>") || strings.Contains(s, "error executing template") {
							t.Errorf("%s says %s", alert, s)
						}
					}
				}
			}
		})
	}
	for alert := range alerts(t) {
		if !proved[alert] {
			t.Errorf("nothing shows that %s can fire", alert)
		}
	}
}

// world is all that is well, with something changed.
func world(becomes []string, without string) string {
	b := strings.Builder{}
	b.WriteString("load 1m\n")
	series := func(s string) string { return s[:strings.LastIndex(s, "}")] }
	for _, s := range well {
		gone := without != "" && strings.HasPrefix(s, without)
		if gone || slices.ContainsFunc(becomes, func(other string) bool { return series(other) == series(s) }) {
			continue
		}
		fmt.Fprintf(&b, "  %s\n", s)
	}
	for _, s := range becomes {
		fmt.Fprintf(&b, "  %s\n", s)
	}
	return b.String()
}

// evaluate plays an hour of series and returns, for each minute, the descriptions
// of the alerts that fire.
func evaluate(t *testing.T, series string) []map[string][]string {
	t.Helper()
	suite, err := promqltest.NewLazyLoader(series, promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true})
	if err != nil {
		t.Fatalf("%v in\n%s", err, series)
	}
	defer func() { _ = suite.Close() }()
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc: rules.EngineQueryFunc(suite.QueryEngine(), suite.Storage()), Appendable: suite.Storage(),
		Context: t.Context(), Logger: promslog.NewNopLogger(), Parser: parser.NewParser(parser.Options{}),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
	})
	groups, problems := manager.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, alertsFile)
	for _, err := range problems {
		t.Fatal(err)
	}
	var firing []map[string][]string
	for minute := range 61 {
		at := time.Unix(0, 0).UTC().Add(time.Duration(minute) * time.Minute)
		now := map[string][]string{}
		suite.WithSamplesTill(at, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range groups {
				g.Eval(suite.Context(), at)
				for _, r := range g.Rules() {
					if err := r.LastError(); err != nil {
						t.Fatalf("%s: %v", r.Name(), err)
					}
					for _, a := range r.(*rules.AlertingRule).ActiveAlerts() {
						if a.State == rules.StateFiring {
							now[r.Name()] = append(now[r.Name()], a.Annotations.Get("summary")+"\n"+a.Annotations.Get("description"))
						}
					}
				}
			}
		})
		firing = append(firing, now)
	}
	return firing
}
