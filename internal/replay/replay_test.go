package replay_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/internal/replay"
	"github.com/keda-headroom/headroom/internal/replay/replaytest"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

var (
	ordersDB = metrics.ID{Namespace: "platform", Name: "orders-db"}
	workers  = metrics.ID{Namespace: "shop", Name: "order-workers"}
)

// shop is a policy of one workload.
func shop(reserve int) policy.Set {
	return policy.Set{
		Databases: []policy.Database{{
			ID: ordersDB, PostgreSQL: &policy.PostgreSQL{DSN: policy.DSN{Secret: &policy.SecretKey{Name: "orders-db-monitor", Key: "dsn"}}},
			Reserve: intorpercent.Count(reserve), OthersWindow: 30 * time.Second, PollInterval: 2 * time.Second, MaxReadingAge: 10 * time.Second,
			MaxPriority: 100, AllowedNamespaces: []string{"shop"},
		}},
		Workloads: []policy.Workload{{
			ID: workers, Mode: policy.Target, ScaledObject: "order-workers",
			Databases:              []policy.Use{{Database: ordersDB, User: "worker", DatabaseName: "orders", ApplicationName: "orders-", ConnectionsPerPod: 5}},
			SQS:                    &policy.SQS{QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders", MessagesPerPod: 10, PollInterval: 5 * time.Second, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
			ScaleDownStabilization: time.Minute, ReadyTimeout: 10 * time.Minute,
		}},
	}
}

func run(t *testing.T, o replay.Options) replay.Report {
	t.Helper()
	r, err := replay.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Nobody waits for a replay that is given up.
func TestGivenUp(t *testing.T) {
	dir := t.TempDir()
	replaytest.Record(t, dir, shop(10))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := replay.Run(ctx, replay.Options{Dir: dir, Policy: shop(10)}); !errors.Is(err, context.Canceled) {
		t.Errorf("expected that it was given up, found %v", err)
	}
}

// By the policy that was recorded every decision comes out as it was.
func TestSamePolicySameDecisions(t *testing.T) {
	dir := t.TempDir()
	replaytest.Record(t, dir, shop(10))
	r := run(t, replay.Options{Dir: dir, Policy: shop(10)})
	w := r.Workloads[0]
	if w.DifferentSeconds != 0 || w.MostAdded != nil || w.MostRemoved != nil || w.Recorded.PodHours != w.Replayed.PodHours || w.Recorded.MaxTarget != 14 {
		t.Errorf("expected no difference and a target of 14, found %+v", w)
	}
	if d := r.Databases[0]; d.RecordedPeak != 70 || d.ReplayedPeak != 70 || d.Limit != 97 || d.Reserve != 10 {
		t.Errorf("expected 70 connections promised of 97, found %+v", d)
	}
	if r.Decisions < 50 || r.LongestGapSeconds != 0 || len(r.Damage)+len(r.Unrecorded)+len(r.Ungoverned) > 0 {
		t.Errorf("found %+v", r)
	}
}

// A reserve of 30 would have carried four pods fewer.
func TestAnotherReserve(t *testing.T) {
	dir := t.TempDir()
	replaytest.Record(t, dir, shop(10))
	r := run(t, replay.Options{Dir: dir, Policy: shop(30), Step: replay.DefaultStep})
	w := r.Workloads[0]
	if w.Replayed.MaxTarget != 10 || w.MostRemoved == nil || w.MostAdded != nil || w.Replayed.PodHours >= w.Recorded.PodHours || w.DifferentSeconds == 0 {
		t.Errorf("expected at most 10 replicas, found %+v", w)
	}
	if r.Databases[0].ReplayedPeak != 50 {
		t.Errorf("expected 50 connections promised, found %+v", r.Databases[0])
	}
	sum := 0.0
	for _, s := range w.Replayed.Seconds {
		sum += s
	}
	if math.Abs(sum-w.Seconds) > 1e-6 || w.Replayed.LimitedSeconds() == 0 {
		t.Errorf("expected the reasons' times to add up to %v, found %v", w.Seconds, w.Replayed.Seconds)
	}
}

// What is only on one side is told, and an empty part is an error.
func TestOneSided(t *testing.T) {
	dir := t.TempDir()
	replaytest.Record(t, dir, shop(10))
	other := shop(10)
	other.Workloads[0].ID.Name = "invoices"
	if _, err := replay.Run(t.Context(), replay.Options{Dir: dir, Policy: other}); err == nil || !strings.Contains(err.Error(), "expected decisions") {
		t.Errorf("expected no decisions to be found, found %v", err)
	}
	both := shop(10)
	more := shop(10).Workloads[0]
	more.ID.Name = "a-new-one"
	both.Workloads = append([]policy.Workload{more}, both.Workloads...)
	if r := run(t, replay.Options{Dir: dir, Policy: both}); len(r.Unrecorded) != 1 || r.Unrecorded[0] != more.ID {
		t.Errorf("expected a-new-one to be unrecorded, found %v", r.Unrecorded)
	}
	if _, err := replay.Run(t.Context(), replay.Options{Dir: dir, Policy: shop(10), From: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}); err == nil {
		t.Error("expected an error where nothing is in the time asked for")
	}
}

// A redacted recording has none of the names, and every decision.
func TestRedact(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "incident")
	set := shop(10)
	replaytest.Record(t, dir, set)
	n, err := replay.Redact(dir, out, time.Time{}, time.Time{}, []byte("key"))
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	reader, err := recording.OpenReader(out)
	if err != nil {
		t.Fatal(err)
	}
	var redacted policy.Set
	for r, err := range reader.Records(time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"order", "worker-", "shop", "platform", "sqs.eu", "amazonaws", "123456789012", "monitor", "10.0.", "192.0.2"} {
			if strings.Contains(string(text), secret) {
				t.Fatalf("%q is left in %s", secret, text)
			}
		}
		redacted = policy.Set{Databases: r.Group.Databases, Workloads: r.Group.Workloads}
	}
	before, after := run(t, replay.Options{Dir: dir, Policy: set}), run(t, replay.Options{Dir: out, Policy: redacted})
	b, a := before.Workloads[0], after.Workloads[0]
	if a.DifferentSeconds != 0 || a.Recorded.PodHours != b.Recorded.PodHours || a.Recorded.MaxTarget != b.Recorded.MaxTarget || before.Decisions != after.Decisions {
		t.Errorf("expected the decisions to be those of the original\n%+v\nfound\n%+v", b, a)
	}
	if _, err := replay.Redact(dir, out, time.Time{}, time.Time{}, []byte("key")); err == nil {
		t.Error("expected a directory with files not to be written to")
	}
}
