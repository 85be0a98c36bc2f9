package replay_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/replay"
	"github.com/keda-headroom/headroom/internal/replay/replaytest"
	"github.com/keda-headroom/headroom/policy"
)

// shop is a policy of one workload.
func shop(reserve int) policy.Set { return replaytest.Shop(reserve) }

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
	r := replaytest.Run(t, replay.Options{Dir: dir, Policy: shop(10)})
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

// As it was recorded, every decision comes out as it was, whoever has the policy.
func TestAsRecorded(t *testing.T) {
	dir := t.TempDir()
	replaytest.Record(t, dir, shop(10))
	given, recorded := replaytest.Run(t, replay.Options{Dir: dir, Policy: shop(10)}), replaytest.Run(t, replay.Options{Dir: dir, AsRecorded: true})
	if !reflect.DeepEqual(given, recorded) || recorded.Workloads[0].DifferentSeconds != 0 {
		t.Errorf("expected what the same policy gives\n%+v\nfound\n%+v", given, recorded)
	}
}

// A reserve of 30 would have carried four pods fewer.
func TestAnotherReserve(t *testing.T) {
	dir := t.TempDir()
	replaytest.Record(t, dir, shop(10))
	r := replaytest.Run(t, replay.Options{Dir: dir, Policy: shop(30), Step: replay.DefaultStep})
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
	if r := replaytest.Run(t, replay.Options{Dir: dir, Policy: both}); len(r.Unrecorded) != 1 || r.Unrecorded[0] != more.ID {
		t.Errorf("expected a-new-one to be unrecorded, found %v", r.Unrecorded)
	}
	if _, err := replay.Run(t.Context(), replay.Options{Dir: dir, Policy: shop(10), From: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}); err == nil {
		t.Error("expected an error where nothing is in the time asked for")
	}
}
