package scaler

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/policy"
)

var (
	ordersDB = metrics.ID{Namespace: "platform", Name: "orders-db"}
	orders   = metrics.ID{Namespace: "shop", Name: "order-workers"}
	invoices = metrics.ID{Namespace: "shop", Name: "invoice-workers"}
)

// shop is a policy of one database and the given workloads on it, five
// connections a pod and 20 messages a pod.
func shop(workloads ...metrics.ID) policy.Set {
	set := policy.Set{Databases: []policy.Database{{
		ID: ordersDB, PostgreSQL: &policy.PostgreSQL{DSN: policy.DSN{Env: "ORDERS_DSN"}},
		OthersWindow: time.Second, PollInterval: time.Second, MaxReadingAge: 10 * time.Second, MaxPriority: 100,
	}}}
	for _, id := range workloads {
		set.Workloads = append(set.Workloads, policy.Workload{
			ID: id, Mode: policy.Target,
			Databases:    []policy.Use{{Database: ordersDB, User: "worker", ConnectionsPerPod: 5}},
			SQS:          &policy.SQS{QueueName: id.Name, MessagesPerPod: 20, PollInterval: time.Second, StaleAfter: 10 * time.Second, ErrorAfter: time.Minute},
			ReadyTimeout: time.Minute,
		})
	}
	return set
}

// server is a reading of a server of 30 connections, none in use.
func server() metrics.Database {
	return metrics.Database{
		Server: "one", Name: "orders", Attribution: metrics.ByAddress,
		Constraints: []metrics.Constraint{{Name: "server", Limit: 30}},
		Logins:      []metrics.Login{{User: "worker", Database: "orders", Constraints: []string{"server"}}},
	}
}

// world is readings that a test sets.
type world struct {
	changed *poll.Signal

	mu       sync.Mutex
	used     []policy.Set
	snapshot policy.Snapshot
}

func newWorld() *world {
	return &world{changed: poll.NewSignal(), snapshot: policy.Snapshot{
		Databases: map[metrics.ID]metrics.Reading[metrics.Database]{},
		Queues:    map[metrics.ID]metrics.Reading[metrics.Queue]{},
		Fleets:    map[metrics.ID]metrics.Reading[metrics.Fleet]{},
	}}
}

func (w *world) Changed() <-chan struct{} { return w.changed.C() }

func (w *world) Use(set policy.Set) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used = append(w.used, set)
}

func (w *world) Snapshot(g policy.Group) policy.Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := newWorld().snapshot
	for _, d := range g.Databases {
		out.Databases[d.ID] = w.snapshot.Databases[d.ID]
	}
	for _, workload := range g.Workloads {
		out.Queues[workload.ID] = w.snapshot.Queues[workload.ID]
		out.Fleets[workload.ID] = w.snapshot.Fleets[workload.ID]
	}
	return out
}

// set changes the readings, all of them read now.
func (w *world) set(visible int64, ids ...metrics.ID) {
	w.mu.Lock()
	now := time.Now()
	w.snapshot.Databases[ordersDB] = metrics.Known(server(), now)
	for _, id := range ids {
		w.snapshot.Queues[id] = metrics.Known(metrics.Queue{Visible: visible}, now)
		w.snapshot.Fleets[id] = metrics.Known(metrics.Fleet{MaxReplicas: 50}, now)
	}
	w.mu.Unlock()
	w.changed.Notify()
}

// board is states that a test publishes.
type board struct{ state atomic.Pointer[State] }

func newBoard() *board {
	b := &board{}
	b.state.Store(newState(time.Time{}, policy.Set{}, nil))
	return b
}

func (b *board) State() *State { return b.state.Load() }

// publish makes a state of the plans, as of now.
func (b *board) publish(plans ...policy.WorkloadPlan) {
	var set policy.Set
	for _, p := range plans {
		set.Workloads = append(set.Workloads, shop(p.ID).Workloads...)
	}
	b.publishAt(time.Now(), set, Decision{Group: policy.Group{Workloads: set.Workloads}, Plan: policy.Plan{At: time.Now(), Workloads: plans}})
}

func (b *board) publishAt(at time.Time, set policy.Set, decisions ...Decision) {
	before := b.state.Swap(newState(at, set, decisions))
	close(before.next)
}

// within is how long anything that has to happen may take.
const within = time.Minute

// eventually waits until is is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.After(within)
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("%s did not come about within %s", what, within)
		case <-again.C:
		}
	}
}

// noneLeft waits until no goroutine runs anything of function any more.
func noneLeft(t testing.TB, function string) {
	t.Helper()
	eventually(t, "the end of every "+function, func() bool { return !running(function) })
}

func running(function string) bool {
	stacks := make([]byte, 16<<20)
	return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte(function))
}
