package replay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/internal/replay"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// fleetPolicies are those of so many workloads of one database, with an objective if it
// is more than 0.
func fleetPolicies(workloads int, objective time.Duration) policy.Set {
	db := metrics.ID{Namespace: "platform", Name: "orders"}
	set := policy.Set{Databases: []policy.Database{{
		ID: db, Reserve: intorpercent.Percent(10), OthersWindow: 30 * time.Minute, PollInterval: 2 * time.Second, MaxReadingAge: 10 * time.Second, MaxPriority: 100,
	}}}
	for i := range workloads {
		set.Workloads = append(set.Workloads, policy.Workload{
			ID: metrics.ID{Namespace: "shop", Name: fmt.Sprintf("workers-%03d", i)}, Mode: policy.Target,
			Databases:              []policy.Use{{Database: db, User: "worker", ApplicationName: fmt.Sprintf("workers-%03d", i), ConnectionsPerPod: 2 + i%4}},
			SQS:                    &policy.SQS{QueueName: "q", MessagesPerPod: 20, PollInterval: 5 * time.Second, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute, MaxMessageAge: objective},
			ScaleDownStabilization: time.Minute, ReadyTimeout: 10 * time.Minute,
		})
	}
	return set
}

// recordFleets records what a planner decides in some time for all workloads of a
// set: every queue's depth changes with every poll, and each fleet gets or loses a pod
// every five minutes, or follows its objective (see loop).
func recordFleets(tb testing.TB, dir string, set policy.Set, for_ time.Duration) {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	db, workloads := set.Databases[0].ID, len(set.Workloads)
	group := set.Groups(nil)[0]
	recorder, err := recording.Open(recording.Options{Dir: dir, MaxBytes: 1 << 30, Queue: 1000})
	if err != nil {
		tb.Fatal(err)
	}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var ledger policy.Ledger
	fleets, pods := make([]metrics.Fleet, workloads), 0
	queues := map[metrics.ID]metrics.Reading[metrics.Queue]{}
	points := map[metrics.ID]metrics.Reading[metrics.Points]{}
	following, targets := loops(r, set), map[metrics.ID]int{}
	var server metrics.Reading[metrics.Database]
	for now := start; now.Before(start.Add(for_)); now = now.Add(time.Second) {
		s := policy.Snapshot{Databases: map[metrics.ID]metrics.Reading[metrics.Database]{}, Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{}, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{}, Points: map[metrics.ID]metrics.Reading[metrics.Points]{}}
		seconds := int(now.Sub(start) / time.Second)
		for i, w := range set.Workloads {
			follows := following[w.ID]
			if follows != nil {
				follows.second(now, targets[w.ID])
				fleets[i] = follows.fleet
			} else if len(fleets[i].Pods) == 0 || r.IntN(300) == 0 {
				list := append([]metrics.Pod(nil), fleets[i].Pods...)
				if len(list) > 3 && r.IntN(2) == 0 {
					list = list[1:]
				} else {
					pods++
					list = append(list, metrics.Pod{UID: fmt.Sprintf("%08x-0000-4000-8000-%012x", r.Uint32(), pods), Name: fmt.Sprintf("%s-%05d", w.ID.Name, pods),
						Address: fmt.Sprintf("10.1.%d.%d", pods>>8&255, pods&255), CreatedAt: now, Revision: 1, Started: true, Ready: true})
				}
				fleets[i] = metrics.Fleet{SpecReplicas: len(list), StatusReplicas: len(list), MaxReplicas: 40, Pods: list}
			}
			s.Fleets[w.ID] = metrics.Known(fleets[i], now)
			if seconds%5 == i%5 {
				q, _ := queues[w.ID].Last()
				q = metrics.Queue{Visible: max(0, q.Visible+r.Int64N(41)-20), InFlight: r.Int64N(10)}
				if follows != nil {
					q = follows.queue()
				}
				queues[w.ID] = metrics.Known(q, now)
			}
			s.Queues[w.ID] = queues[w.ID]
			if follows != nil {
				if seconds%60 == 10 {
					points[w.ID] = metrics.Known(follows.points(), now)
				}
				s.Points[w.ID] = points[w.ID]
			}
		}
		if seconds%2 == 0 {
			d := metrics.Database{Server: "1/1", Name: "orders", Attribution: metrics.ByAddress, Constraints: []metrics.Constraint{{Name: "server", Limit: 1997}},
				Logins:   []metrics.Login{{User: "worker", Database: "orders", Constraints: []string{"server"}}},
				Sessions: []metrics.Sessions{{User: "web", Database: "orders", Address: "10.9.0.1", Count: 20 + r.IntN(10)}}}
			for i, w := range set.Workloads {
				for _, p := range fleets[i].Pods {
					d.Sessions = append(d.Sessions, metrics.Sessions{User: "worker", Database: "orders", Address: p.Address, Application: w.ID.Name, Count: w.Databases[0].ConnectionsPerPod})
				}
			}
			server = metrics.Known(d, now)
		}
		s.Databases[db] = server
		plan, next := policy.Decide(now, group, s, ledger)
		recorder.Record(now, group, s, ledger, plan)
		if seconds%500 == 0 {
			recorder.Flush()
		}
		ledger = next
		for _, w := range plan.Workloads {
			targets[w.ID] = w.Target
		}
	}
	if stats := recorder.Stats(); stats.Dropped > 0 {
		tb.Fatalf("%d decisions were dropped", stats.Dropped)
	}
	if err := recorder.Close(); err != nil {
		tb.Fatal(err)
	}
}

// What a day of 100 workloads takes, from some part of it; the whole with
// HEADROOM_REPLAY_HOURS=24, which takes more for each hour: there are more pods later.
// HEADROOM_REPLAY_OBJECTIVE=2m gives all of them an objective.
// With HEADROOM_REPLAY_DIR the recording is kept there, and measured again where there
// is one already.
func BenchmarkReplayDay(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as the command does
	dir, part := b.TempDir(), 20*time.Minute
	if text := os.Getenv("HEADROOM_REPLAY_HOURS"); text != "" {
		var hours float64
		if _, err := fmt.Sscan(text, &hours); err != nil {
			b.Fatal(err)
		}
		part = time.Duration(hours * float64(time.Hour))
	}
	if kept := os.Getenv("HEADROOM_REPLAY_DIR"); kept != "" {
		dir = kept
	}
	objective := time.Duration(0)
	if text := os.Getenv("HEADROOM_REPLAY_OBJECTIVE"); text != "" {
		var err error
		if objective, err = time.ParseDuration(text); err != nil {
			b.Fatal(err)
		}
	}
	set := fleetPolicies(100, objective)
	if _, err := recording.OpenReader(dir); err != nil {
		recordFleets(b, dir, set, part)
	}
	size := int64(0)
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			b.Fatal(err)
		}
		size += info.Size()
	}
	day := 0.0
	for b.Loop() {
		report, err := replay.Run(context.Background(), replay.Options{Dir: dir, Policy: set, Step: replay.DefaultStep})
		if err != nil {
			b.Fatal(err)
		}
		day = (24 * time.Hour).Seconds() / report.To.Sub(report.From).Seconds()
	}
	b.ReportMetric(float64(size)*day/(1<<20), "MiB/day")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*day, "s-to-replay/day")
}
