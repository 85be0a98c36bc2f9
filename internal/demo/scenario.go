package demo

import (
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/internal/hpa"
	"github.com/keda-headroom/headroom/internal/kedasim"
)

// scenario is every number of the demo. All three runs share one.
type scenario struct {
	// maxConnections of the private server, of which superuserReserved are kept
	// from ordinary roles. A server that is lent to us gets a database with a
	// CONNECTION LIMIT of the difference instead.
	maxConnections, superuserReserved int
	// reserve is left free by Headroom, and by the bound.
	reserve int

	// connectionsPerPod is the size of a worker's pool, and how many messages
	// it handles at a time.
	connectionsPerPod int
	messages          int
	work              time.Duration // that a message holds its connection for

	// The other application holds otherHeld connections, otherSpike more from
	// spikeAfter the burst on for spikeFor, and opens a short one every
	// shortEvery.
	otherHeld, otherSpike int
	spikeAfter, spikeFor  time.Duration
	shortEvery            time.Duration

	// queueLength is aws-sqs-queue's default, messagesPerPod Headroom's policy.
	queueLength, messagesPerPod int

	// faster divides KEDA's and Kubernetes' intervals, in every run alike.
	faster int
	// othersWindow is how far back Headroom remembers others; nothing is
	// promised before it has watched them for as long.
	othersWindow time.Duration

	// cutOff ends a run that has not drained.
	cutOff time.Duration
}

// standard is what `make demo` runs.
func standard() scenario {
	return scenario{
		maxConnections: 60, superuserReserved: 3, reserve: 5,
		connectionsPerPod: 5, messages: 1500, work: time.Second,
		otherHeld: 12, otherSpike: 10, spikeAfter: 19 * time.Second, spikeFor: 5 * time.Second,
		shortEvery:  200 * time.Millisecond,
		queueLength: 5, messagesPerPod: 20,
		faster: 5, othersWindow: 10 * time.Second,
		cutOff: 60 * time.Second,
	}
}

// usable is how many connections ordinary roles can hold.
func (s scenario) usable() int { return s.maxConnections - s.superuserReserved }

// others is how many connections are not the workers' before the spike: what the
// other application holds, its short connection, and ours: Headroom's, and the
// one that watches where it takes a slot that workers could have.
func (s scenario) others(watcher int) int { return s.otherHeld + 1 + 1 + watcher }

// budget is what is left for workers.
func (s scenario) budget(watcher int) int { return max(0, s.usable()-s.reserve-s.others(watcher)) }

// boundReplicas is the fixed number of replicas that just fits.
func (s scenario) boundReplicas(watcher int) int { return s.budget(watcher) / s.connectionsPerPod }

// check says whether there is anything to show: one worker has to fit.
func (s scenario) check() error {
	const watcher = 1 // at most
	if s.boundReplicas(watcher) < 1 {
		return fmt.Errorf("no worker fits: %d connections are left for workers, and one takes %d", s.budget(watcher), s.connectionsPerPod)
	}
	return nil
}

// quicker is an interval of KEDA or Kubernetes as the demo runs it.
func (s scenario) quicker(d time.Duration) time.Duration { return d / time.Duration(s.faster) }

// scaledObject has KEDA's documented defaults, quicker.
func (s scenario) scaledObject() kedasim.ScaledObject {
	return kedasim.ScaledObject{
		MaxReplicaCount: kedasim.DefaultMaxReplicaCount,
		PollingInterval: s.quicker(kedasim.DefaultPollingInterval),
		CooldownPeriod:  s.quicker(kedasim.DefaultCooldownPeriod),
	}
}

// syncPeriod is how often the HPA is reconciled.
func (s scenario) syncPeriod() time.Duration { return s.quicker(hpa.SyncPeriod) }

// defaultHPA is the HPA of a ScaledObject that says nothing of behavior.
func (s scenario) defaultHPA() hpa.Options {
	least, most := s.scaledObject().HPABounds()
	stabilization := s.quicker(5 * time.Minute)
	return hpa.Options{MinReplicas: least, MaxReplicas: most, DownscaleStabilization: &stabilization}
}

// shippedHPA is the HPA of the ScaledObject that Headroom ships for mode Target:
// no tolerance, no stabilization, no brake.
func (s scenario) shippedHPA() hpa.Options {
	o := s.defaultHPA()
	o.Behavior = &hpa.Behavior{ScaleUp: hpa.Unbraked(), ScaleDown: hpa.Unbraked()}
	return o
}
