package gate

import (
	"time"

	"github.com/keda-headroom/headroom/scaler"
)

// Count returns what counts outcomes; it goes into [Options].
func Count(t *scaler.Telemetry) func(Outcome) {
	return func(o Outcome) {
		t.PodRequest(string(o.Kind), string(o.Result))
		switch {
		case o.Kind == Evict:
			t.Evicted(o.Workload, o.Reason, string(o.Result))
		case o.Kind == Admit && o.Result == Done:
			t.Admitted(o.Workload, o.Waited())
		}
	}
}

// Waited is how long after its creation a pod was admitted, -1 where it isn't
// known when that was. The API server tells creation in whole seconds.
func (o Outcome) Waited() time.Duration {
	if o.CreatedAt.IsZero() {
		return -1
	}
	return max(0, o.At.Sub(o.CreatedAt))
}
