package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/policies"
)

var (
	ordersDB = metrics.ID{Namespace: "platform", Name: "orders-db"}
	orders   = metrics.ID{Namespace: "shop", Name: "order-workers"}
	here     = Installation{Cluster: "one", Namespace: "headroom"}
)

// set is a policy of one workload, in a mode, whose others are watched for a
// minute.
func set(mode policy.Mode) policy.Set {
	return policy.Set{
		Databases: []policy.Database{{
			ID: ordersDB, PostgreSQL: &policy.PostgreSQL{DSN: policy.DSN{Env: "ORDERS_DSN"}}, AllowedNamespaces: []string{"*"},
			OthersWindow: time.Minute, PollInterval: time.Second, MaxReadingAge: 10 * time.Second,
		}},
		Workloads: []policy.Workload{{
			ID: orders, Mode: mode, ReadyTimeout: time.Minute,
			Databases: []policy.Use{{Database: ordersDB, User: "worker", ConnectionsPerPod: 5}},
			SQS:       &policy.SQS{QueueName: "orders", MessagesPerPod: 10, StaleAfter: time.Minute, ErrorAfter: time.Minute},
		}},
	}
}

// readings are those of a server of 50 connections, of which others hold some;
// one pod runs, one waits at the gate, and 100 messages wait.
type readings struct {
	now    time.Time
	others int
}

func (readings) Use(policy.Set)           {}
func (readings) Changed() <-chan struct{} { return nil }
func (r readings) Snapshot(policy.Group) policy.Snapshot {
	return policy.Snapshot{
		Epoch: "t",
		Databases: map[metrics.ID]metrics.Reading[metrics.Database]{ordersDB: metrics.Known(metrics.Database{
			Server: "s1", Name: "orders", Attribution: metrics.ByAddress,
			Constraints: []metrics.Constraint{{Name: "server", Limit: 50}},
			Logins:      []metrics.Login{{User: "worker", Database: "orders", Constraints: []string{"server"}}},
			Sessions: []metrics.Sessions{
				{User: "app", Database: "orders", Address: "10.0.0.9", Count: r.others},
				{User: "worker", Database: "orders", Address: "10.0.0.1", Count: 7},
			},
		}, r.now)},
		Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{orders: metrics.Known(metrics.Queue{Visible: 100}, r.now)},
		Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{orders: metrics.Known(metrics.Fleet{
			SpecReplicas: 2, StatusReplicas: 2,
			Pods: []metrics.Pod{
				{UID: "1", Name: "w-1", Address: "10.0.0.1", Ready: true, Grant: map[string]int{ordersDB.String(): 5}},
				{UID: "2", Name: "w-2", Gated: true, Epoch: "t", Version: "1"},
			},
		}, r.now)},
	}
}

// plan returns the state after one plan from a ledger.
func plan(t *testing.T, mode policy.Mode, from readings, ledger policy.Ledger) *scaler.State {
	t.Helper()
	p := scaler.NewPlanner(scaler.PlannerOptions{
		Readings: from, Now: func() time.Time { return from.now }, Ledger: func() policy.Ledger { return ledger },
	})
	before := p.State()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	defer func() { cancel(); <-done }()
	p.SetPolicy(set(mode))
	select {
	case <-before.Next():
	case <-time.After(time.Minute):
		t.Fatal("no plan within a minute")
	}
	return p.State()
}

// watchedLedger is what two minutes of watching left.
func watchedLedger(mode policy.Mode, now time.Time) policy.Ledger {
	var ledger policy.Ledger
	g := set(mode).Groups(nil)[0]
	for ago := 2 * time.Minute; ago > 0; ago -= 5 * time.Second {
		others := 4
		if ago == 30*time.Second {
			others = 11
		}
		at := now.Add(-ago)
		_, ledger = policy.Decide(at, g, readings{at, others}.Snapshot(g), ledger)
	}
	return ledger
}

func kept(content string) []policies.Describing {
	return []policies.Describing{
		{
			Kept: policies.Kept{Origin: "configmaps", Key: "platform/db/policy.yaml", Content: []byte(content), Source: policy.Source{
				Namespace: "platform", Name: "db", Where: "ConfigMap platform/db policy.yaml", CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			}},
			Databases: []metrics.ID{ordersDB},
		},
		{Kept: policies.Kept{Origin: "configmaps", Key: "other", Content: []byte("a: 1")}, Databases: []metrics.ID{{Namespace: "x", Name: "y"}}},
	}
}

func store(client *fake.Clientset, log *bytes.Buffer) *Store {
	return New(Options{Client: client, Installation: here, Log: slog.New(slog.NewTextHandler(log, nil))})
}

func TestARestartForgetsNothingThatMatters(t *testing.T) {
	for _, mode := range []policy.Mode{policy.Target, policy.Gate} {
		t.Run(string(mode), func(t *testing.T) {
			now := time.Now()
			client, log := fake.NewClientset(), &bytes.Buffer{}
			before := store(client, log)
			before.Keep(kept("# dsn: postgres://hunter2\nkind: Policy # hunter2\n"))
			before.write(t.Context(), plan(t, mode, readings{now, 4}, watchedLedger(mode, now)), false)

			object, err := client.CoreV1().ConfigMaps("headroom").Get(t.Context(), Name(ordersDB), metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if all := fmt.Sprint(object); strings.Contains(all, "hunter2") || strings.Contains(all, "10.0.0.9") || object.Labels[Label] != "true" {
				t.Errorf("expected a labeled object without comments and sessions, found %s", all)
			}
			if text := object.Data[planKey]; !strings.Contains(text, "platform/orders-db server: limit 50") || !strings.Contains(text, "workload shop/order-workers") {
				t.Errorf("expected the plan in short, found %s", text)
			}

			loaded, err := store(client, log).Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(loaded.Kept) != 1 || string(loaded.Kept[0].Content) != "kind: Policy\n" || loaded.Kept[0].Source != kept("")[0].Source {
				t.Errorf("expected the database's policy, found %+v", loaded.Kept)
			}
			later := readings{now.Add(5 * time.Second), 4}
			with := plan(t, mode, later, loaded.Ledger).Decisions[0].Plan
			if c := with.Databases[0].Constraints[0]; with.Databases[0].Starting != "" || c.OthersHighWater != 11 {
				t.Errorf("expected others' high water of 11 and nothing to wait for, found %+v", with.Databases[0])
			}
			if u := with.Workloads[0].Uses[0]; u.PerPod != 7 {
				t.Errorf("expected a pod to count as the 7 connections that one was seen to hold, found %+v", u)
			}
			without := plan(t, mode, later, policy.Ledger{}).Decisions[0].Plan
			w := without.Workloads[0]
			if without.Databases[0].Starting == "" || w.Reason != policy.Starting || w.Target != 2 || len(w.Admissions) != 0 {
				t.Errorf("without memory: expected nothing beyond the present 2 replicas, and no admission, found %+v", w)
			}
			if got := with.Workloads[0]; got.Target <= 2 || (mode == policy.Gate && len(got.Admissions) != 1) {
				t.Errorf("with memory: expected to scale out, found %+v", got)
			}
			if log.Len() > 0 {
				t.Errorf("expected a quiet log, found %s", log)
			}
		})
	}
}

func TestDamageIsMissing(t *testing.T) {
	now := time.Now()
	client, log := fake.NewClientset(), &bytes.Buffer{}
	state := plan(t, policy.Target, readings{now, 4}, watchedLedger(policy.Target, now))
	store(client, log).write(t.Context(), state, false)
	maps := client.CoreV1().ConfigMaps("headroom")
	object, err := maps.Get(t.Context(), Name(ordersDB), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	object.Data[dataKey] = object.Data[dataKey][:len(object.Data[dataKey])/2]
	if _, err := maps.Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s := store(client, log)
	if loaded, err := s.Load(t.Context()); err != nil || len(loaded.Ledger.Databases) != 0 || !strings.Contains(log.String(), "can't be understood") {
		t.Errorf("expected nothing and a line in the log, found %+v, %v, %s", loaded, err, log)
	}
	s.write(t.Context(), state, false)
	if loaded, err := s.Load(t.Context()); err != nil || len(loaded.Ledger.Databases) != 1 {
		t.Errorf("expected it to be mended by the next write, found %+v, %v", loaded, err)
	}
}

func TestWritesAreFew(t *testing.T) {
	now := time.Now()
	client, log := fake.NewClientset(), &bytes.Buffer{}
	s := store(client, log)
	writes := func() (n int) {
		for _, a := range client.Actions() {
			if a.GetVerb() == "create" {
				n++
			}
			if a.GetVerb() == "update" {
				n++
			}
		}
		return n - 1 // an update came before the create
	}
	ledger := watchedLedger(policy.Target, now)
	s.write(t.Context(), plan(t, policy.Target, readings{now, 4}, ledger), false)
	s.write(t.Context(), plan(t, policy.Target, readings{now, 40}, ledger), false)
	if writes() != 1 {
		t.Errorf("expected one write within five seconds, found %d", writes())
	}
	s.write(t.Context(), plan(t, policy.Target, readings{now, 4}, ledger), true)
	if writes() != 1 {
		t.Errorf("expected no write of the same at the end, found %d", writes())
	}
	s.write(t.Context(), plan(t, policy.Target, readings{now, 40}, ledger), true)
	if writes() != 2 {
		t.Errorf("expected a last write at the end, found %d", writes())
	}
	none := &scaler.State{At: now}
	s.write(t.Context(), none, false)
	if list, err := client.CoreV1().ConfigMaps("headroom").List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 0 {
		t.Errorf("expected the object of a database that nobody describes to be deleted, found %v, %v", list, err)
	}
}

func TestTwoInstallationsOnOneDatabase(t *testing.T) {
	now := time.Now()
	client, log := fake.NewClientset(), &bytes.Buffer{}
	state := plan(t, policy.Target, readings{now, 4}, watchedLedger(policy.Target, now))
	other := New(Options{Client: client, Installation: Installation{"one", "headroom-2"}})
	other.write(t.Context(), state, false)
	s := store(client, log)
	var said []string
	s.options.Shared = func(object, sentence string) { said = append(said, object+": "+sentence) }
	for range 2 {
		if err := s.warn(t.Context(), serversOf(state)); err != nil {
			t.Fatal(err)
		}
	}
	if len(said) != 1 || !strings.Contains(said[0], "namespace headroom-2") || !strings.HasPrefix(said[0], Name(ordersDB)) || !strings.Contains(log.String(), "two installations") {
		t.Errorf("expected one warning that names the other, found %q and %s", said, log)
	}
}

func TestARecordIsBounded(t *testing.T) {
	r := record{Version: version, Database: ordersDB, Workloads: map[metrics.ID]workload{}}
	for i := range 300 {
		var p policy.Peak
		for j := range 34 {
			p.Values = append(p.Values, policy.PeakValue{At: time.Unix(int64(j), 0), Value: 100 - j})
		}
		r.Workloads[metrics.ID{Namespace: "shop", Name: fmt.Sprint("workers-", i)}] = workload{PerPod: p}
	}
	data, left, err := encode(r)
	if err != nil || left != "" {
		t.Fatalf("expected coarser peaks to fit, found %q, %v", left, err)
	}
	back, err := parse(data)
	if p := back.Workloads[metrics.ID{Namespace: "shop", Name: "workers-7"}].PerPod; err != nil || len(p.Values) != 1 || p.Values[0].Value != 100 || !p.Values[0].At.Equal(time.Unix(33, 0)) {
		t.Errorf("expected the largest value at the latest time, found %+v, %v", p, err)
	}
	r.Policies = []keptPolicy{{Origin: "o", Key: "k", Where: "w", Content: strings.Repeat("x", maxSize)}}
	if data, left, err = encode(r); err != nil || left == "" || len(data) > maxSize {
		t.Errorf("expected to be told what is left out, found %q, %d bytes, %v", left, len(data), err)
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []metrics.ID{ordersDB, {Namespace: "platform-orders", Name: "db"}, {Namespace: "platform", Name: "Orders_db"}, {Namespace: strings.Repeat("n", 63), Name: strings.Repeat("d.", 120)}} {
		name := Name(id)
		if seen[name] || len(name) > 253 || name != Name(id) || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("found the name %q of %s", name, id)
		}
		seen[name] = true
	}
}

func FuzzParse(f *testing.F) {
	whole, err := json.Marshal(record{
		Version: version, Database: ordersDB, Installation: here, Written: time.Unix(1, 0), Server: "s",
		Others:    map[string]policy.Peak{"server": {Since: time.Unix(1, 0), Values: []policy.PeakValue{{At: time.Unix(2, 0), Value: 3}}}},
		Workloads: map[metrics.ID]workload{orders: {}},
		Policies:  []keptPolicy{{Origin: "o", Key: "k", Where: "w"}},
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(whole), "{}", `{"version":1,"database":"a/b"}`, `{"version":2}`, "null", "[]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parse(data)
		if err != nil {
			return
		}
		written, left, err := encode(r)
		if err != nil || left != "" {
			return // times that JSON can't hold, or larger than what was read
		}
		again, err := parse(written)
		if err != nil {
			t.Fatalf("what was written can't be read: %v\n%s", err, written)
		}
		if twice, _, err := encode(again); err != nil || !bytes.Equal(twice, written) {
			t.Fatalf("%v: wrote %s, then %s", err, written, twice)
		}
	})
}
