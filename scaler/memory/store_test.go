package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
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
	return planOf(t, set(mode), from, ledger)
}

func planOf(t *testing.T, of policy.Set, from readings, ledger policy.Ledger) *scaler.State {
	t.Helper()
	p := scaler.NewPlanner(scaler.PlannerOptions{
		Readings: from, Now: func() time.Time { return from.now }, Ledger: func() policy.Ledger { return ledger },
	})
	before := p.State()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	defer func() { cancel(); <-done }()
	p.SetPolicy(of)
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

// watchedFlow is what was learned of a queue in which 3 messages come in a second,
// until a second ago: a pod does 2 in a second.
func watchedFlow(now time.Time) policy.Flow {
	f := policy.Flow{At: now.Add(-time.Second), Queue: metrics.Queue{Visible: 96, InFlight: 4}, Service: 0.5, ServiceDoubt: 0.003, Startups: []float64{20, 25}}
	for range 12 {
		f.Came = append(f.Came, policy.Interval{Seconds: 5, Messages: 15, Done: 6})
	}
	for _, ago := range []time.Duration{4 * time.Minute, 3 * time.Minute} {
		f.Rates = append(f.Rates, policy.Rate{At: now.Add(-ago), PerPod: 2, InFlight: 1})
	}
	return f
}

// pursued is a state in which an objective is followed.
func pursued(t *testing.T, now time.Time) *scaler.State {
	t.Helper()
	ledger := watchedLedger(policy.Target, now)
	m := ledger.Workloads[orders]
	m.Flow = watchedFlow(now)
	ledger.Workloads[orders] = m
	return aimed(t, readings{now, 4}, ledger)
}

// aimed returns the state after one plan from a ledger, with an objective of 2 minutes.
func aimed(t *testing.T, from readings, ledger policy.Ledger) *scaler.State {
	t.Helper()
	return planOf(t, aim(set(policy.Target)), from, ledger)
}

func aim(s policy.Set) policy.Set {
	s.Workloads[0].SQS.MaxMessageAge, s.Workloads[0].SQS.PollInterval = 2*time.Minute, 5*time.Second
	return s
}

func TestWhatWasLearnedOfAQueueOutlivesARestart(t *testing.T) {
	now := time.Now()
	client, log := fake.NewClientset(), &bytes.Buffer{}
	before := pursued(t, now)
	if o := before.Decisions[0].Plan.Workloads[0].Demand.Objective; o == nil || o.Fallback != "" {
		t.Fatalf("expected the objective to be followed, found %+v", o)
	}
	store(client, log).write(t.Context(), before, false)
	objective := func() (policy.ObjectivePlan, policy.Ledger) {
		t.Helper()
		loaded, err := store(client, log).Load(t.Context())
		if err != nil || len(loaded.Ledger.Databases) != 1 {
			t.Fatalf("expected the database to be remembered, found %+v, %v", loaded, err)
		}
		return *aimed(t, readings{now.Add(10 * time.Second), 4}, loaded.Ledger).Decisions[0].Plan.Workloads[0].Demand.Objective, loaded.Ledger
	}
	was := before.Decisions[0].Plan.Workloads[0].Demand.Objective
	o, ledger := objective()
	if o.Fallback != "" || o.Rate != 2 || o.Startup != 25 || !o.Age.Known || math.Abs(o.Arrivals-3) > 1 || o.Replicas < was.Replicas {
		t.Errorf("expected the objective to be followed as before, by %+v, found %+v", was, o)
	}
	if f := ledger.Workloads[orders].Flow; !f.Resumed || len(f.Came) == 0 || !f.At.Equal(now.Add(-time.Second)) {
		t.Errorf("expected what the decision was made from, and that nobody watched since, found %+v", f)
	}
	if log.Len() > 0 {
		t.Errorf("expected a quiet log, found %s", log)
	}

	// An object of a Headroom that kept nothing of queues, and one that is damaged there:
	// all else is remembered.
	maps := client.CoreV1().ConfigMaps("headroom")
	for _, test := range []struct {
		name   string
		change func(data map[string]string)
		logged string
	}{
		{"older", func(data map[string]string) { delete(data, queuesKey) }, ""},
		{"cut off", func(data map[string]string) { data[queuesKey] = data[queuesKey][:100] }, "it is learned anew"},
		{"newer", func(data map[string]string) {
			data[queuesKey] = strings.Replace(data[queuesKey], `"version":1`, `"version":2`, 1)
		}, "expected version 1, found 2"},
		{"nonsense", func(data map[string]string) {
			data[queuesKey] = strings.Replace(data[queuesKey], `"perPod":2`, `"perPod":-2`, 1)
		}, "workload shop/order-workers: the rate of"},
	} {
		object, err := maps.Get(t.Context(), Name(ordersDB), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		whole := object.Data[queuesKey]
		test.change(object.Data)
		if _, err := maps.Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		if o, _ := objective(); o.Fallback == "" {
			t.Errorf("%s: expected nothing to be known of what pods do, found %+v", test.name, o)
		}
		if got := log.String(); (got == "") != (test.logged == "") || !strings.Contains(got, test.logged) {
			t.Errorf("%s: expected the log to say %q, found %s", test.name, test.logged, got)
		}
		object.Data[queuesKey] = whole
		if _, err := maps.Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}

	// A field that a later version adds is passed over.
	object, err := maps.Get(t.Context(), Name(ordersDB), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	object.Data[queuesKey] = strings.Replace(object.Data[queuesKey], `"service":`, `"later":1,"service":`, 1)
	if _, err := maps.Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if o, _ := objective(); o.Fallback != "" {
		t.Errorf("expected a field that is not known to be passed over, found %+v", o)
	}
}

// What is learned of queues never takes the place of what promises rest on.
func TestWhatIsLearnedOfQueuesIsBounded(t *testing.T) {
	now := time.Now()
	whole := watchedFlow(now)
	for len(whole.Came) < 64 {
		whole.Came = append(whole.Came, policy.Interval{Seconds: 5.017, Messages: 15.1234, Done: 6.54321})
	}
	for _, test := range []struct {
		workloads  int
		left       string
		came, kept bool
	}{
		{10, "", true, true},
		{100, "when messages came to its queues", false, true},
		{1000, "what was learned of its queues", false, false},
	} {
		many := queues{}
		for i := range test.workloads {
			many[metrics.ID{Namespace: "shop", Name: fmt.Sprint("workers-", i)}] = whole.Kept()
		}
		data, left, err := encodeQueues(many)
		if err != nil || left != test.left || len(data) > maxQueuesSize || (len(data) > 0) != test.kept {
			t.Errorf("%d workloads: %d bytes without %q, want %q, %v", test.workloads, len(data), left, test.left, err)
			continue
		}
		if !test.kept {
			continue
		}
		back, err := parseQueues(data)
		f := back[metrics.ID{Namespace: "shop", Name: "workers-7"}]
		if err != nil || len(back) != test.workloads || len(f.Rates) != 2 || (len(f.Came) > 0) != test.came {
			t.Errorf("%d workloads: found %d, %+v, %v", test.workloads, len(back), f, err)
		}
		t.Logf("%d workloads: %d bytes", test.workloads, len(data))
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

func FuzzParseQueues(f *testing.F) {
	whole, _, err := encodeQueues(queues{orders: watchedFlow(time.Unix(1e9, 0)).Kept()})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(whole), "{}", `{"version":1,"workloads":{"a/b":{}}}`, `{"version":1,"workloads":{"a/b":null}}`, "null", "[]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := parseQueues(data)
		if err != nil {
			return
		}
		kept := queues{}
		for id, flow := range q {
			kept[id] = flow.Kept()
		}
		once, left, err := encodeQueues(kept)
		if err != nil || left != "" || len(once) == 0 {
			return // times that JSON can't hold, or larger than what was read
		}
		again, err := parseQueues(once)
		if err != nil {
			t.Fatalf("what was written can't be read: %v\n%s", err, once)
		}
		if twice, _, err := encodeQueues(again); err != nil || !bytes.Equal(twice, once) {
			t.Fatalf("%v: wrote %s, then %s", err, once, twice)
		}
	})
}
