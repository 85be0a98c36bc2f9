package hpa_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/hpa"
)

func anyRules(t *rapid.T, label string) hpa.Rules {
	var r hpa.Rules
	if rapid.Bool().Draw(t, label+" has window") {
		r.StabilizationWindow = ptr(time.Duration(rapid.IntRange(0, 600).Draw(t, label+" window")) * time.Second)
	}
	if rapid.Bool().Draw(t, label+" has tolerance") {
		r.Tolerance = ptr(rapid.Float64Range(0, 0.5).Draw(t, label+" tolerance"))
	}
	r.SelectPolicy = rapid.SampledFrom([]hpa.Select{"", hpa.SelectMax, hpa.SelectMin, hpa.SelectDisabled}).Draw(t, label+" select")
	for range rapid.IntRange(0, 3).Draw(t, label+" policies") {
		r.Policies = append(r.Policies, hpa.Policy{
			Type:   rapid.SampledFrom([]hpa.PolicyType{hpa.Pods, hpa.Percent}).Draw(t, label+" type"),
			Value:  rapid.IntRange(1, 300).Draw(t, label+" value"),
			Period: time.Duration(rapid.IntRange(1, 120).Draw(t, label+" period")) * time.Second,
		})
	}
	return r
}

func anyOptions(t *rapid.T) hpa.Options {
	o := hpa.Options{MinReplicas: rapid.IntRange(0, 10).Draw(t, "min")}
	o.MaxReplicas = max(o.MinReplicas, 1) + rapid.IntRange(0, 100).Draw(t, "max")
	if rapid.Bool().Draw(t, "has behavior") {
		o.Behavior = &hpa.Behavior{ScaleUp: anyRules(t, "up"), ScaleDown: anyRules(t, "down")}
	}
	return o
}

// Whatever the metric, the options and the hands that scale beside it: replicas
// of more than zero end inside the bounds, zero stays zero, and the pace of an
// HPA without behavior is kept.
func TestStaysInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := anyOptions(t)
		c, err := hpa.New(o)
		if err != nil {
			t.Fatal(err)
		}
		now, spec := start, rapid.IntRange(0, 120).Draw(t, "spec")
		for range rapid.IntRange(1, 40).Draw(t, "syncs") {
			now = now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "after")) * time.Second)
			status := rapid.IntRange(0, 150).Draw(t, "status")
			metric := hpa.Value(rapid.Float64Range(-5, 300).Draw(t, "metric"))
			next := c.Sync(now, spec, status, metric)
			switch {
			case spec == 0:
				if next != 0 {
					t.Fatalf("zero became %d", next)
				}
			case next < max(o.MinReplicas, 1) || next > o.MaxReplicas:
				t.Fatalf("from %d to %d, outside %d…%d", spec, next, o.MinReplicas, o.MaxReplicas)
			case o.Behavior == nil && spec >= max(o.MinReplicas, 1) && next > max(2*spec, 4, o.MinReplicas):
				t.Fatalf("from %d to %d in one sync", spec, next)
			}
			spec = next
			if rapid.IntRange(0, 9).Draw(t, "by hand") == 0 {
				spec = rapid.IntRange(0, 120).Draw(t, "spec")
			}
		}
	})
}

// With the shipped settings the HPA is transparent: replicas are the metric,
// rounded up, inside the bounds.
func TestUnbrakedIsTransparent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := hpa.New(hpa.Options{MaxReplicas: 100, Behavior: &hpa.Behavior{ScaleUp: hpa.Unbraked(), ScaleDown: hpa.Unbraked()}})
		if err != nil {
			t.Fatal(err)
		}
		now, spec := start, 1
		for range rapid.IntRange(1, 40).Draw(t, "syncs") {
			now = now.Add(hpa.SyncPeriod)
			target := rapid.IntRange(0, 150).Draw(t, "target")
			if got, want := c.Sync(now, spec, rapid.IntRange(0, 150).Draw(t, "status"), hpa.Value(float64(target))), min(max(target, 1), 100); got != want {
				t.Fatalf("target %d: %d replicas, want %d", target, got, want)
			}
			spec = min(max(target, 1), 100)
		}
	})
}

// A metric that stays arrives: sooner or later replicas are what it asks for,
// unless a direction is disabled or tolerance holds.
func TestConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zero := 0.0
		up, down := anyRules(t, "up"), anyRules(t, "down")
		up.Tolerance, down.Tolerance = &zero, &zero
		up.SelectPolicy, down.SelectPolicy = "", ""
		// A small percentage of few replicas, rounded toward zero, always takes one.
		c, err := hpa.New(hpa.Options{MaxReplicas: 100, Behavior: &hpa.Behavior{ScaleUp: up, ScaleDown: down}})
		if err != nil {
			t.Fatal(err)
		}
		now, spec, target := start, rapid.IntRange(1, 100).Draw(t, "spec"), rapid.IntRange(1, 100).Draw(t, "target")
		for range 3000 {
			now = now.Add(hpa.SyncPeriod)
			spec = c.Sync(now, spec, spec, hpa.Value(float64(target)))
		}
		if spec != target {
			t.Fatalf("stuck at %d, target %d", spec, target)
		}
	})
}
