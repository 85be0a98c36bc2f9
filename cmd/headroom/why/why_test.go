package why_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	command "github.com/keda-headroom/headroom/cmd/headroom/why"
	"github.com/keda-headroom/headroom/internal/golden"
	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/internal/serverclient"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
	"github.com/keda-headroom/headroom/scaler/why"
)

var (
	database = metrics.ID{Namespace: "platform", Name: "orders-db"}
	workers  = metrics.ID{Namespace: "shop", Name: "order-workers"}
	start    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// story is a queue that asks for 10 replicas of a fleet of which the database
// carries 4. It returns what was decided when others had been watched.
func story(t *testing.T, dir string) recording.Record {
	t.Helper()
	group := policy.Set{
		Databases: []policy.Database{{
			ID: database, Reserve: intorpercent.Count(10), OthersWindow: time.Minute,
			PollInterval: 2 * time.Second, MaxReadingAge: 10 * time.Second, MaxPriority: 100, AllowedNamespaces: []string{"shop"},
		}},
		Workloads: []policy.Workload{{
			ID: workers, Mode: policy.Target, Databases: []policy.Use{{Database: database, User: "worker", ConnectionsPerPod: 5}},
			SQS:          &policy.SQS{QueueName: "orders", MessagesPerPod: 20, PollInterval: 5 * time.Second, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
			ReadyTimeout: 10 * time.Minute,
		}},
	}.Groups(nil)[0]
	r, err := recording.Open(recording.Options{Dir: dir, Program: "v0.1.0", Queue: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var ledger policy.Ledger
	var last recording.Record
	for i := range 120 {
		at := start.Add(time.Duration(i) * time.Second)
		pods := []metrics.Pod{}
		sessions := []metrics.Sessions{{User: "web", Database: "orders", Address: "10.9.0.1", Count: 15}, {User: "worker", Database: "orders", Address: "10.0.0.99", Count: 2}}
		for j, name := range []string{"a", "b"} {
			address := "10.0.0." + string(rune('1'+j))
			pods = append(pods, metrics.Pod{UID: name, Name: "order-workers-" + name, Address: address, Ready: true, CreatedAt: start.Add(-time.Hour)})
			sessions = append(sessions, metrics.Sessions{User: "worker", Database: "orders", Address: address, Count: 4})
		}
		s := policy.Snapshot{
			Databases: map[metrics.ID]metrics.Reading[metrics.Database]{database: metrics.Known(metrics.Database{
				Server: "a", Name: "orders", Attribution: metrics.ByAddress,
				Constraints: []metrics.Constraint{{Name: "server", Limit: 50}},
				Logins:      []metrics.Login{{User: "worker", Database: "orders", Constraints: []string{"server"}}},
				Sessions:    sessions,
			}, at)},
			Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{workers: metrics.Known(metrics.Queue{Visible: 190, InFlight: 5}, at)},
			Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{workers: metrics.Known(metrics.Fleet{SpecReplicas: 2, StatusReplicas: 2, MaxReplicas: 40, Pods: pods}, at)},
		}
		plan, after := policy.Decide(at, group, s, ledger)
		r.Record(at, group, s, ledger, plan)
		last = recording.New(at, group, s, ledger, plan)
		ledger = after
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return last
}

func run(t *testing.T, o command.Options) (string, error) {
	t.Helper()
	var out bytes.Buffer
	o.Out, o.Program = &out, "v0.1.0"
	if o.Output == "" {
		o.Output = "table"
	}
	if o.Client.Server == "" {
		o.Client.Server = serverclient.DefaultServer
	}
	o.Now = func() time.Time { return start.Add(10 * time.Minute) }
	if err := o.Validate(); err != nil {
		return "", err
	}
	err := command.Run(context.Background(), o)
	return out.String(), err
}

func at(url string) serverclient.Client { return serverclient.Client{Server: url} }

func TestFromARecording(t *testing.T) {
	dir := t.TempDir()
	story(t, dir)
	for name, o := range map[string]command.Options{
		"limited.txt":  {Workload: "order-workers", Namespace: "shop", At: "2026-03-01T12:01:50Z"},
		"starting.txt": {Workload: "shop/order-workers", At: "12:00:20"},
		"gap.txt":      {Workload: "shop/order-workers", At: "-2m"},
		"limited.json": {Workload: "shop/order-workers", At: "12:01:50", Output: "json"},
		"limited.yaml": {Workload: "shop/order-workers", At: "-8m10s", Output: "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			o.Recording = dir
			out, err := run(t, o)
			if err != nil {
				t.Fatal(err)
			}
			golden.Compare(t, "testdata/"+name, out)
		})
	}

	if out, err := run(t, command.Options{Recording: dir, Workload: "shop/order-workers"}); err != nil || !strings.Contains(out, "nothing was recorded for 8m29s") {
		t.Errorf("without a time it is the last decision: %v\n%s", err, out)
	}
	if _, err := run(t, command.Options{Recording: dir, Workload: "shop/nobody", At: "12:01"}); err == nil || !strings.Contains(err.Error(), "there was no workload shop/nobody") {
		t.Errorf("unexpected: %v", err)
	}
	if _, err := run(t, command.Options{Recording: t.TempDir(), Workload: "shop/nobody"}); err == nil || !strings.Contains(err.Error(), "expected a recording in") {
		t.Errorf("unexpected: %v", err)
	}
}

func TestFromAServer(t *testing.T) {
	last := story(t, t.TempDir())
	answer, ok := why.Current(last.At, last.Group, last.Snapshot, last.Ledger, workers)
	if !ok {
		t.Fatal("no answer")
	}
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		switch r.URL.Query().Get("workload") {
		case workers.String():
			_ = json.NewEncoder(w).Encode(answer)
		case "shop/odd":
			_, _ = w.Write([]byte("<html>"))
		case "shop/gone":
			http.Error(w, "gone", http.StatusBadGateway)
		default:
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(why.Failure{Error: "no such workload"})
		}
	}))
	defer server.Close()

	out, err := run(t, command.Options{Client: at(server.URL + "/"), Workload: workers.String()})
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/live.txt", out)
	if asked != "/v1/why?workload=shop%2Forder-workers" {
		t.Errorf("asked for %s", asked)
	}
	answer.Plan.Gated = 3
	answer.Gate = &why.Gate{Waiting: 3, Held: 3, Sentence: "3 pods wait at the gate, the longest for 40s: 3 because of a full budget"}
	const gate = ", 3 wait at the gate. Ceiling 4, share 4.\n3 pods wait at the gate, the longest for 40s: 3 because of a full budget.\n"
	if out, err := run(t, command.Options{Client: at(server.URL), Workload: workers.String()}); err != nil || !strings.Contains(out, gate) {
		t.Errorf("expected who waits at the gate: %v\n%s", err, out)
	}
	if _, err := run(t, command.Options{Client: at(server.URL), Workload: workers.String(), At: "-10m"}); err != nil || asked != "/v1/why?at=2026-03-01T12%3A00%3A00Z&workload=shop%2Forder-workers" {
		t.Errorf("asked for %s: %v", asked, err)
	}
	for workload, want := range map[string]string{
		"shop/nobody": "no such workload",
		"shop/odd":    "expected an answer of /v1/why?workload=shop%2Fodd from " + server.URL + ", found something else",
		"shop/gone":   "expected an answer from " + server.URL + ", found 502 Bad Gateway: is it a Headroom server's HTTP port?",
	} {
		if _, err := run(t, command.Options{Client: at(server.URL), Workload: workload}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %s", workload, err, want)
		}
	}
	server.Close()
	if _, err := run(t, command.Options{Client: at(server.URL), Workload: workers.String()}); err == nil || !strings.Contains(err.Error(), "port-forward") {
		t.Errorf("unexpected: %v", err)
	}
}

func TestWhatCannotBeAsked(t *testing.T) {
	_, err := run(t, command.Options{Workload: "a/b/c", At: "13:00", Client: at("localhost"), Output: "xml"})
	if err == nil {
		t.Fatal("expected every mistake to be told")
	}
	for _, want := range []string{
		`WORKLOAD: expected NAME or NAMESPACE/NAME, found "a/b/c"`,
		"--at: expected a time that has been, found 2026-03-01T13:00:00Z, which is in 50m0s",
		`--server: expected a URL such as http://127.0.0.1:8080, found "localhost"`,
		`--output: expected table, json or yaml, found "xml"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("expected %s in\n%v", want, err)
		}
	}
}

func TestParseAt(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	now := time.Date(2026, 3, 1, 12, 30, 0, 0, berlin)
	for text, want := range map[string]time.Time{
		"":                          {},
		"-10m":                      now.Add(-10 * time.Minute),
		"-1h30m":                    now.Add(-90 * time.Minute),
		"12:15":                     time.Date(2026, 3, 1, 12, 15, 0, 0, berlin),
		"00:00:07":                  time.Date(2026, 3, 1, 0, 0, 7, 0, berlin),
		"2026-02-01T00:00:00Z":      time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		"2026-02-01T00:00:00+05:30": time.Date(2026, 1, 31, 18, 30, 0, 0, time.UTC),
	} {
		if got, err := command.ParseAt(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, %v; expected %s", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "25:00", "10m", "-ten", "2026-03-01", "2027-01-01T00:00:00Z"} {
		if got, err := command.ParseAt(text, now); err == nil {
			t.Errorf("%q: %s, expected an error", text, got)
		}
	}
}
