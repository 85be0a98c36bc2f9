package why_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/why"
)

// gated answers for a workload in mode Gate of which the database carries 4 pods: 2
// run, and the given ones are there besides. It has been watched for two minutes.
func gated(t *testing.T, epoch string, change func(fleet *metrics.Fleet)) why.Answer {
	t.Helper()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	database, workers := metrics.ID{Namespace: "platform", Name: "orders-db"}, metrics.ID{Namespace: "shop", Name: "order-workers"}
	group := policy.Set{
		Databases: []policy.Database{{
			ID: database, Reserve: intorpercent.Count(10), OthersWindow: time.Minute,
			PollInterval: 2 * time.Second, MaxReadingAge: 10 * time.Second, MaxPriority: 100, AllowedNamespaces: []string{"shop"},
		}},
		Workloads: []policy.Workload{{
			ID: workers, Mode: policy.Gate, Databases: []policy.Use{{Database: database, User: "worker", ConnectionsPerPod: 5}},
			SQS:          &policy.SQS{QueueName: "orders", MessagesPerPod: 20, PollInterval: 5 * time.Second, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
			ReadyTimeout: 10 * time.Minute,
		}},
	}.Groups(nil)[0]
	var ledger policy.Ledger
	for i := 0; ; i++ {
		at := start.Add(time.Duration(i) * time.Second)
		fleet := metrics.Fleet{SpecReplicas: 6, StatusReplicas: 6, MaxReplicas: 40}
		var sessions []metrics.Sessions
		for j := range 2 {
			address := fmt.Sprintf("10.0.0.%d", j+1)
			fleet.Pods = append(fleet.Pods, metrics.Pod{
				UID: address, Name: "order-workers-" + address, Address: address, Ready: true, Started: true,
				CreatedAt: start.Add(-time.Hour), Grant: map[string]int{database.String(): 5},
			})
			sessions = append(sessions, metrics.Sessions{User: "worker", Database: "orders", Address: address, Count: 5})
		}
		s := policy.Snapshot{
			Epoch: epoch,
			Databases: map[metrics.ID]metrics.Reading[metrics.Database]{database: metrics.Known(metrics.Database{
				Server: "a", Name: "orders", Attribution: metrics.ByAddress,
				Constraints: []metrics.Constraint{{Name: "server", Limit: 30}},
				Logins:      []metrics.Login{{User: "worker", Database: "orders", Constraints: []string{"server"}}},
				Sessions:    sessions,
			}, at)},
			Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{workers: metrics.Known(metrics.Queue{Visible: 190}, at)},
		}
		last := i == 120
		if last {
			change(&fleet)
		}
		s.Fleets = map[metrics.ID]metrics.Reading[metrics.Fleet]{workers: metrics.Known(fleet, at)}
		if last {
			a, ok := why.Current(at, group, s, ledger, workers)
			if !ok {
				t.Fatal("no answer")
			}
			return a
		}
		_, ledger = policy.Decide(at, group, s, ledger)
	}
}

// atTheGate is a pod that came a while before the answer.
func atTheGate(name, epoch string, others bool) metrics.Pod {
	return metrics.Pod{
		UID: name, Name: "order-workers-" + name, Version: "7", Epoch: epoch, Gated: true, OtherGates: others,
		CreatedAt: time.Date(2026, 3, 1, 12, 1, 30, 0, time.UTC),
	}
}

func TestWhoWaitsAtTheGate(t *testing.T) {
	// Two more fit, three wait for them, one for somebody else, and one for the term.
	a := gated(t, "t1", func(fleet *metrics.Fleet) {
		fleet.Pods = append(fleet.Pods, atTheGate("a", "t1", false), atTheGate("b", "t1", false), atTheGate("c", "t1", false), atTheGate("d", "t1", true))
	})
	if g := a.Gate; g == nil || g.Waiting != 4 || g.Passing != 2 || g.Held != 1 || g.OtherGates != 1 || g.Sealed != 0 {
		t.Fatalf("found %+v", a.Gate)
	}
	want := "4 pods wait at the gate, the longest for 30s: 2 may pass now, 1 once their other scheduling gates are gone, 1 because platform/orders-db server carries 4 replicas at 5 per pod"
	if !strings.HasPrefix(a.Gate.Sentence, want) {
		t.Errorf("expected %s…, found %s", want, a.Gate.Sentence)
	}

	a = gated(t, "t2", func(fleet *metrics.Fleet) { fleet.Pods = append(fleet.Pods, atTheGate("a", "t1", false)) })
	if g := a.Gate; g == nil || g.Sealed != 1 || !strings.Contains(g.Sentence, "1 pod waits at the gate, the longest for 30s: 1 once the leader's term stands on them") {
		t.Errorf("found %+v", g)
	}

	a = gated(t, "", func(fleet *metrics.Fleet) { fleet.Pods = append(fleet.Pods, atTheGate("a", "t1", false)) })
	if g := a.Gate; g == nil || g.Held != 1 || !strings.Contains(g.Sentence, "1 until this process leads") {
		t.Errorf("found %+v", g)
	}

	if a = gated(t, "t1", func(*metrics.Fleet) {}); a.Gate != nil {
		t.Errorf("nobody waits, found %+v", a.Gate)
	}
}
