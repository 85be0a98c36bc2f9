package forecast_test

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/arrivals"
	"github.com/keda-headroom/headroom/internal/forecast"
	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// measured is what a benchmark on a real cluster came to: docs/benchmarks.
type measured struct {
	Scenario     string  `json:"scenario"`
	Contender    string  `json:"contender"`
	DrainSeconds float64 `json:"drainSeconds"`
	PeakUsed     int     `json:"peakUsed"`
	Samples      struct {
		Target []int `json:"target"`
	} `json:"samples"`
}

func measurements(t *testing.T) (out []measured) {
	t.Helper()
	f, err := os.Open("../../docs/benchmarks/results.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var m measured
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// firstSync is when the HPA first did something, in seconds: the phase of its syncs
// is chance, and decides a quarter of a minute of a drain.
func (m measured) firstSync() int {
	for i, n := range m.Samples.Target {
		if n != m.Samples.Target[0] {
			return i % 15
		}
	}
	return 0
}

var database = metrics.ID{Namespace: "shop", Name: "database"}

// burst is e2e/scenarios/burst.yaml: 1800 messages within five seconds, a database of
// 97 connections, of which another application holds 15 and sometimes one more.
func burst() forecast.World {
	return forecast.World{
		Arrivals:    arrivals.Trace{Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Intervals: []arrivals.Interval{{Length: 5 * time.Second, Count: 1800}}},
		Scale:       1,
		Service:     forecast.Service{Kind: forecast.Fixed, Mean: 4 * time.Second},
		Concurrency: 5, StartUp: time.Second, Grace: 5 * time.Second,
		Servers:     []forecast.Server{{ID: database, Limit: 97, PerPod: 5, Reserve: 10, Others: []forecast.Level{{Connections: 16}}}},
		MinReplicas: 1, MaxReplicas: 60, Patience: 240 * time.Second,
	}
}

// spike is e2e/scenarios/spike.yaml: the other application wants 20 more for half a
// minute.
func spike() forecast.World {
	w := burst()
	w.Servers[0].Others = []forecast.Level{{Connections: 16}, {At: 45 * time.Second, Connections: 36}, {At: 75 * time.Second, Connections: 16}}
	return w
}

// shopPolicy is that of the contender headroom-target.
func shopPolicy(mode policy.Mode) *policy.Group {
	return &policy.Group{
		Databases: []policy.Database{{
			ID: database, Reserve: intorpercent.Count(10), OthersWindow: 30 * time.Second, PollInterval: 2 * time.Second, MaxReadingAge: 10 * time.Second, MaxPriority: 100,
		}},
		Workloads: []policy.Workload{{
			ID: metrics.ID{Namespace: "shop", Name: "orders"}, Mode: mode,
			Databases:              []policy.Use{{Database: database, User: "worker", ApplicationName: "orders-", ConnectionsPerPod: 5}},
			SQS:                    &policy.SQS{QueueName: "orders", MessagesPerPod: 10, PollInterval: 5 * time.Second, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
			ScaleDownStabilization: time.Minute, ReadyTimeout: 10 * time.Minute,
		}},
	}
}

func contenders() map[string]forecast.Contender {
	fourteen := 14
	return map[string]forecast.Contender{
		"fixed":           {Name: "fixed", Fixed: &fourteen},
		"headroom-target": {Name: "headroom-target", Headroom: shopPolicy(policy.Target)},
		"stock":           {Name: "stock", KEDA: &forecast.KEDA{QueueLength: 10, MaxReplicas: 60}},
		"static":          {Name: "static", KEDA: &forecast.KEDA{QueueLength: 10, MaxReplicas: 14}},
	}
}

// The simulation says of the benchmarks' burst and spike what the real cluster said,
// to 10 % of drain and of peak connections.
func TestAgreesWithTheCluster(t *testing.T) {
	compared := 0
	for _, m := range measurements(t) {
		world, known := map[string]func() forecast.World{"burst": burst, "spike": spike}[m.Scenario]
		c, plays := contenders()[m.Contender]
		if !known || !plays {
			continue
		}
		w := world()
		w.SyncOffset = time.Duration(m.firstSync()) * time.Second
		if m.Contender == "static" && m.Scenario == "spike" {
			c.KEDA.MaxReplicas = 10 // what fits beside the spike
		}
		o, err := forecast.Run(t.Context(), w, c)
		if err != nil {
			t.Fatal(err)
		}
		compared++
		t.Logf("%s, %s: drain %.1f s, measured %.1f (%+.1f %%); peak %d, measured %d (%+.1f %%)", m.Scenario, m.Contender, o.DrainSeconds, m.DrainSeconds,
			100*(o.DrainSeconds/m.DrainSeconds-1), o.Databases[0].Peak, m.PeakUsed, 100*(float64(o.Databases[0].Peak)/float64(m.PeakUsed)-1))
		if math.Abs(o.DrainSeconds/m.DrainSeconds-1) > 0.1 || math.Abs(float64(o.Databases[0].Peak)/float64(m.PeakUsed)-1) > 0.1 {
			t.Errorf("%s, %s: expected within 10 %% of what was measured", m.Scenario, m.Contender)
		}
	}
	if compared < 8 {
		t.Errorf("expected to compare 8 runs, found %d", compared)
	}
}
