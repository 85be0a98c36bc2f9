package hpa

import (
	"math"
	"slices"
	"time"
)

// SyncPeriod is how long the controller waits between two syncs of one HPA.
const SyncPeriod = 15 * time.Second

// Controller is what the HPA controller knows of one HPA between two syncs. It
// is not safe for concurrent use.
type Controller struct {
	min, max        int
	targetMilli     int64
	down, up        float64 // tolerances
	stabilization   time.Duration
	behavior        *Behavior // with defaults filled in; nil where there is none
	recommendations []recommendation
	ups, downs      []change
}

type recommendation struct {
	at       time.Time
	replicas int
}

// change is how many replicas a sync added or took away; always more than 0.
type change struct {
	at time.Time
	by int
}

// New returns the controller of an HPA that was just created. The error says
// everything that is wrong with o.
func New(o Options) (*Controller, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	c := &Controller{
		min: max(o.MinReplicas, 1), max: o.MaxReplicas,
		targetMilli: o.TargetMilli, down: 0.1, up: 0.1, stabilization: 5 * time.Minute,
	}
	if c.targetMilli == 0 {
		c.targetMilli = 1000
	}
	if o.Tolerance != nil {
		c.down, c.up = *o.Tolerance, *o.Tolerance
	}
	if o.DownscaleStabilization != nil {
		c.stabilization = *o.DownscaleStabilization
	}
	if o.Behavior == nil {
		return c, nil
	}
	c.behavior = &Behavior{
		ScaleUp:   o.Behavior.ScaleUp.over(defaultScaleUp()),
		ScaleDown: o.Behavior.ScaleDown.over(defaultScaleDown(c.stabilization)),
	}
	if t := o.Behavior.ScaleDown.Tolerance; t != nil {
		c.down = *t
	}
	if t := o.Behavior.ScaleUp.Tolerance; t != nil {
		c.up = *t
	}
	return c, nil
}

// Sync is one reconciliation at now: spec and status are spec.replicas and
// status.replicas of the scale subresource, metric is what the query gave. It
// returns the new spec.replicas; spec itself where the HPA leaves it alone.
//
// The metric is not asked for, so it does not matter, where replicas are 0 or
// out of bounds; see Queries. Times must not run backwards.
func (c *Controller) Sync(now time.Time, spec, status int, metric Metric) int {
	if c.recommendations == nil { // HZ recordInitialRecommendation
		c.recommendations = []recommendation{{now, spec}}
	}
	var desired int
	switch {
	case spec == 0:
		return 0 // scaled to zero by hand, or by KEDA: autoscaling is off
	case spec > c.max:
		desired = c.max
	case spec < c.min:
		desired = c.min
	case metric.Err != nil:
		return spec
	case c.behavior == nil:
		desired = c.normalize(now, spec, c.proposal(status, metric.Milli))
	default:
		desired = c.normalizeWithBehavior(now, spec, c.proposal(status, metric.Milli))
	}
	c.remember(now, desired-spec)
	return desired
}

// Queries reports whether a sync at this spec.replicas asks for the metric.
func (c *Controller) Queries(spec int) bool { return spec >= c.min && spec <= c.max }

// proposal is RC GetExternalPerPodMetricReplicas. A sum below 0 is taken for an
// overflow, and so for the largest value there is.
func (c *Controller) proposal(status int, milli int64) int {
	if milli < 0 {
		milli = math.MaxInt64
	}
	// With a status of 0 this is +Inf, or NaN for a metric of 0: out of
	// tolerance either way.
	ratio := float64(milli) / (float64(c.targetMilli) * float64(status))
	if 1-c.down <= ratio && ratio <= 1+c.up {
		return status
	}
	return int(min(math.Ceil(float64(milli)/float64(c.targetMilli)), math.MaxInt32))
}

// normalize is HZ normalizeDesiredReplicas: the way of an HPA without behavior.
func (c *Controller) normalize(now time.Time, current, proposed int) int {
	highest := proposed
	cutoff := now.Add(-c.stabilization)
	c.recommendations = slices.DeleteFunc(c.recommendations, func(r recommendation) bool { return r.at.Before(cutoff) })
	for _, r := range c.recommendations {
		highest = max(highest, r.replicas)
	}
	c.recommendations = append(c.recommendations, recommendation{now, proposed})

	fastest := max(2*current, 4)
	if highest < c.min {
		return c.min
	}
	return min(highest, c.max, fastest)
}

// normalizeWithBehavior is HZ normalizeDesiredReplicasWithBehaviors.
func (c *Controller) normalizeWithBehavior(now time.Time, current, proposed int) int {
	stabilized := c.stabilize(now, current, proposed)
	switch {
	case stabilized > current:
		limit := max(c.pace(now, current, c.behavior.ScaleUp, +1), current)
		return min(stabilized, limit, c.max)
	case stabilized < current:
		limit := min(c.pace(now, current, c.behavior.ScaleDown, -1), current)
		return max(stabilized, limit, c.min)
	}
	return stabilized
}

// stabilize is HZ stabilizeRecommendationWithBehaviors: current, brought
// between the lowest recommendation of the one window and the highest of the
// other.
func (c *Controller) stabilize(now time.Time, current, proposed int) int {
	upCutoff := now.Add(-*c.behavior.ScaleUp.StabilizationWindow)
	downCutoff := now.Add(-*c.behavior.ScaleDown.StabilizationWindow)
	c.recommendations = slices.DeleteFunc(c.recommendations, func(r recommendation) bool {
		return r.at.Before(upCutoff) && r.at.Before(downCutoff)
	})
	lowest, highest := proposed, proposed
	for _, r := range c.recommendations {
		if r.at.After(upCutoff) {
			lowest = min(lowest, r.replicas)
		}
		if r.at.After(downCutoff) {
			highest = max(highest, r.replicas)
		}
	}
	c.recommendations = append(c.recommendations, recommendation{now, proposed})
	return min(max(current, lowest), highest)
}

// pace is HZ calculateScaleUpLimitWithScalingRules (direction +1) and
// calculateScaleDownLimitWithBehaviors (direction −1): how far the rules let
// replicas go, counted from what they were when the policy's period began.
func (c *Controller) pace(now time.Time, current int, rules Rules, direction int) int {
	if rules.SelectPolicy == SelectDisabled {
		return current
	}
	var limits []int
	for _, p := range rules.Policies {
		start := current - changed(c.ups, now, p.Period) + changed(c.downs, now, p.Period)
		limit := start + direction*p.Value
		if p.Type == Percent {
			share := float64(start) * (1 + float64(direction)*float64(p.Value)/100)
			if direction > 0 {
				share = math.Ceil(share) // or few replicas would never grow
			}
			limit = int(share) // toward zero, as in HZ
		}
		limits = append(limits, limit)
	}
	// The largest change is the highest limit on the way up and the lowest on
	// the way down.
	if (rules.SelectPolicy == SelectMin) == (direction > 0) {
		return slices.Min(limits)
	}
	return slices.Max(limits)
}

// changed is HZ getReplicasChangePerPeriod.
func changed(changes []change, now time.Time, period time.Duration) int {
	sum, cutoff := 0, now.Add(-period)
	for _, e := range changes {
		if e.at.After(cutoff) {
			sum += e.by
		}
	}
	return sum
}

// remember is HZ storeScaleEvent.
func (c *Controller) remember(now time.Time, by int) {
	if c.behavior == nil || by == 0 {
		return
	}
	changes, rules := &c.ups, c.behavior.ScaleUp
	if by < 0 {
		changes, rules, by = &c.downs, c.behavior.ScaleDown, -by
	}
	var longest time.Duration
	for _, p := range rules.Policies {
		longest = max(longest, p.Period)
	}
	// HZ overwrites the last one that no policy of this direction counts any
	// more. Those of the other direction may have longer periods and still count
	// the rest, so it matters that one is overwritten and not all.
	cutoff := now.Add(-longest)
	for i, e := range slices.Backward(*changes) {
		if e.at.Before(cutoff) {
			(*changes)[i] = change{now, by}
			return
		}
	}
	*changes = append(*changes, change{now, by})
}
