package hpa

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Options are the parts of a HorizontalPodAutoscaler, and of the controller's
// flags, that decide replicas. The zero value of every field but MaxReplicas is
// Kubernetes' default.
type Options struct {
	// MinReplicas is 1 or more; 0 means the default, 1. KEDA sets it to
	// max(minReplicaCount, 1).
	MinReplicas int
	// MaxReplicas is MinReplicas or more. KEDA's default is 100.
	MaxReplicas int
	// TargetMilli is the metric's target AverageValue in thousandths; 0 means
	// 1000, a target of one.
	TargetMilli int64
	// Tolerance is the controller's flag --horizontal-pod-autoscaler-tolerance;
	// nil means 0.1.
	Tolerance *float64
	// DownscaleStabilization is the controller's flag
	// --horizontal-pod-autoscaler-downscale-stabilization; nil means 5 minutes.
	DownscaleStabilization *time.Duration
	// Behavior is spec.behavior. Without any (nil) the HPA takes another way
	// (HZ normalizeDesiredReplicas): it follows the highest recommendation of
	// the downscale stabilization, even above the current replicas, and grows
	// to at most max(2×, 4) per sync.
	Behavior *Behavior
}

// Behavior is an HPA's spec.behavior. The zero value is the default of one that
// says anything at all.
type Behavior struct {
	ScaleUp   Rules
	ScaleDown Rules
}

// Rules are one direction of a behavior. Fields left nil or empty have
// Kubernetes' defaults: scaling up, no stabilization and the larger of 4 pods
// and 100 % in 15 s; scaling down, the controller's downscale stabilization and
// 100 % in 15 s.
type Rules struct {
	// StabilizationWindow is at most an hour.
	StabilizationWindow *time.Duration
	SelectPolicy        Select
	Policies            []Policy
	// Tolerance takes the place of the controller's in this direction.
	Tolerance *float64
}

// Select says which of several policies counts.
type Select string

// The choices. The zero value is SelectMax.
const (
	SelectMax      Select = "Max"      // the largest change
	SelectMin      Select = "Min"      // the smallest change
	SelectDisabled Select = "Disabled" // no change in this direction
)

// Policy limits how fast replicas change.
type Policy struct {
	Type PolicyType
	// Value is pods or hundredths: more than 0, at most MaxPolicyValue.
	Value int
	// Period is how far back the changes are counted: more than 0, at most half
	// an hour.
	Period time.Duration
}

// MaxPolicyValue is the largest value of a Policy here. The API server accepts
// any int32, but the controller adds replicas to it in int32: a value near the
// end of the range overflows, and then blocks what it was meant to free.
const MaxPolicyValue = 1_000_000

// PolicyType is what a Policy's Value counts.
type PolicyType string

// The types.
const (
	Pods    PolicyType = "Pods"
	Percent PolicyType = "Percent"
)

// Unbraked lets replicas follow the metric in one direction at once and
// exactly: no tolerance, no stabilization, no limit on the pace. It is what
// Headroom's ScaledObjects set, since its target is safe and smooth already.
func Unbraked() Rules {
	none, zero := time.Duration(0), 0.0
	return Rules{
		StabilizationWindow: &none,
		Tolerance:           &zero,
		Policies:            []Policy{{Type: Pods, Value: MaxPolicyValue, Period: 15 * time.Second}},
	}
}

func defaultScaleUp() Rules {
	none := time.Duration(0)
	return Rules{StabilizationWindow: &none, SelectPolicy: SelectMax, Policies: []Policy{
		{Type: Pods, Value: 4, Period: 15 * time.Second},
		{Type: Percent, Value: 100, Period: 15 * time.Second},
	}}
}

func defaultScaleDown(stabilization time.Duration) Rules {
	return Rules{StabilizationWindow: &stabilization, SelectPolicy: SelectMax, Policies: []Policy{
		{Type: Percent, Value: 100, Period: 15 * time.Second},
	}}
}

// over fills what the rules leave open from defaults.
func (r Rules) over(defaults Rules) Rules {
	if r.StabilizationWindow == nil {
		r.StabilizationWindow = defaults.StabilizationWindow
	}
	if r.SelectPolicy == "" {
		r.SelectPolicy = defaults.SelectPolicy
	}
	if r.Policies == nil {
		r.Policies = defaults.Policies
	}
	return r
}

func (o Options) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.MinReplicas < 0 {
		fail("MinReplicas: expected 0 or more, found %d", o.MinReplicas)
	}
	if o.MaxReplicas < max(o.MinReplicas, 1) || o.MaxReplicas > math.MaxInt32 {
		fail("MaxReplicas: expected MinReplicas (%d) to %d, found %d", max(o.MinReplicas, 1), math.MaxInt32, o.MaxReplicas)
	}
	if o.TargetMilli < 0 {
		fail("TargetMilli: expected more than 0, or 0 for a target of one, found %d", o.TargetMilli)
	}
	tolerance := func(field string, t *float64) {
		if t != nil && (math.IsNaN(*t) || *t < 0) {
			fail("%s: expected 0 or more, found %v", field, *t)
		}
	}
	tolerance("Tolerance", o.Tolerance)
	if d := o.DownscaleStabilization; d != nil && *d < 0 {
		fail("DownscaleStabilization: expected 0 or more, found %v", *d)
	}
	if o.Behavior == nil {
		return errors.Join(errs...)
	}
	for _, direction := range []struct {
		field string
		rules Rules
	}{{"ScaleUp", o.Behavior.ScaleUp}, {"ScaleDown", o.Behavior.ScaleDown}} {
		field, r := direction.field, direction.rules
		tolerance(field+".Tolerance", r.Tolerance)
		if d := r.StabilizationWindow; d != nil && (*d < 0 || *d > time.Hour) {
			fail("%s.StabilizationWindow: expected 0 to 1h, found %v", field, *d)
		}
		switch r.SelectPolicy {
		case "", SelectMax, SelectMin, SelectDisabled:
		default:
			fail("%s.SelectPolicy: expected Max, Min or Disabled, found %q", field, r.SelectPolicy)
		}
		if r.Policies != nil && len(r.Policies) == 0 {
			fail("%s.Policies: expected at least one, or nil for the default", field)
		}
		for i, p := range r.Policies {
			if p.Type != Pods && p.Type != Percent {
				fail("%s.Policies[%d].Type: expected Pods or Percent, found %q", field, i, p.Type)
			}
			if p.Value <= 0 || p.Value > MaxPolicyValue {
				fail("%s.Policies[%d].Value: expected 1 to %d, found %d", field, i, MaxPolicyValue, p.Value)
			}
			if p.Period <= 0 || p.Period > 30*time.Minute {
				fail("%s.Policies[%d].Period: expected more than 0 and at most 30m, found %v", field, i, p.Period)
			}
		}
	}
	return errors.Join(errs...)
}
