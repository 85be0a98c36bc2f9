package policy

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// sightings is what Peak stands for, without its bounded memory: everything that
// was ever seen.
type sightings []PeakValue

// max returns the largest value seen within reach before now.
func (s sightings) max(now time.Time, reach time.Duration) (most int, ok bool) {
	for _, v := range s {
		if now.Sub(v.At) <= reach && (!ok || v.Value > most) {
			most, ok = v.Value, true
		}
	}
	return most, ok
}

// TestPeakAgainstAList: a peak never forgets within its window, never remembers
// for a step longer, stays small, and survives being written down.
func TestPeakAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.SampledFrom([]time.Duration{0, time.Second, 7 * time.Second, time.Minute, 30 * time.Minute, 24 * time.Hour}).Draw(t, "window")
		step := window / peakSteps
		var peak Peak
		var all sightings
		var since []time.Time // when watching may count from: a gap of about a window is either
		now := noon
		for range rapid.IntRange(1, 120).Draw(t, "sightings") {
			// Mostly much closer than a step, now and then beyond the window.
			most := rapid.SampledFrom([]time.Duration{0, step, window / 4, 2 * window}).Draw(t, "pace")
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, "later")))
			before, _ := json.Marshal(peak)
			old := peak
			if n := len(all); n == 0 || now.Sub(all[n-1].At) > window+step {
				since = []time.Time{now}
			} else if now.Sub(all[n-1].At) > window {
				since = append(since, now)
			}
			value := rapid.IntRange(0, 12).Draw(t, "value")
			peak = peak.Add(now, value, window)
			all = append(all, PeakValue{now, value})
			if after, _ := json.Marshal(old); string(after) != string(before) {
				t.Fatalf("adding changed the peak that it was added to: %s, before %s", after, before)
			}

			for _, look := range []time.Duration{0, step / 2, window, window + step, 3 * window} {
				at := now.Add(look)
				got, ok := peak.Max(at, window)
				least, within := all.max(at, window)
				if within && (!ok || got < least) {
					t.Fatalf("%s after the last of %v: %d, %v; but %d was seen within %s", look, all, got, ok, least, window)
				}
				most, nearly := all.max(at, window+step)
				if ok && (!nearly || got > most) {
					t.Fatalf("%s after the last of %v: %d, though within %s and a step only %d, %v was seen", look, all, got, window, most, nearly)
				}
			}
			if len(peak.Values) > peakSteps+2 {
				t.Fatalf("remembers %d values, at most %d are promised", len(peak.Values), peakSteps+2)
			}
			if !slices.IsSortedFunc(peak.Values, func(a, b PeakValue) int {
				if b.Value < a.Value && a.At.Before(b.At) {
					return -1
				}
				return 1
			}) {
				t.Fatalf("values do not fall in size and rise in time: %v", peak.Values)
			}
			if got := now.Add(-peak.Watched(now)); !slices.ContainsFunc(since, got.Equal) {
				t.Fatalf("watched since %s, want one of %v", got, since)
			}

			// Another process reads what this one wrote, and goes on.
			written, err := json.Marshal(peak)
			if err != nil {
				t.Fatal(err)
			}
			var back Peak
			if err := json.Unmarshal(written, &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(peak, back); diff != "" {
				t.Fatalf("came back from JSON changed: %s", diff)
			}
			if rapid.IntRange(0, 3).Draw(t, "process") == 0 {
				peak = back
			}
		}
	})
}

func TestThePeakThatSawNothing(t *testing.T) {
	var peak Peak
	if got, ok := peak.Max(noon, time.Hour); ok || got != 0 {
		t.Errorf("Max = %d, %v; want nothing", got, ok)
	}
	if got := peak.Watched(noon); got != 0 {
		t.Errorf("watched for %s, want 0", got)
	}
	if text, err := json.Marshal(peak); string(text) != "{}" || err != nil {
		t.Errorf("written as %s, %v; want {}", text, err)
	}
}

// TestPeakThroughASpike follows one spike until it is forgotten.
func TestPeakThroughASpike(t *testing.T) {
	const window = 32 * time.Second // a step is a second
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	var peak Peak
	peak = peak.Add(at(0), 3, window)
	peak = peak.Add(at(10), 40, window)
	for s := 11; s <= 100; s++ {
		peak = peak.Add(at(s), 3, window)
		want := 40
		if s > 42 {
			want = 3
		}
		if got, _ := peak.Max(at(s), window); got != want {
			t.Fatalf("%d seconds after a spike to 40: %d, want %d", s-10, got, want)
		}
	}
	if got, want := peak.Watched(at(100)), 100*time.Second; got != want {
		t.Errorf("watched for %s, want %s", got, want)
	}
}

// TestPeakAfterTheClockWasSetBack: what was seen in the future is not forgotten
// before a window has passed, and watching begins again.
func TestPeakAfterTheClockWasSetBack(t *testing.T) {
	const window = 32 * time.Second
	peak := Peak{}.Add(noon, 9, window)
	early := noon.Add(-time.Hour)
	peak = peak.Add(early, 2, window)
	if got := peak.Watched(early); got != 0 {
		t.Errorf("watched for %s, want 0", got)
	}
	for s := range 31 {
		now := early.Add(time.Duration(s) * time.Second)
		peak = peak.Add(now, 2, window)
		if got, _ := peak.Max(now, window); got != 9 {
			t.Fatalf("%d seconds after the clock was set back: %d, want 9", s, got)
		}
		if got := peak.Watched(now); got < 0 {
			t.Fatalf("watched for %s", got)
		}
	}
}
