package result_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/e2e/bench/result"
)

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func at(s float64, used, usable, pods, target int) result.Sample {
	return result.Sample{At: seconds(s), Used: used, Usable: usable, Watched: true, Pods: pods, Target: target}
}

func TestFull(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		samples []result.Sample
		want    float64
	}{
		{"nothing", nil, 0},
		{"one sample speaks for nothing", []result.Sample{at(0, 97, 97, 0, 0)}, 0},
		{"never", []result.Sample{at(0, 96, 97, 0, 0), at(1, 96, 97, 0, 0)}, 0},
		{"until the next sample", []result.Sample{at(0, 97, 97, 0, 0), at(0.25, 98, 97, 0, 0), at(0.5, 90, 97, 0, 0), at(0.75, 90, 97, 0, 0)}, 0.5},
		{"a gap counts as a second", []result.Sample{at(0, 97, 97, 0, 0), at(9, 10, 97, 0, 0)}, 1},
		{"a lower limit", []result.Sample{at(0, 60, 97, 0, 0), at(0.5, 60, 47, 0, 0), at(0.75, 60, 47, 0, 0)}, 0.25},
		{"not looked at is not full", []result.Sample{{At: 0}, at(0.25, 1, 97, 0, 0)}, 0},
	} {
		if got := result.Full(test.samples); got != seconds(test.want) {
			t.Errorf("%s: full for %s, want %v s", test.name, got, test.want)
		}
	}
}

func TestPodTime(t *testing.T) {
	t.Parallel()
	samples := []result.Sample{at(0, 0, 0, 2, 2), at(10, 0, 0, 4, 4), at(20, 0, 0, 1, 1), at(30, 0, 0, 0, 0)}
	for _, test := range []struct{ from, until, want float64 }{
		{0, 30, 70}, {5, 15, 30}, {0, 100, 70}, {12, 12, 0}, {20, 10, 0},
	} {
		if got := result.PodTime(samples, seconds(test.from), seconds(test.until)); got != seconds(test.want) {
			t.Errorf("from %v s until %v s: %s, want %v s", test.from, test.until, got, test.want)
		}
	}
}

func TestTurns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []int
		want   int
	}{
		{nil, 0},
		{[]int{1, 1, 1}, 0},
		{[]int{1, 5, 14, 14}, 0},
		{[]int{1, 14, 1}, 1},
		{[]int{1, 14, 14, 12, 12, 14, 1}, 3},
		{[]int{5, 4, 4, 5, 5, 4}, 2},
	} {
		if got := result.Turns(test.values); got != test.want {
			t.Errorf("%v: %d turns, want %d", test.values, got, test.want)
		}
	}
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		clients, server result.Refusals
		want            []string
	}{
		{"the same", result.Refusals{Workers: 3, Other: 1}, result.Refusals{Workers: 3, Other: 1, Autoscaler: 7}, nil},
		{"some had ended", result.Refusals{Workers: 3}, result.Refusals{Workers: 5}, []string{"5 refusals of workers, of which they counted 3: the others"}},
		{"not the server", result.Refusals{Other: 3}, result.Refusals{Other: 1}, []string{"1 refusals of the other application, and they counted 3: something else"}},
		{"both", result.Refusals{Workers: 1}, result.Refusals{Other: 1}, []string{"something else", "had ended"}},
	} {
		got := result.Reconcile(test.clients, test.server)
		if len(got) != len(test.want) {
			t.Errorf("%s: found %q, want %d findings", test.name, got, len(test.want))
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], test.want[i]) {
				t.Errorf("%s: found %q, want %q in it", test.name, got[i], test.want[i])
			}
		}
	}
}

func TestLateBy(t *testing.T) {
	t.Parallel()
	samples := make([]result.Sample, 200)
	for i := range samples {
		samples[i].Late = time.Duration(i) * time.Millisecond
	}
	if got := result.LateBy(samples); got != 197*time.Millisecond {
		t.Errorf("one in a hundred is late by %s", got)
	}
	if got := result.LateBy(nil); got != 0 {
		t.Errorf("nothing is late by %s", got)
	}
}

func TestDoubts(t *testing.T) {
	t.Parallel()
	if doubts := (result.Machine{Busy: 0.9, Late: 0.3}).Doubts(); doubts != nil {
		t.Errorf("a machine that keeps up raises doubts: %q", doubts)
	}
	if doubts := (result.Machine{Busy: 0.99, Late: 3}).Doubts(); len(doubts) != 2 {
		t.Errorf("a saturated machine raises %q", doubts)
	}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	samples := []result.Sample{
		at(-1, 50, 97, 9, 9), at(0, 10, 97, 1, 1), at(0.5, 30, 97, 3, 5), at(1.5, 20, 97, 2, 4), {At: seconds(2)}, at(4.2, 40, 47, 4, 4),
	}
	got := result.NewSeries(samples, []time.Duration{-1, seconds(0.2), seconds(0.9), seconds(4), seconds(60)}, time.Second)
	want := result.Series{
		EverySeconds: 1,
		Used:         []int{30, 20, 0, 0, 40}, Usable: []int{97, 97, 0, 0, 47},
		Pods: []int{3, 2, 0, 0, 4}, Target: []int{5, 4, 0, 0, 4}, Refused: []int{2, 0, 0, 0, 1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestPeak(t *testing.T) {
	t.Parallel()
	used := func(s result.Sample) int { return s.Used }
	if got := result.Peak([]result.Sample{at(0, 1, 9, 0, 0), at(1, 3, 9, 0, 0), at(2, 2, 9, 0, 0)}, used).Used; got != 3 {
		t.Errorf("peak is %d", got)
	}
	if got := result.Peak(nil, used).Used; got != 0 {
		t.Errorf("peak of nothing is %d", got)
	}
}

func TestRatio(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		r    result.Result
		want float64
	}{
		{result.Result{Drained: true, DrainSeconds: 120, FixedDrainSeconds: 100}, 1.2},
		{result.Result{Drained: false, DrainSeconds: 120, FixedDrainSeconds: 100}, 0},
		{result.Result{Drained: true, DrainSeconds: 120}, 0},
	} {
		if got := test.r.Ratio(); got != test.want {
			t.Errorf("%+v: ratio %v, want %v", test.r, got, test.want)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	older := []result.Result{{Scenario: "burst", Contender: "stock", Seed: 1, PeakPods: 5}, {Scenario: "burst", Contender: "formula", Parameters: "reserve 5", Seed: 1}}
	newer := []result.Result{{Scenario: "burst", Contender: "stock", Seed: 1, PeakPods: 6}, {Scenario: "burst", Contender: "stock", Seed: 2, Samples: result.Series{EverySeconds: 1, Used: []int{1}}}}
	merged := result.Merge(older, newer)
	path := filepath.Join(t.TempDir(), "results", "results.jsonl")
	if err := result.WriteFile(path, merged); err != nil {
		t.Fatal(err)
	}
	got, err := result.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []result.Result{older[1], newer[0], newer[1]}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if missing, err := result.ReadFile(path + "-missing"); err != nil || missing != nil {
		t.Errorf("a missing file has %v, %v", missing, err)
	}
	for _, text := range []string{"{}\n{\"scenaro\": 1}", "{\n"} {
		if _, err := result.Read(bytes.NewBufferString(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	if !slices.Contains([]result.Key{merged[0].Key()}, result.Key{Scenario: "burst", Contender: "formula", Parameters: "reserve 5", Seed: 1}) {
		t.Errorf("the first key is %+v", merged[0].Key())
	}
}
