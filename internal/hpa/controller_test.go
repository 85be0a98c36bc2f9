package hpa_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/hpa"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

func controller(t testing.TB, o hpa.Options) *hpa.Controller {
	t.Helper()
	if o.MaxReplicas == 0 {
		o.MaxReplicas = 100
	}
	c, err := hpa.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One sync of a fresh controller that follows at once, so that only the
// replica calculator and the bounds speak.
func TestProposal(t *testing.T) {
	for name, c := range map[string]struct {
		tolerance    float64
		target       int64
		spec, status int
		metric       hpa.Metric
		want         int
	}{
		"ceil of metric over target":                   {0.1, 5000, 1, 1, hpa.Value(21), 5},
		"a hair above rounds up":                       {0, 0, 3, 3, hpa.Value(3.001), 4},
		"below a thousandth rounds up to one":          {0, 0, 3, 3, hpa.Value(3.0000001), 4},
		"in tolerance above, inclusive":                {0.1, 0, 10, 10, hpa.Value(11), 10},
		"out of tolerance above":                       {0.1, 0, 10, 10, hpa.Value(11.001), 12},
		"in tolerance below, inclusive":                {0.1, 0, 10, 10, hpa.Value(9), 10},
		"out of tolerance below: the largest value":    {0.1, 0, 10, 10, hpa.Value(8.999), 9},
		"deadband does not bite under ten":             {0.1, 0, 9, 9, hpa.Value(8), 8},
		"in tolerance proposes status, surge included": {0.1, 0, 10, 13, hpa.Value(12), 13},
		"in tolerance proposes status, below spec":     {0.1, 0, 10, 8, hpa.Value(8), 8},
		"idle at zero":                                 {0, 0, 0, 0, hpa.Value(50), 0},
		"idle at zero while pods still go":             {0, 0, 0, 4, hpa.Value(50), 0},
		"no status yet":                                {0.1, 0, 3, 0, hpa.Value(7), 7},
		"no status and nothing to do":                  {0.1, 0, 3, 0, hpa.Value(0), 1},
		"zero gives min":                               {0.1, 0, 7, 7, hpa.Value(0), 1},
		"below zero gives max":                         {0.1, 0, 7, 7, hpa.Value(-1), 100},
		"beyond every bound gives max":                 {0.1, 0, 7, 7, hpa.Value(math.Inf(1)), 100},
		"not a number gives max":                       {0.1, 0, 7, 7, hpa.Value(math.NaN()), 100},
		"an error holds":                               {0, 0, 7, 7, hpa.Failed(errors.New("no")), 7},
		"above max, whatever the metric":               {0, 0, 120, 120, hpa.Failed(errors.New("no")), 100},
	} {
		t.Run(name, func(t *testing.T) {
			rules := hpa.Unbraked()
			rules.Tolerance = &c.tolerance
			hc := controller(t, hpa.Options{TargetMilli: c.target, Behavior: &hpa.Behavior{ScaleUp: rules, ScaleDown: rules}})
			if got := hc.Sync(start, c.spec, c.status, c.metric); got != c.want {
				t.Errorf("Sync(spec %d, status %d, %+v) = %d, want %d", c.spec, c.status, c.metric, got, c.want)
			}
		})
	}
}

func TestBelowMinimum(t *testing.T) {
	c := controller(t, hpa.Options{MinReplicas: 5})
	if c.Queries(3) || c.Queries(101) || c.Queries(0) || !c.Queries(5) || !c.Queries(100) {
		t.Error("the metric is asked for between min and max only")
	}
	if got := c.Sync(start, 3, 3, hpa.Value(0)); got != 5 {
		t.Errorf("from 3 with a minimum of 5: %d", got)
	}
}

func TestMilli(t *testing.T) {
	for v, want := range map[float64]int64{
		0: 0, 1: 1000, 8.999: 8999, 8.9991: 9000, 0.0004: 1, -0.0004: 0, -1.5: -1500, 0.1 + 0.2: 300,
		math.Inf(1): math.MaxInt64, math.Inf(-1): math.MinInt64,
	} {
		if got := hpa.Value(v).Milli; got != want {
			t.Errorf("Value(%v) is %d milli, want %d", v, got, want)
		}
	}
}

// story is a sequence of syncs, 15 s apart unless said otherwise; status
// follows spec at once.
type story struct {
	after  time.Duration // since the sync before; 0 means 15 s
	metric float64
	want   int
}

func tell(t *testing.T, c *hpa.Controller, replicas int, syncs []story) {
	t.Helper()
	now := start
	for i, s := range syncs {
		if i > 0 {
			if s.after == 0 {
				s.after = hpa.SyncPeriod
			}
			now = now.Add(s.after)
		}
		next := c.Sync(now, replicas, replicas, hpa.Value(s.metric))
		if next != s.want {
			t.Fatalf("sync %d at %v, metric %v: from %d to %d, want %d", i, now.Sub(start), s.metric, replicas, next, s.want)
		}
		replicas = next
	}
}

// KEDA's documented default leaves behavior unset.
func TestWithoutBehavior(t *testing.T) {
	t.Run("grows by max(2×, 4)", func(t *testing.T) {
		tell(t, controller(t, hpa.Options{}), 1, []story{
			{metric: 500, want: 4}, {metric: 500, want: 8}, {metric: 500, want: 16},
			{metric: 500, want: 32}, {metric: 500, want: 64}, {metric: 500, want: 100},
		})
	})
	t.Run("the brake is per sync, not per time", func(t *testing.T) {
		tell(t, controller(t, hpa.Options{}), 1, []story{{metric: 500, want: 4}, {after: time.Second, metric: 500, want: 8}})
	})
	t.Run("keeps the highest of five minutes", func(t *testing.T) {
		tell(t, controller(t, hpa.Options{}), 10, []story{
			{metric: 20, want: 20},
			{metric: 3, want: 20},
			{after: 4*time.Minute + 45*time.Second, metric: 3, want: 20}, // the 20 is exactly five minutes old
			{after: time.Second, metric: 3, want: 3},
		})
	})
	t.Run("and can even raise above the current replicas", func(t *testing.T) {
		c := controller(t, hpa.Options{})
		c.Sync(start, 10, 10, hpa.Value(20))
		// Somebody scaled to 5 by hand.
		if got := c.Sync(start.Add(15*time.Second), 5, 5, hpa.Value(2)); got != 10 {
			t.Errorf("got %d, want 10: the 20 recommended before, braked to 2×5", got)
		}
	})
	t.Run("the first recommendation is what was there", func(t *testing.T) {
		tell(t, controller(t, hpa.Options{}), 12, []story{{metric: 1, want: 12}, {after: 301 * time.Second, metric: 1, want: 1}})
	})
	t.Run("flag for the stabilization", func(t *testing.T) {
		tell(t, controller(t, hpa.Options{DownscaleStabilization: ptr(10 * time.Second)}), 12, []story{
			{metric: 1, want: 12}, {metric: 1, want: 1},
		})
	})
}

func TestWithBehavior(t *testing.T) {
	t.Run("defaults: up by the larger of 4 and 100 % in 15 s", func(t *testing.T) {
		tell(t, controller(t, hpa.Options{Behavior: &hpa.Behavior{}}), 1, []story{
			{metric: 500, want: 5},                          // 1+4
			{after: 10 * time.Second, metric: 500, want: 5}, // the period began with 1
			{after: 5 * time.Second, metric: 500, want: 10}, // 15 s on, the first change no longer counts
			{metric: 500, want: 20},
		})
	})
	t.Run("defaults: down after 300 s, all at once", func(t *testing.T) {
		tell(t, controller(t, hpa.Options{Behavior: &hpa.Behavior{}}), 10, []story{
			{metric: 20, want: 20},
			{metric: 3, want: 20},
			{after: 284 * time.Second, metric: 3, want: 20},
			{after: time.Second, metric: 3, want: 3}, // the 20 is exactly 300 s old
		})
	})
	t.Run("never above the current replicas for the past's sake", func(t *testing.T) {
		c := controller(t, hpa.Options{Behavior: &hpa.Behavior{}})
		c.Sync(start, 10, 10, hpa.Value(20))
		if got := c.Sync(start.Add(15*time.Second), 5, 5, hpa.Value(2)); got != 5 {
			t.Errorf("got %d, want 5", got)
		}
	})
	t.Run("unbraked follows at once", func(t *testing.T) {
		tell(t, controller(t, hpa.Options{Behavior: &hpa.Behavior{ScaleUp: hpa.Unbraked(), ScaleDown: hpa.Unbraked()}}), 1, []story{
			{metric: 90, want: 90}, {metric: 89, want: 89}, {metric: 1, want: 1}, {metric: 0, want: 1}, {metric: 2, want: 2},
		})
	})
	t.Run("one direction's rules leave the other's defaults", func(t *testing.T) {
		tell(t, controller(t, hpa.Options{Behavior: &hpa.Behavior{ScaleDown: hpa.Rules{StabilizationWindow: ptr(time.Duration(0))}}}), 1, []story{
			{metric: 500, want: 5}, {metric: 2, want: 2}, {metric: 2.2, want: 2},
		})
	})
	t.Run("scale-up stabilization follows the lowest", func(t *testing.T) {
		rules := hpa.Unbraked()
		rules.StabilizationWindow = ptr(30 * time.Second)
		tell(t, controller(t, hpa.Options{Behavior: &hpa.Behavior{ScaleUp: rules}}), 1, []story{
			{metric: 9, want: 1}, {metric: 8, want: 1}, {metric: 9, want: 8}, {metric: 9, want: 9},
		})
	})
	t.Run("percent rounds up on the way up, toward fewer on the way down", func(t *testing.T) {
		tenth := []hpa.Policy{{Type: hpa.Percent, Value: 10, Period: time.Minute}}
		none := ptr(time.Duration(0))
		b := &hpa.Behavior{ScaleUp: hpa.Rules{Policies: tenth}, ScaleDown: hpa.Rules{Policies: tenth, StabilizationWindow: none}}
		tell(t, controller(t, hpa.Options{Behavior: b}), 5, []story{{metric: 50, want: 6}})
		tell(t, controller(t, hpa.Options{Behavior: b}), 5, []story{{metric: 1, want: 4}, {metric: 1, want: 4}, {after: 45 * time.Second, metric: 1, want: 3}})
	})
	t.Run("the smaller change, or none", func(t *testing.T) {
		policies := []hpa.Policy{{Type: hpa.Pods, Value: 2, Period: time.Minute}, {Type: hpa.Percent, Value: 50, Period: time.Minute}}
		rules := func(s hpa.Select) hpa.Rules {
			return hpa.Rules{SelectPolicy: s, Policies: policies, StabilizationWindow: ptr(time.Duration(0))}
		}
		for s, want := range map[hpa.Select][2]int{hpa.SelectMax: {15, 5}, hpa.SelectMin: {12, 8}, hpa.SelectDisabled: {10, 10}, "": {15, 5}} {
			b := &hpa.Behavior{ScaleUp: rules(s), ScaleDown: rules(s)}
			tell(t, controller(t, hpa.Options{Behavior: b}), 10, []story{{metric: 100, want: want[0]}})
			tell(t, controller(t, hpa.Options{Behavior: b}), 10, []story{{metric: 0, want: want[1]}})
		}
	})
	t.Run("what went away in the period may come back on top", func(t *testing.T) {
		four := []hpa.Policy{{Type: hpa.Pods, Value: 4, Period: time.Minute}}
		b := &hpa.Behavior{ScaleUp: hpa.Rules{Policies: four}, ScaleDown: hpa.Rules{StabilizationWindow: ptr(time.Duration(0))}}
		// 10 at the period's start, 4 more allowed: 14, though it stood at 2.
		tell(t, controller(t, hpa.Options{Behavior: b}), 10, []story{{metric: 2, want: 2}, {metric: 100, want: 14}})
	})
	t.Run("tolerances by direction", func(t *testing.T) {
		up, down := hpa.Unbraked(), hpa.Unbraked()
		up.Tolerance = ptr(0.5)
		down.Tolerance = nil // the controller's
		tell(t, controller(t, hpa.Options{Behavior: &hpa.Behavior{ScaleUp: up, ScaleDown: down}}), 10, []story{
			{metric: 15, want: 10}, {metric: 9, want: 10}, {metric: 15.1, want: 16},
		})
	})
}

// A metric of d < status moves an HPA with tolerance t only below (1−t)·status;
// the largest value that does is the encoding that package policy uses.
func TestLargestValueThatActs(t *testing.T) {
	for _, tolerance := range []float64{0.05, 0.1, 0.2} {
		for status := 1; status <= 200; status++ {
			inside := math.Ceil(1000*float64(status)*(1-tolerance)-1e-9) / 1000
			value := inside - 0.001
			for _, c := range []struct {
				metric float64
				holds  bool
			}{{inside, true}, {value, false}} {
				if value < 0.001 {
					continue
				}
				rules := hpa.Unbraked()
				rules.Tolerance = &tolerance
				hc := controller(t, hpa.Options{MaxReplicas: 300, Behavior: &hpa.Behavior{ScaleUp: rules, ScaleDown: rules}})
				// Status stands off spec, so that a hold can be told from a proposal.
				got := hc.Sync(start, status+50, status, hpa.Value(c.metric))
				want := int(math.Ceil(c.metric))
				if c.holds {
					want = status
				}
				if got != want {
					t.Fatalf("tolerance %v, status %d, metric %v: %d, want %d", tolerance, status, c.metric, got, want)
				}
			}
		}
	}
}

func TestBadOptions(t *testing.T) {
	_, err := hpa.New(hpa.Options{
		MinReplicas: 9, MaxReplicas: 3, TargetMilli: -1, Tolerance: ptr(-0.1), DownscaleStabilization: ptr(-time.Second),
		Behavior: &hpa.Behavior{
			ScaleUp:   hpa.Rules{SelectPolicy: "Most", StabilizationWindow: ptr(2 * time.Hour), Policies: []hpa.Policy{{Type: "Cows", Value: 0}}},
			ScaleDown: hpa.Rules{Tolerance: ptr(math.NaN()), Policies: []hpa.Policy{}},
		},
	})
	for _, want := range []string{
		"MaxReplicas", "TargetMilli", "\nTolerance", "DownscaleStabilization", "ScaleUp.SelectPolicy", "ScaleUp.StabilizationWindow",
		"ScaleUp.Policies[0].Type", "ScaleUp.Policies[0].Value", "ScaleUp.Policies[0].Period", "ScaleDown.Tolerance", "ScaleDown.Policies:",
	} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("the error does not mention %q: %v", want, err)
		}
	}
	if _, err := hpa.New(hpa.Options{}); err == nil {
		t.Error("no maximum: expected an error")
	}
}
