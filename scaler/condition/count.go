package condition

import (
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/gate"
)

// Count returns what counts requests; it goes into [Options].
func Count(t *scaler.Telemetry) func(gate.Result) {
	return func(r gate.Result) { t.PodRequest("Condition", string(r)) }
}
