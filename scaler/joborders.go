package scaler

import (
	"sync"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// createsJobs reports whether w makes KEDA create Jobs. That is an order, which KEDA
// follows each time that it hears it, where a number of replicas stays the same
// however often it is said.
func createsJobs(state *State, w *policy.WorkloadPlan) bool {
	p, _ := state.Policy(w.ID)
	return p.ScaledJob != "" && w.Active && w.Value > 0
}

// jobOrders remember when KEDA was last told to create Jobs of a workload, so that
// the next order is given by a plan of Jobs that had settled by then.
type jobOrders struct {
	mu    sync.Mutex
	given map[metrics.ID]time.Time
}

// give reports whether an order that was planned then may be given now, and takes it
// as given.
func (o *jobOrders) give(workload metrics.ID, planned, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if last, ok := o.given[workload]; ok && planned.Sub(last) < policy.JobsSettle {
		return false
	}
	if o.given == nil {
		o.given = make(map[metrics.ID]time.Time)
	}
	o.given[workload] = now
	return true
}
