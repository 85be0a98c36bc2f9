package scaler

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// PolicyStatus says whether the newest version of a policy document is in force.
type PolicyStatus struct {
	Namespace, Name string
	// Valid is false where the document, or the file that it stands in, has
	// errors: its last good version stays in force, if there was one.
	Valid bool
}

// PoliciesRead notes that policies were read anew and whether what was read took
// effect as a whole. statuses are those of all documents, each name once.
func (t *Telemetry) PoliciesRead(statuses []PolicyStatus, valid bool) {
	t.policies.statuses.Store(&statuses)
	if valid {
		t.policyReloads.WithLabelValues(resultOK).Inc()
	} else {
		t.policyReloads.WithLabelValues(resultError).Inc()
	}
}

// policyCollector renders the latest statuses, so that the series of a document
// that is gone is gone.
type policyCollector struct {
	statuses atomic.Pointer[[]PolicyStatus]
}

var policyValid = describe("headroom_policy_valid",
	"Whether the newest version of a policy document is in force.", []string{"namespace", "name"})

// Describe implements [prometheus.Collector].
func (*policyCollector) Describe(out chan<- *prometheus.Desc) { out <- policyValid }

// Collect implements [prometheus.Collector].
func (c *policyCollector) Collect(out chan<- prometheus.Metric) {
	statuses := c.statuses.Load()
	if statuses == nil {
		return
	}
	for _, s := range *statuses {
		value := 0.0
		if s.Valid {
			value = 1
		}
		gauge(out, policyValid, value, s.Namespace, s.Name)
	}
}
