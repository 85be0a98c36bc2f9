package policy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// One decision for 100 workloads of 10 pods each on one database, a second after the
// one before: what a server of a large installation does once a second. Workloads
// are told apart by what their sessions call themselves, or log in as.
func BenchmarkDecide(b *testing.B) {
	for _, c := range []struct {
		name              string
		mode              policy.Mode
		user, application string
	}{
		{"Target, by application", policy.Target, "worker", "workers-%03d"},
		{"Target, by user", policy.Target, "worker-%03d", ""},
		{"Gate, by application", policy.Gate, "worker", "workers-%03d"},
	} {
		b.Run(c.name, func(b *testing.B) {
			now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			id := metrics.ID{Namespace: "platform", Name: "orders"}
			group := policy.Group{Databases: []policy.Database{{
				ID: id, Reserve: intorpercent.Percent(10), OthersWindow: 30 * time.Minute, PollInterval: 2 * time.Second, MaxReadingAge: 10 * time.Second, MaxPriority: 100,
			}}}
			d := metrics.Database{Server: "1/1", Name: "orders", Attribution: metrics.ByAddress, Constraints: []metrics.Constraint{{Name: "server", Limit: 4000}},
				Sessions: []metrics.Sessions{{User: "web", Database: "orders", Address: "10.9.0.1", Count: 20}}}
			s := policy.Snapshot{
				Epoch:     "1",
				Databases: map[metrics.ID]metrics.Reading[metrics.Database]{}, Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{}, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{},
			}
			read := func(now time.Time) {
				s.Databases[id] = metrics.Known(d, now)
				for _, w := range group.Workloads {
					fleet, _ := s.Fleets[w.ID].Last()
					s.Fleets[w.ID] = metrics.Known(fleet, now)
					queue, _ := s.Queues[w.ID].Last()
					s.Queues[w.ID] = metrics.Known(queue, now)
				}
			}
			named := func(format string, i int) string {
				if format == "worker" || format == "" {
					return format
				}
				return fmt.Sprintf(format, i)
			}
			for i := range 100 {
				w := policy.Workload{
					ID: metrics.ID{Namespace: "shop", Name: fmt.Sprintf("workers-%03d", i)}, Mode: c.mode,
					Databases:              []policy.Use{{Database: id, User: named(c.user, i), ApplicationName: named(c.application, i), ConnectionsPerPod: 2 + i%4}},
					SQS:                    &policy.SQS{QueueName: "q", MessagesPerPod: 20, PollInterval: 5 * time.Second, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
					ScaleDownStabilization: time.Minute, ReadyTimeout: 10 * time.Minute,
				}
				group.Workloads = append(group.Workloads, w)
				fleet := metrics.Fleet{SpecReplicas: 10, StatusReplicas: 10, MaxReplicas: 40}
				for j := range 10 {
					p := metrics.Pod{UID: fmt.Sprintf("%08x-0000-4000-8000-%012x", i, j), Name: fmt.Sprintf("%s-%05d", w.ID.Name, j), Address: fmt.Sprintf("10.1.%d.%d", i, j), CreatedAt: now, Revision: 1, Started: true, Ready: true}
					if c.mode == policy.Gate {
						p.Grant = map[string]int{id.String(): w.Databases[0].ConnectionsPerPod}
					}
					fleet.Pods = append(fleet.Pods, p)
					d.Sessions = append(d.Sessions, metrics.Sessions{User: w.Databases[0].User, Database: "orders", Address: p.Address, Application: w.Databases[0].ApplicationName, Count: w.Databases[0].ConnectionsPerPod})
				}
				if !hasLogin(d, w.Databases[0].User) {
					d.Logins = append(d.Logins, metrics.Login{User: w.Databases[0].User, Database: "orders", Constraints: []string{"server"}})
				}
				s.Fleets[w.ID] = metrics.Known(fleet, now)
				s.Queues[w.ID] = metrics.Known(metrics.Queue{Visible: int64(100 + 7*i)}, now)
			}
			var ledger policy.Ledger
			for range 190 { // others are watched for a whole window, looked at every 10 s
				now = now.Add(10 * time.Second)
				read(now)
				_, ledger = policy.Decide(now, group, s, ledger)
			}
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Second)
				read(now)
				_, ledger = policy.Decide(now, group, s, ledger)
			}
		})
	}
}

func hasLogin(d metrics.Database, user string) bool {
	for _, l := range d.Logins {
		if l.User == user {
			return true
		}
	}
	return false
}
