package check

import (
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// Report is what was found.
type Report struct {
	// At is when everything was read.
	At     time.Time `json:"at"`
	Queues []Queue   `json:"queues"` // in order of their first workload
	Prices Prices    `json:"prices"`
	// Total is the cost of all queues at their poll intervals, in US dollars for 30
	// days.
	Total float64 `json:"costPerMonth"`
	// Errors counts the findings that keep something from being read.
	Errors int `json:"errors"`
}

// Queue is one queue that workloads take from.
type Queue struct {
	Name      string       `json:"queue"` // its URL, or its name and region
	Workloads []metrics.ID `json:"workloads"`
	// Depth is what SQS says; nil where it can't be read.
	Depth *metrics.Queue `json:"depth,omitempty"`
	// Published is what CloudWatch says; nil where it was not asked, or can't be.
	Published *Published `json:"published,omitempty"`
	Cost      Cost       `json:"cost"`
	Findings  []Finding  `json:"findings"`
}

// Published is how much CloudWatch has published of the last hour.
type Published struct {
	Minutes int `json:"minutes"` // that have a point of any metric
	// Newest is when the newest of them ended, left out where there is none.
	Newest time.Time `json:"newest,omitzero"`
	// BehindSeconds is how long before the reading that was.
	BehindSeconds float64 `json:"behindSeconds,omitempty"`
}

// Cost is what reading one queue takes in 30 days, once however many workloads take
// from it. Dollars are without a free tier.
type Cost struct {
	Calls      int64   `json:"callsPerMonth"`     // GetQueueAttributes, at the poll interval
	IdleCalls  int64   `json:"idleCallsPerMonth"` // the same if it is never used
	Metrics    int64   `json:"metricsPerMonth"`   // of GetMetricData; 0 where no policy asks
	SQS        float64 `json:"sqs"`               // US dollars for Calls
	IdleSQS    float64 `json:"idleSQS"`           // and for IdleCalls
	CloudWatch float64 `json:"cloudWatch"`        // and for Metrics
}

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	Error   Severity = "Error"   // something can't be read that a policy needs
	Warning Severity = "Warning" // somebody should look
)

// Finding is something that is not as it should be.
type Finding struct {
	Severity Severity `json:"severity"`
	Source   string   `json:"source"` // sqs or cloudwatch
	Problem  string   `json:"problem"`
	Hint     string   `json:"hint"`
}
