package why_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/recording"
	"github.com/keda-headroom/headroom/scaler/why"
)

var (
	database = metrics.ID{Namespace: "platform", Name: "orders-db"}
	workers  = metrics.ID{Namespace: "shop", Name: "order-workers"}
	start    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func set() policy.Set {
	return policy.Set{
		Databases: []policy.Database{{
			ID: database, Reserve: intorpercent.Count(10), OthersWindow: time.Minute,
			PollInterval: 2 * time.Second, MaxReadingAge: 10 * time.Second, MaxPriority: 100,
		}},
		Workloads: []policy.Workload{{
			ID: workers, Mode: policy.Target, Databases: []policy.Use{{Database: database, User: "worker", ConnectionsPerPod: 5}},
			SQS:          &policy.SQS{QueueName: "orders", MessagesPerPod: 20, PollInterval: 5 * time.Second, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
			ReadyTimeout: 10 * time.Minute,
		}},
	}
}

// snapshot is of a queue with this many messages, and no pods yet.
func snapshot(at time.Time, messages int64) policy.Snapshot {
	return policy.Snapshot{
		Databases: map[metrics.ID]metrics.Reading[metrics.Database]{database: metrics.Known(metrics.Database{
			Server: "a", Name: "orders", Attribution: metrics.ByAddress,
			Constraints: []metrics.Constraint{{Name: "server", Limit: 50}},
			Logins:      []metrics.Login{{User: "worker", Database: "orders", Constraints: []string{"server"}}},
			Sessions:    []metrics.Sessions{{User: "web", Database: "orders", Address: "10.9.0.1", Count: 15}},
		}, at)},
		Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{workers: metrics.Known(metrics.Queue{Visible: messages}, at)},
		Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{workers: metrics.Known(metrics.Fleet{MaxReplicas: 40}, at)},
	}
}

// readings are always fresh.
type readings struct{ now func() time.Time }

func (readings) Use(policy.Set)           {}
func (readings) Changed() <-chan struct{} { return nil }
func (r readings) Snapshot(policy.Group) policy.Snapshot {
	return snapshot(r.now(), 200)
}

func get(t *testing.T, server *httptest.Server, query url.Values) (int, string) {
	t.Helper()
	response, err := http.Get(server.URL + why.Path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body strings.Builder
	if err := response.Write(&body); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(body.String(), "\r\n\r\n")
	if kind := response.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("expected JSON, found %s", kind)
	}
	return response.StatusCode, strings.TrimSpace(text)
}

func TestHandler(t *testing.T) {
	recorder, err := recording.Open(recording.Options{Program: "v0.9.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := recorder.Close(); err != nil {
			t.Error(err)
		}
	})
	group := set().Groups(nil)[0]
	var ledger policy.Ledger
	for i := range 90 { // the queue falls from 200 messages to 22
		at := start.Add(time.Duration(i) * time.Second)
		s := snapshot(at, int64(200-2*i))
		plan, after := policy.Decide(at, group, s, ledger)
		recorder.Record(at, group, s, ledger, plan)
		ledger = after
	}

	planner := scaler.NewPlanner(scaler.PlannerOptions{Readings: readings{time.Now}})
	server := httptest.NewServer(why.NewHandler(why.Options{State: planner.State, Recording: recorder, Program: "v1.0.0"}))
	defer server.Close()

	if code, body := get(t, server, url.Values{"workload": {workers.String()}}); code != http.StatusServiceUnavailable || !strings.Contains(body, "nothing was decided yet") {
		t.Errorf("before the first plan: %d %s", code, body)
	}

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		planner.Run(ctx)
	}()
	defer func() {
		stop()
		<-done
	}()
	next := planner.State().Next()
	planner.SetPolicy(set())
	<-next

	for _, c := range []struct {
		name  string
		query url.Values
		code  int
		want  string
	}{
		{"no workload", url.Values{}, 400, `workload: expected NAMESPACE/NAME, found \"\"`},
		{"half a workload", url.Values{"workload": {"order-workers"}}, 400, `workload: expected NAMESPACE/NAME`},
		{"an unknown one", url.Values{"workload": {"shop/nobody"}}, 404, "no policy names a workload shop/nobody, only shop/order-workers"},
		{"no time", url.Values{"workload": {workers.String()}, "at": {"yesterday"}}, 400, `at: expected a time such as`},
		{"too early", url.Values{"workload": {workers.String()}, "at": {"2026-03-01T11:00:00Z"}}, 404, "the recording begins at 2026-03-01T12:00:00Z"},
		{"an unknown one then", url.Values{"workload": {"shop/nobody"}, "at": {"2026-03-01T12:00:10Z"}}, 404, "there was no workload shop/nobody"},
	} {
		if code, body := get(t, server, c.query); code != c.code || !strings.Contains(body, c.want) || !strings.HasPrefix(body, `{"error":`) {
			t.Errorf("%s: %d %s, expected %d and %s", c.name, code, body, c.code, c.want)
		}
	}

	code, body := get(t, server, url.Values{"workload": {workers.String()}})
	var live why.Answer
	if err := json.Unmarshal([]byte(body), &live); err != nil || code != 200 {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	if live.From != why.FromServer || live.Plan.ID != workers || live.Plan.Demand.Backlog != 10 || len(live.Notes) > 0 {
		t.Errorf("unexpected: %+v", live)
	}

	for at, want := range map[string]int{"2026-03-01T12:00:30.9Z": 140, "2026-03-01T12:01:29Z": 22} {
		code, body = get(t, server, url.Values{"workload": {workers.String()}, "at": {at}})
		var then why.Answer
		if err := json.Unmarshal([]byte(body), &then); err != nil || code != 200 {
			t.Fatalf("%d %s: %v", code, body, err)
		}
		if then.From != why.FromRecording || then.Plan.Demand.Backlog != (want+19)/20 || len(then.Notes) > 0 {
			t.Errorf("at %s: %+v", at, then)
		}
	}

	code, body = get(t, server, url.Values{"workload": {workers.String()}, "at": {"2026-03-01T13:00:00Z"}})
	if code != 200 || !strings.Contains(body, "nothing was recorded for 58m31s before the time asked about") {
		t.Errorf("%d %s", code, body)
	}
}

func TestAServerThatRecordsNothing(t *testing.T) {
	server := httptest.NewServer(why.NewHandler(why.Options{State: scaler.NewPlanner(scaler.PlannerOptions{}).State}))
	defer server.Close()
	if code, body := get(t, server, url.Values{"workload": {"a/b"}, "at": {"2026-03-01T12:00:00Z"}}); code != 404 || !strings.Contains(body, "records no decisions") {
		t.Errorf("%d %s", code, body)
	}
}

// The recording says what was decided then, even where this program would decide
// otherwise.
func TestAnotherVersionDecidedOtherwise(t *testing.T) {
	recorder, err := recording.Open(recording.Options{Program: "v0.9.0"})
	if err != nil {
		t.Fatal(err)
	}
	group := set().Groups(nil)[0]
	s := snapshot(start, 200)
	plan, _ := policy.Decide(start, group, s, policy.Ledger{})
	plan.Workloads[0].Target = 7
	plan.Workloads[0].Reason = policy.FairShare
	recorder.Record(start, group, s, policy.Ledger{}, plan)
	answer, err := why.Recorded(recorder.Reader(), workers, start, "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Notes) != 1 || !strings.Contains(answer.Notes[0], "this version (v1.0.0)") || !strings.Contains(answer.Notes[0], "the one that recorded it (v0.9.0): then the target was 7 (FairShare)") {
		t.Errorf("unexpected: %q", answer.Notes)
	}
	if err := recorder.Close(); err != nil {
		t.Error(err)
	}
}
