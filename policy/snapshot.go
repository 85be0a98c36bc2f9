package policy

import "github.com/keda-headroom/headroom/metrics"

// Snapshot is everything that was known of one group at one instant. A missing
// key is the zero Reading: unknown, not read yet.
type Snapshot struct {
	Databases map[metrics.ID]metrics.Reading[metrics.Database] `json:"databases"`
	Queues    map[metrics.ID]metrics.Reading[metrics.Queue]    `json:"queues"` // by workload
	Fleets    map[metrics.ID]metrics.Reading[metrics.Fleet]    `json:"fleets"` // by workload
}
