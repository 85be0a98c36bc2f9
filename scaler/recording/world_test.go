package recording_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// world makes decisions of a group whose queues, database and pods change at
// random, as a planner would.
type world struct {
	r      *rand.Rand
	now    time.Time
	group  policy.Group
	state  policy.Snapshot
	ledger policy.Ledger
	pods   int
	// quiet is how many of a thousand chances to change are not taken.
	quiet int
	// scaling is how long a workload keeps its number of pods, on average.
	scaling time.Duration
	// minutes is how many of them points go back.
	minutes int
	// held are the connections of each pod, by address.
	held map[string]int
}

// made is one decision.
type made struct {
	at       time.Time
	group    policy.Group
	snapshot policy.Snapshot
	ledger   policy.Ledger
	plan     policy.Plan
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func newWorld(seed uint64, name string, workloads int) *world {
	w := &world{r: rand.New(rand.NewPCG(seed, 1)), now: start, scaling: 20 * time.Second, minutes: 5, held: map[string]int{}}
	db := metrics.ID{Namespace: "platform", Name: name}
	w.group.Databases = []policy.Database{{
		ID: db, PostgreSQL: &policy.PostgreSQL{DSN: policy.DSN{File: "/dsn"}}, Reserve: intorpercent.Percent(10),
		OthersWindow: 30 * time.Minute, PollInterval: 2 * time.Second, MaxReadingAge: 10 * time.Second,
		AllowedNamespaces: []string{"*"}, MaxPriority: 100,
	}}
	for i := range workloads {
		id := metrics.ID{Namespace: "shop", Name: fmt.Sprintf("%s-workers-%03d", name, i)}
		w.group.Workloads = append(w.group.Workloads, policy.Workload{
			ID: id, Mode: []policy.Mode{policy.Observe, policy.Target, policy.Gate}[i%3], ScaledObject: id.Name,
			Databases: []policy.Use{{Database: db, User: "worker", ApplicationName: id.Name, ConnectionsPerPod: 2 + i%4}},
			SQS: &policy.SQS{
				QueueName: id.Name, MessagesPerPod: 20, PollInterval: 5 * time.Second,
				StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute,
			},
			ScaleDownStabilization: time.Minute, ReadyTimeout: 10 * time.Minute,
		})
		if i%2 == 1 {
			w.group.Workloads[i].SQS.MaxMessageAge = 2 * time.Minute
		}
	}
	w.state = policy.Snapshot{
		Databases: map[metrics.ID]metrics.Reading[metrics.Database]{},
		Queues:    map[metrics.ID]metrics.Reading[metrics.Queue]{},
		Points:    map[metrics.ID]metrics.Reading[metrics.Points]{},
		Fleets:    map[metrics.ID]metrics.Reading[metrics.Fleet]{},
	}
	return w
}

// jitter is a moment within d before now.
func (w *world) jitter(d time.Duration) time.Time {
	return w.now.Add(-time.Duration(w.r.Int64N(int64(d))))
}

func (w *world) changes() bool { return w.r.IntN(1000) >= w.quiet }

// step lets time pass, renews the readings that are due and decides.
func (w *world) step(d time.Duration) made {
	w.now = w.now.Add(d)
	next := policy.Snapshot{
		Epoch:     fmt.Sprintf("headroom-%d_0a1b2c3d", w.now.Sub(start)/(3*time.Minute)), // another leads now and then
		Databases: map[metrics.ID]metrics.Reading[metrics.Database]{},
		Queues:    map[metrics.ID]metrics.Reading[metrics.Queue]{},
		Points:    map[metrics.ID]metrics.Reading[metrics.Points]{},
		Fleets:    map[metrics.ID]metrics.Reading[metrics.Fleet]{},
	}
	due := func(began time.Time, every time.Duration) bool { return w.now.Sub(began) >= every }
	for _, wl := range w.group.Workloads {
		fleet := w.state.Fleets[wl.ID]
		queue := w.state.Queues[wl.ID]
		f, known := fleet.Last()
		if !known || w.changes() && w.r.Float64() < d.Seconds()/w.scaling.Seconds() {
			f = w.fleet(wl, f)
		}
		// Every fleet is as fresh as the watch.
		next.Fleets[wl.ID] = metrics.Known(f, w.now)
		if q, known := queue.Last(); !known || due(queue.Began(), wl.SQS.PollInterval) {
			if !known || w.changes() {
				q.Visible = max(0, q.Visible+w.r.Int64N(41)-20)
				q.InFlight = w.r.Int64N(10)
			}
			late := 20 * time.Millisecond
			if !known {
				late = wl.SQS.PollInterval // pollers don't all start at once
			}
			queue = metrics.Known(q, w.jitter(late))
			if w.quiet < 1000 && w.r.IntN(500) == 0 {
				queue = queue.Failed("dial tcp: connection refused")
			}
		}
		next.Queues[wl.ID] = queue
		points := w.state.Points[wl.ID]
		if last, known := points.Last(); !known || due(points.Began(), time.Minute) {
			points = metrics.Known(w.points(last), w.now)
		}
		next.Points[wl.ID] = points
	}
	for _, db := range w.group.Databases {
		reading := w.state.Databases[db.ID]
		if last, known := reading.Last(); !known || due(reading.Began(), db.PollInterval) {
			reading = metrics.Known(w.server(last, known, next), w.jitter(20*time.Millisecond))
			if w.quiet < 1000 && w.r.IntN(300) == 0 {
				reading = reading.Failed("timeout: no answer within 2s")
			}
		}
		next.Databases[db.ID] = reading
	}
	w.state = next
	m := made{at: w.now, group: w.group, snapshot: next, ledger: w.ledger.For(w.group)}
	var after policy.Ledger
	m.plan, after = policy.Decide(m.at, m.group, m.snapshot, m.ledger)
	w.ledger = w.ledger.With(after)
	return m
}

// points are those up to 2 minutes ago. Of the newest two minutes only a part
// was published so far.
func (w *world) points(last metrics.Points) metrics.Points {
	newest := w.now.UTC().Truncate(time.Minute).Add(-2 * time.Minute)
	known := map[time.Time]metrics.Minute{}
	for _, m := range last.Minutes {
		known[m.Start] = m
	}
	value := func(n int, old *float64, late bool) *float64 {
		if old != nil || late && w.r.IntN(2) == 0 {
			return old
		}
		v := float64(w.r.IntN(n))
		return &v
	}
	var out metrics.Points
	for start := newest.Add(-time.Duration(w.minutes-1) * time.Minute); !start.After(newest); start = start.Add(time.Minute) {
		m, late := known[start], newest.Sub(start) < 2*time.Minute
		out.Minutes = append(out.Minutes, metrics.Minute{
			Start: start, Sent: value(300, m.Sent, late), Received: value(300, m.Received, late),
			Deleted: value(300, m.Deleted, late), OldestAge: value(120, m.OldestAge, late),
		})
	}
	return out
}

// fleet lets a pod come or go.
func (w *world) fleet(wl policy.Workload, f metrics.Fleet) metrics.Fleet {
	pods := append([]metrics.Pod(nil), f.Pods...)
	if len(pods) > 0 && w.r.IntN(2) == 0 {
		i := w.r.IntN(len(pods))
		pods = append(pods[:i], pods[i+1:]...)
	} else if len(pods) < 12 {
		w.pods++
		pods = append(pods, metrics.Pod{
			UID: fmt.Sprintf("%08x-0000-4000-8000-%012x", w.r.Uint32(), w.pods), Name: fmt.Sprintf("%s-%05d", wl.ID.Name, w.pods),
			Address: fmt.Sprintf("10.%d.%d.%d", w.r.IntN(4), w.r.IntN(256), w.r.IntN(256)), CreatedAt: w.now.Truncate(time.Second),
			Revision: 1, Ready: true,
		})
	}
	return metrics.Fleet{SpecReplicas: len(pods), StatusReplicas: len(pods), MaxReplicas: 40, MaxSurge: intorpercent.Percent(25), Pods: pods}
}

// server shows the pods' connections and those of others.
func (w *world) server(last metrics.Database, known bool, s policy.Snapshot) metrics.Database {
	if known && !w.changes() {
		return last
	}
	d := metrics.Database{
		Server: "7300000000000000001/1", Name: "orders", Attribution: metrics.ByAddress,
		Constraints: []metrics.Constraint{{Name: "server", Limit: 997}, {Name: "role/worker", Limit: 600, User: "worker"}},
		Logins:      []metrics.Login{{User: "worker", Database: "orders", Constraints: []string{"server", "role/worker"}}},
		Sessions: []metrics.Sessions{
			{User: "headroom", Database: "orders", Application: "headroom", Count: 1},
			{User: "web", Database: "orders", Address: "10.9.0.1", Application: "web", Count: 20 + w.r.IntN(10)},
		},
	}
	for _, wl := range w.group.Workloads {
		f, _ := s.Fleets[wl.ID].Last()
		for _, p := range f.Pods {
			n, ok := w.held[p.Address]
			if !ok || w.r.IntN(20) == 0 {
				n = w.r.IntN(wl.Databases[0].ConnectionsPerPod + 1)
				w.held[p.Address] = n
			}
			if n > 0 {
				d.Sessions = append(d.Sessions, metrics.Sessions{User: "worker", Database: "orders", Address: p.Address, Application: wl.ID.Name, Count: n})
			}
		}
	}
	return d
}
