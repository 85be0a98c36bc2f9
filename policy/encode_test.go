package policy

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/hpa"
)

// follower returns where an HPA that is held back by nothing but its tolerance
// goes from s settled replicas. Each call is an hour after the one before.
func follower(t interface{ Fatal(...any) }, tolerance float64) func(s int, m hpa.Metric) int {
	rules := hpa.Unbraked()
	rules.Tolerance = &tolerance
	c, err := hpa.New(hpa.Options{MaxReplicas: 100_000, Behavior: &hpa.Behavior{ScaleUp: rules, ScaleDown: rules}})
	if err != nil {
		t.Fatal(err)
	}
	now := noon
	return func(s int, m hpa.Metric) int {
		now = now.Add(time.Hour)
		return c.Sync(now, s, s, m)
	}
}

// TestEncodeIsTheLargestValueThatActs tries falls from up to 1000 replicas
// against the HPA's own arithmetic: the value brings it to min(d, ⌈s(1−t)⌉), and
// no larger one that is not above d would move it at all. From many replicas
// only falls near and inside the tolerance are tried.
func TestEncodeIsTheLargestValueThatActs(t *testing.T) {
	for _, milli := range []int{0, 50, 100, 200} {
		follow := follower(t, float64(milli)/1000)
		lands := func(s int, v float64) int { return follow(s, hpa.Value(v)) }
		for s := 1; s <= 1000; s++ {
			acts := (s*(1000-milli) + 999) / 1000 // ⌈s(1−t)⌉
			// Above this many thousandths the tolerance holds.
			most := (s*(1000-milli) - 1)
			first := 1
			if s > 120 {
				first = acts - 2
			}
			for d := first; d < s; d++ {
				v := encode(d, s, milli)
				if want := min(d, acts); lands(s, v) != want {
					t.Fatalf("tolerance %d ‰: %d of %d replicas encoded as %v leads the HPA to %d, want %d", milli, d, s, v, lands(s, v), want)
				}
				if v == float64(d) {
					continue // there is no larger one that means d or less
				}
				if v != float64(most)/1000 {
					t.Fatalf("tolerance %d ‰: %d of %d replicas encoded as %v, want %v", milli, d, s, v, float64(most)/1000)
				}
				for _, larger := range []float64{v + 0.001, (v + float64(d)) / 2, float64(d)} {
					if larger > v+0.0005 && lands(s, larger) != s {
						t.Fatalf("tolerance %d ‰: %v acts on %d replicas too, and is larger than %v for %d", milli, larger, s, v, d)
					}
				}
			}
		}
	}
}

// TestEncodeAtThousandths tries every thousandth for few replicas, without
// leaning on any formula.
func TestEncodeAtThousandths(t *testing.T) {
	for _, milli := range []int{0, 50, 100, 200, 333} {
		follow := follower(t, float64(milli)/1000)
		for s := 1; s <= 24; s++ {
			for d := 1; d < s; d++ {
				best := -1.0
				for m := d * 1000; m > 0; m-- {
					if follow(s, hpa.Metric{Milli: int64(m)}) < s {
						best = float64(m) / 1000
						break
					}
				}
				if got := encode(d, s, milli); got != best {
					t.Fatalf("tolerance %d ‰, %d of %d replicas: %v, but the largest value that acts is %v", milli, d, s, got, best)
				}
			}
		}
	}
}

func TestEncodeByHand(t *testing.T) {
	for _, test := range []struct {
		target, status, milli int
		want                  float64
		why                   string
	}{
		{9, 10, 100, 8.999, "9 is exactly 1−t of 10, and so inside the tolerance"},
		{8, 10, 100, 8, "far enough away to act by itself"},
		{9, 9, 100, 9, "nothing to come down from"},
		{12, 10, 100, 12, "a rise is not encoded"},
		{0, 10, 100, 0, "zero is zero"},
		{99, 100, 100, 89.999, "what the HPA can be made to do overshoots: it lands on 90"},
		{9, 10, 0, 9, "no tolerance, nothing to get under"},
		{5, 0, 100, 5, "no pod yet"},
		{5, 10, 1000, 0, "a tolerance of everything: only the lowest value is left"},
		{5, 10, 4000, 0, "more than everything"},
		{9, 10, -7, 9, "less than nothing"},
	} {
		if got := encode(test.target, test.status, test.milli); got != test.want {
			t.Errorf("encode(%d, %d, %d) = %v, want %v: %s", test.target, test.status, test.milli, got, test.want, test.why)
		}
	}
}

// TestEncodeNeverRaises holds for any numbers: the value is finite, not negative
// and means no more than the target.
func TestEncodeNeverRaises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.IntRange(0, maxReplicas).Draw(t, "target")
		status := rapid.IntRange(0, math.MaxInt32).Draw(t, "status")
		v := encode(target, status, rapid.IntRange(-10, 5000).Draw(t, "tolerance"))
		if math.IsNaN(v) || v < 0 || v > float64(target) {
			t.Fatalf("encoded as %v", v)
		}
	})
}

// noon is when most tests happen.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
