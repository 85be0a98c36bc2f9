package kedasim

import (
	"math"
	"time"
)

// KEDA's defaults.
const (
	DefaultMaxReplicaCount = 100
	DefaultPollingInterval = 30 * time.Second
	DefaultCooldownPeriod  = 300 * time.Second
)

// ScaledObject is the part of one that decides replicas. The zero value has
// KEDA's defaults.
type ScaledObject struct {
	// MinReplicaCount is 0 by default: KEDA takes the workload to zero.
	MinReplicaCount int
	// MaxReplicaCount of 0 means 100.
	MaxReplicaCount int
	// PollingInterval of 0 means 30 s, CooldownPeriod of 0 means 300 s.
	PollingInterval, CooldownPeriod time.Duration
}

// HPABounds returns minReplicas and maxReplicas of the HPA that KEDA creates
// (HC): a Kubernetes HPA has no minimum of zero.
func (o ScaledObject) HPABounds() (least, most int) {
	o = o.withDefaults()
	return max(o.MinReplicaCount, 1), o.MaxReplicaCount
}

func (o ScaledObject) withDefaults() ScaledObject {
	if o.MaxReplicaCount == 0 {
		o.MaxReplicaCount = DefaultMaxReplicaCount
	}
	if o.PollingInterval == 0 {
		o.PollingInterval = DefaultPollingInterval
	}
	if o.CooldownPeriod == 0 {
		o.CooldownPeriod = DefaultCooldownPeriod
	}
	return o
}

// Executor is what KEDA remembers of one ScaledObject between two polls. It is
// not safe for concurrent use.
type Executor struct {
	object     ScaledObject
	lastActive time.Time // zero before the first activity
}

// NewExecutor returns the executor of a ScaledObject that was just created.
func NewExecutor(o ScaledObject) *Executor { return &Executor{object: o.withDefaults()} }

// PollingInterval is how often the ScaledObject is polled.
func (e *Executor) PollingInterval() time.Duration { return e.object.PollingInterval }

// Poll is what KEDA does every PollingInterval (EX RequestScale): current is
// spec.replicas, active what IsActive said, failed whether a call failed. It
// returns the new spec.replicas; current where KEDA leaves it alone.
func (e *Executor) Poll(now time.Time, current int, active, failed bool) int {
	least := e.object.MinReplicaCount
	switch {
	case active && current == 0:
		e.lastActive = now
		return max(least, 1) // whatever the metric says
	case active && !failed:
		e.lastActive = now
	case active, failed:
		// Something is wrong: neither activity nor the lack of it counts.
	case current > 0 && least == 0:
		if e.lastActive.IsZero() || e.lastActive.Add(e.object.CooldownPeriod).Before(now) {
			return 0
		}
	case current < least:
		return least
	}
	return current
}

// Push is what KEDA does when an external-push scaler says active over
// StreamIsActive (SH startPushScalers): true acts as a poll would, at once;
// false is ignored.
func (e *Executor) Push(now time.Time, current int, active bool) int {
	if !active {
		return current
	}
	return e.Poll(now, current, true, false)
}

// Milli is a metric's value as KEDA hands it to the HPA: in thousandths,
// rounded to the nearest; what is below zero, infinite or no number is zero.
// Values beyond what int64 holds are the largest.
func Milli(value float64) int64 {
	if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
		return 0
	}
	if value >= math.MaxInt64/1000 {
		return math.MaxInt64
	}
	return int64(math.Round(value * 1000))
}

// MetricValue chooses between the two fields of an external scaler's answer, as
// KEDA does: the float wins only above zero.
func MetricValue(integer int64, float float64) float64 {
	if float > 0 {
		return float
	}
	return float64(integer)
}
