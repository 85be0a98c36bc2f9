package policy

import (
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// While the Kubernetes API is away, the pods that it showed last stay counted.
// Half a minute after that nobody scales out and no gate opens.
func TestPodsThatNobodyShowsAnyMore(t *testing.T) {
	db, id := metrics.ID{Namespace: "shop", Name: "orders-db"}, metrics.ID{Namespace: "shop", Name: "order-workers"}
	for _, mode := range []Mode{Target, Gate} {
		t.Run(string(mode), func(t *testing.T) {
			start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			g := Group{
				Databases: []Database{{ID: db, Reserve: intorpercent.Count(2), OthersWindow: time.Hour, MaxReadingAge: time.Minute}},
				Workloads: []Workload{{
					ID: id, Mode: mode, Databases: []Use{{Database: db, User: "worker", ConnectionsPerPod: 3}},
					SQS: &SQS{MessagesPerPod: 10, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
				}},
			}
			// 20 less 2 in reserve carry 6 pods of 3; 3 run, and with a gate one more waits.
			server := metrics.Database{
				Server: "one", Name: "shop", Attribution: metrics.ByAddress,
				Constraints: []metrics.Constraint{{Name: "server", Limit: 20}},
				Logins:      []metrics.Login{{User: "worker", Database: "shop", Constraints: []string{"server"}}},
			}
			shown := metrics.Fleet{SpecReplicas: 3, StatusReplicas: 3}
			for _, uid := range []string{"a", "b", "c"} {
				shown.Pods = append(shown.Pods, metrics.Pod{UID: uid, Name: uid, Ready: true})
			}
			queue := metrics.Queue{Visible: 25}
			var l Ledger
			decide := func(at time.Duration, pods metrics.Reading[metrics.Fleet]) (WorkloadPlan, ConstraintPlan) {
				t.Helper()
				now := start.Add(at)
				var p Plan
				p, l = Decide(now, g, Snapshot{Epoch: term,
					Databases: map[metrics.ID]metrics.Reading[metrics.Database]{db: metrics.Known(server, now)},
					Queues:    map[metrics.ID]metrics.Reading[metrics.Queue]{id: metrics.Known(queue, now)},
					Fleets:    map[metrics.ID]metrics.Reading[metrics.Fleet]{id: pods},
				}, l)
				w, _ := p.Workload(id)
				return w, p.Databases[0].Constraints[0]
			}
			for _, before := range []time.Duration{-2 * time.Hour, -time.Hour, 0} { // others are watched for long enough
				decide(before, metrics.Known(shown, start.Add(before)))
			}
			if w, _ := decide(2*time.Second, metrics.Known(shown, start.Add(2*time.Second))); w.Target != 3 || w.Reason != Demand {
				t.Fatalf("at first the target is %d because of %s, want 3 because of Demand", w.Target, w.Reason)
			}

			shown.Pods = append(shown.Pods, metrics.Pod{UID: "d", Name: "d", Gated: mode == Gate, Epoch: term})
			if mode == Gate {
				shown.SpecReplicas, shown.StatusReplicas = 4, 4
			} else {
				shown.Pods = shown.Pods[:3]
			}
			// The API shows this, and is away from then on. Whether it is read again
			// does not matter: its age does.
			last := 3 * time.Second
			gone := metrics.Known(shown, start.Add(last)).Failed("connection refused")
			decide(last, gone)
			queue.Visible = 80
			w, c := decide(last+fleetMaxAge, gone)
			if w.Target != 6 || w.Reason != ConnectionBudget {
				t.Errorf("after %s the target is %d because of %s, want 6 because of ConnectionBudget", fleetMaxAge, w.Target, w.Reason)
			}
			held := c.Granted
			for _, late := range []time.Duration{time.Nanosecond, time.Minute, time.Hour} {
				w, c = decide(last+fleetMaxAge+late, gone)
				if w.Target != shown.SpecReplicas || w.Reason != ReplicasUnknown {
					t.Errorf("%s later the target is %d because of %s, want %d because of ReplicasUnknown", late, w.Target, w.Reason, shown.SpecReplicas)
				}
				if c.Granted != held || w.Holding*3 != held {
					t.Errorf("%s later %d connections of %d pods are counted, before it were %d", late, c.Granted, w.Holding, held)
				}
				if len(w.Admissions) > 0 {
					t.Errorf("%s later admitted %v", late, w.Admissions)
				}
				if w.Failure != "" {
					t.Errorf("%s later no value for KEDA, though the last replicas are known: %s", late, w.Failure)
				}
			}

			back := last + fleetMaxAge + 2*time.Hour
			if w, _ = decide(back, metrics.Known(shown, start.Add(back))); w.Target != 6 {
				t.Errorf("with the API back the target is %d because of %s (%s), want 6", w.Target, w.Reason, w.Sentence)
			}
		})
	}
}
