package policy

import (
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// Others' past is not known after an outage longer than the window: nobody
// watched. So the window begins anew, as after a restart without memory.
func TestAnOutageLongerThanTheWindowIsNoWatching(t *testing.T) {
	db, id := metrics.ID{Namespace: "shop", Name: "orders-db"}, metrics.ID{Namespace: "shop", Name: "order-workers"}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const window = time.Minute
	g := Group{
		Databases: []Database{{ID: db, Reserve: intorpercent.Count(2), OthersWindow: window, MaxReadingAge: 10 * time.Second}},
		Workloads: []Workload{{
			ID: id, Mode: Target, Databases: []Use{{Database: db, User: "worker", ConnectionsPerPod: 3}},
			SQS: &SQS{MessagesPerPod: 10, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
		}},
	}
	server := func(name string, others int) metrics.Database {
		return metrics.Database{
			Server: name, Name: "shop", Attribution: metrics.ByAddress,
			Constraints: []metrics.Constraint{{Name: "server", Limit: 20}},
			Logins:      []metrics.Login{{User: "worker", Database: "shop", Constraints: []string{"server"}}},
			Sessions:    []metrics.Sessions{{User: "app", Database: "shop", Count: others}},
		}
	}
	var l Ledger
	decide := func(at time.Duration, d metrics.Reading[metrics.Database]) WorkloadPlan {
		now := start.Add(at)
		var p Plan
		p, l = Decide(now, g, Snapshot{
			Databases: map[metrics.ID]metrics.Reading[metrics.Database]{db: d},
			Queues:    map[metrics.ID]metrics.Reading[metrics.Queue]{id: metrics.Known(metrics.Queue{Visible: 80}, now)},
			Fleets:    map[metrics.ID]metrics.Reading[metrics.Fleet]{id: metrics.Known(metrics.Fleet{SpecReplicas: 2, StatusReplicas: 2, Pods: []metrics.Pod{{UID: "a"}, {UID: "b"}}}, now)},
		}, l)
		w, _ := p.Workload(id)
		return w
	}
	var last metrics.Reading[metrics.Database]
	for at := time.Duration(0); at <= 2*window; at += time.Second {
		last = metrics.Known(server("one", 10), start.Add(at)) // an application holds 10 of 20
		decide(at, last)
	}
	if w := decide(2*window, last); w.Target != 2 {
		t.Fatalf("beside 10 others the target is %d (%s)", w.Target, w.Sentence)
	}
	// The server is away for longer than the window, and everybody's sessions with it.
	at := 2 * window
	for ; at <= 4*window; at += time.Second {
		decide(at, last.Failed("connection refused"))
	}
	// It is back; the application has not reconnected yet.
	for range 2 {
		at += time.Second
		last = metrics.Known(server("two", 0), start.Add(at))
		if w := decide(at, last); w.Target > 2 {
			t.Errorf("%s after the server came back the target is %d (%s %s), want the present 2 until others were watched again", at-4*window, w.Target, w.Reason, w.Sentence)
		}
	}
}

// Observe changes nothing: an error would make KEDA's fallback change replicas.
func TestObserveHoldsWhateverTheQueueDoes(t *testing.T) {
	id := metrics.ID{Namespace: "shop", Name: "order-workers"}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := Group{Workloads: []Workload{{ID: id, Mode: Observe, SQS: &SQS{MessagesPerPod: 10, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute}}}}
	var l Ledger
	for at := time.Duration(0); at < 20*time.Minute; at += time.Minute {
		now := start.Add(at)
		var p Plan
		p, l = Decide(now, g, Snapshot{
			Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{id: metrics.Known(metrics.Fleet{SpecReplicas: 4, StatusReplicas: 4}, now)},
		}, l)
		if w, _ := p.Workload(id); w.Failure != "" || w.Value != 4 {
			t.Fatalf("after %s KEDA hears %v, error %q; want 4", at, w.Value, w.Failure)
		}
	}
}
