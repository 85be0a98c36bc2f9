package condition

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/gate"
)

const me = "headroom-0_abc"

var (
	orders = metrics.ID{Namespace: "shop", Name: "order-workers"}
	start  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func snapshot(pods ...metrics.Pod) policy.Snapshot {
	return policy.Snapshot{Epoch: me, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{orders: metrics.Known(metrics.Fleet{Pods: pods}, start)}}
}

func TestWhatPodsAreTold(t *testing.T) {
	old := start.Add(-time.Minute)
	pods := []metrics.Pod{
		{UID: "waits", Name: "waits", Gated: true, CreatedAt: old},
		{UID: "young", Gated: true, CreatedAt: start.Add(-4 * time.Second)},
		{UID: "others", Name: "others", Gated: true, OtherGates: true, CreatedAt: old},
		{UID: "leaves", Gated: true, Terminating: true, CreatedAt: old},
		{UID: "runs", Name: "runs", CreatedAt: old, Grant: map[string]int{"shop/b": 2, "shop/a": 5}},
		{UID: "free", Name: "free", CreatedAt: old, Grant: map[string]int{}},
		{UID: "ended", Finished: true, CreatedAt: old, Grant: map[string]int{}},
		{UID: "ungoverned", CreatedAt: old},
		{UID: "passes", Gated: true, CreatedAt: old},
		{UID: "stamped", Gated: true, CreatedAt: old},
		{UID: "goes", CreatedAt: old, Grant: map[string]int{}},
	}
	plan := policy.Plan{At: start, Workloads: []policy.WorkloadPlan{{
		ID: orders, Mode: policy.Gate, Reason: policy.ConnectionBudget, Sentence: "10 of 10 are granted",
		Admissions: []policy.Admission{{UID: "passes"}}, Stamps: []policy.Stamp{{UID: "stamped"}}, Evictions: []policy.Eviction{{UID: "goes"}},
	}}}
	var got []string
	for _, w := range Wanted(plan, snapshot(pods...)) {
		got = append(got, fmt.Sprintf("%s %s %s %s", w.Name, w.Condition.Status, w.Condition.Reason, w.Condition.Message))
		if w.Namespace != "shop" || w.Term != me || !w.Planned.Equal(start) || w.Condition.Status == corev1.ConditionFalse && !w.Condition.Since.Equal(old) {
			t.Errorf("found %+v", w)
		}
	}
	want := []string{
		"waits False ConnectionBudget 10 of 10 are granted",
		"others False OtherGates connections are reserved once the pod's other scheduling gates are gone",
		"runs True Admitted connections reserved: 5 on shop/a, 2 on shop/b",
		"free True Admitted no connections are needed",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	without := snapshot(pods...)
	without.Epoch = ""
	if got := Wanted(plan, without); got != nil {
		t.Errorf("who does not lead tells nobody anything: found %v", got)
	}
	plan.Workloads[0].Mode = policy.Observe
	if got := Wanted(plan, snapshot(pods...)); got != nil {
		t.Errorf("mode Observe tells nobody anything: found %v", got)
	}
}

func TestWhatIsWrittenNow(t *testing.T) {
	no := Condition{Status: corev1.ConditionFalse, Reason: "ConnectionBudget", Message: "3 wait"}
	moved, other, yes := no, no, Condition{Status: corev1.ConditionTrue, Reason: Admitted, Message: "5"}
	moved.Message, other.Reason = "4 wait", "FairShare"
	for name, c := range map[string]struct {
		last *told
		want Condition
		due  bool
	}{
		"the first time":              {nil, no, true},
		"nothing new":                 {&told{no, start.Add(-time.Hour), false}, no, false},
		"a number moved":              {&told{no, start.Add(-59 * time.Second), false}, moved, false},
		"a number moved a minute ago": {&told{no, start.Add(-time.Minute), false}, moved, true},
		"another reason":              {&told{no, start, false}, other, true},
		"it passed":                   {&told{no, start, false}, yes, true},
		"it failed":                   {&told{no, start.Add(-59 * time.Second), true}, yes, false},
		"it failed a minute ago":      {&told{no, start.Add(-time.Minute), true}, no, true},
	} {
		last := map[string]told{}
		if c.last != nil {
			last["u"] = *c.last
		}
		if got := due([]Write{{UID: "u", Condition: c.want}}, last, start); (len(got) == 1) != c.due {
			t.Errorf("%s: found %v, want %v", name, got, c.due)
		}
	}
	list := due([]Write{{UID: "ran before", Condition: yes}, {UID: "waits", Condition: no}, {UID: "passed", Condition: yes}},
		map[string]told{"passed": {condition: no, at: start}}, start)
	var order []string
	for _, w := range list {
		order = append(order, w.UID)
	}
	if want := []string{"passed", "waits", "ran before"}; !slices.Equal(order, want) {
		t.Errorf("found %v, want %v", order, want)
	}
}

func TestPatches(t *testing.T) {
	w := Write{UID: "u1", Condition: Condition{Status: corev1.ConditionFalse, Reason: "ConnectionBudget", Message: "no", Since: start}}
	const want = `{"metadata":{"uid":"u1"},"status":{"conditions":[{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"no","reason":"ConnectionBudget","status":"False","type":"keda-headroom.github.io/ConnectionsReserved"}]}}`
	if got := string(w.patch()); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	w.Condition.Since = time.Time{}
	if got := string(w.patch()); strings.Contains(got, "lastTransitionTime") {
		t.Errorf("found %s", got)
	}
	if got := cut(strings.Repeat("ä", 600)); len(got) > maxMessage || !strings.HasSuffix(got, "ä…") {
		t.Errorf("found %d bytes that end in %q", len(got), got[len(got)-6:])
	}
}

// api takes patches of pods, or fails.
type api struct {
	mu    sync.Mutex
	fails bool
	took  []string
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var patch struct {
		Status struct{ Conditions []corev1.PodCondition }
	}
	if err := json.Unmarshal(body, &patch); err != nil {
		return nil, err
	}
	c := patch.Status.Conditions[0]
	a.took = append(a.took, fmt.Sprintf("%s %s %s %s", strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/shop/pods/"), r.Header.Get("Content-Type"), c.Status, c.Message))
	if a.fails {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

func (a *api) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.took
	a.took = nil
	return out
}

func TestAPodIsToldThatItWaitsAndThatItPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &api{}
		client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://apiserver", Transport: server, QPS: 1, Burst: 1})
		if err != nil {
			t.Fatal(err)
		}
		var (
			mu      sync.Mutex
			term    = me
			pods    []metrics.Pod
			reason  = policy.ConnectionBudget
			text    = "10 of 10 are granted"
			ended   = map[gate.Result]int{}
			born    = time.Now().Add(-time.Minute)
			waiting = func(names ...string) {
				mu.Lock()
				defer mu.Unlock()
				pods = nil
				for _, name := range names {
					pods = append(pods, metrics.Pod{UID: name, Name: name, Gated: true, CreatedAt: born})
				}
			}
		)
		writer := New(Options{
			Client: client.CoreV1().RESTClient(),
			State: func() *scaler.State {
				mu.Lock()
				defer mu.Unlock()
				now := time.Now()
				return &scaler.State{At: now, Decisions: []scaler.Decision{{
					Snapshot: policy.Snapshot{Epoch: me, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{orders: metrics.Known(metrics.Fleet{Pods: slices.Clone(pods)}, now)}},
					Plan:     policy.Plan{At: now, Workloads: []policy.WorkloadPlan{{ID: orders, Mode: policy.Gate, Reason: reason, Sentence: text}}},
				}}}
			},
			Leading: func() (string, bool) { mu.Lock(); defer mu.Unlock(); return term, term != "" },
			Done:    func(r gate.Result) { mu.Lock(); defer mu.Unlock(); ended[r]++ },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { writer.Run(ctx) })
		pass := func(d time.Duration) { synctest.Wait(); <-time.After(d); synctest.Wait() }
		wants := func(what string, want ...string) {
			t.Helper()
			got := server.take()
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], " application/strategic-merge-patch+json", "")
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s:\n got %q\nwant %q", what, got, want)
			}
		}

		waiting("a")
		pass(5 * time.Second)
		wants("it waits", "a/status False 10 of 10 are granted")
		mu.Lock()
		text = "11 of 11 are granted"
		mu.Unlock()
		pass(30 * time.Second)
		wants("a number moved")
		pass(30 * time.Second)
		wants("a minute later", "a/status False 11 of 11 are granted")
		writer.Outcome(gate.Outcome{Action: gate.Action{Kind: gate.Admit, UID: "a"}, Result: gate.Done, At: time.Now()})
		mu.Lock()
		pods = []metrics.Pod{{UID: "a", Name: "a", CreatedAt: born, Grant: map[string]int{"shop/orders-db": 5}}}
		mu.Unlock()
		pass(5 * time.Second)
		wants("it passed", "a/status True connections reserved: 5 on shop/orders-db")

		server.mu.Lock()
		server.fails = true
		server.mu.Unlock()
		waiting("b")
		pass(50 * time.Second)
		wants("one that fails is not tried again for a minute", "b/status False 11 of 11 are granted")
		server.mu.Lock()
		server.fails = false
		server.mu.Unlock()
		pass(20 * time.Second)
		wants("and then is", "b/status False 11 of 11 are granted")

		mu.Lock()
		term = "another"
		mu.Unlock()
		waiting("c")
		pass(5 * time.Second)
		wants("who does not lead")
		mu.Lock()
		term = me
		mu.Unlock()
		var many []string
		for i := range 40 {
			many = append(many, fmt.Sprint(i))
		}
		waiting(many...)
		pass(time.Second)
		if n := len(server.take()); n < 10 || n > 21 {
			t.Errorf("%d requests in the first second, want some 20", n)
		}
		cancel()
		running.Wait()
		if ended[gate.Unanswered] != 1 || ended[gate.Done] < 14 {
			t.Errorf("found %v", ended)
		}
	})
}
