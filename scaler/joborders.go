package scaler

import (
	"sync"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// jobOrders remember when KEDA was last told to create Jobs of a workload: an order,
// which it follows each time that it hears it, where a number of replicas stays the
// same however often it is said. The next one is given by a plan of Jobs that had
// settled by then.
type jobOrders struct {
	mu    sync.Mutex
	given map[metrics.ID]time.Time
}

// give reports whether an order that was planned then may be given now, and takes it
// as given.
func (o *jobOrders) give(workload metrics.ID, planned, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if planned.Sub(o.given[workload]) < policy.JobsSettle {
		return false
	}
	if o.given == nil {
		o.given = make(map[metrics.ID]time.Time)
	}
	o.given[workload] = now
	return true
}
