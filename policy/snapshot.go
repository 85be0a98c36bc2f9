package policy

import "github.com/keda-headroom/headroom/metrics"

// Snapshot is everything that was known of one group at one instant. A missing
// key is the zero Reading: unknown, not read yet.
type Snapshot struct {
	// Epoch is the term in which this process leads. Without one ("") nothing is
	// done to pods: no plan has an admission, a stamp or an eviction.
	Epoch     string                                           `json:"epoch,omitempty"`
	Databases map[metrics.ID]metrics.Reading[metrics.Database] `json:"databases"`
	Queues    map[metrics.ID]metrics.Reading[metrics.Queue]    `json:"queues"` // by workload
	// Points are of the queues of workloads whose policy asks for what CloudWatch
	// knows (see [SQS.AsksCloudWatch]), by workload.
	Points map[metrics.ID]metrics.Reading[metrics.Points] `json:"points,omitempty"`
	Fleets map[metrics.ID]metrics.Reading[metrics.Fleet]  `json:"fleets"` // by workload
}
