package status

import (
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
)

// Overview is what the command shows.
type Overview struct {
	// At is when the plans were made; left out where none were.
	At        time.Time  `json:"at,omitzero"`
	Databases []Database `json:"databases"` // by ID
	Workloads []Workload `json:"workloads"` // by ID
}

// Database is one database's account.
type Database struct {
	ID metrics.ID `json:"id"`
	// Read is when the last good reading began, left out where there was none.
	Read time.Time `json:"read,omitzero"`
	// Unknown says why there is no usable reading, Starting for how long others
	// have been watched where that is not yet long enough.
	Unknown  string `json:"unknown,omitempty"`
	Starting string `json:"starting,omitempty"`
	// Constraints are its limits; empty where the reading is unknown.
	Constraints []policy.ConstraintPlan `json:"constraints"`
}

// Workload is one workload's decision in short. Numbers are replicas.
type Workload struct {
	ID      metrics.ID  `json:"id"`
	Mode    policy.Mode `json:"mode"`
	Demand  int         `json:"demand"`
	Known   bool        `json:"demandKnown"`       // the queue was read; else demand is what is held
	NoQueue bool        `json:"noQueue,omitempty"` // its pods ask for themselves
	Ceiling int         `json:"ceiling"`
	Target  int         `json:"target"`
	Current int         `json:"current"`
	Gated   int         `json:"gated,omitempty"` // wait at the gate
	// Passing of those may pass now, Leaving have to go, and Ungated came into being
	// without the gate though the mode is Gate.
	Passing  int           `json:"passing,omitempty"`
	Leaving  int           `json:"leaving,omitempty"`
	Ungated  int           `json:"ungated,omitempty"`
	Reason   policy.Reason `json:"reason"`
	Sentence string        `json:"sentence"`
}

// overview takes from the plans what is shown of a namespace, or of all.
func overview(plans scaler.Plans, namespace string) Overview {
	out := Overview{At: plans.At, Databases: []Database{}, Workloads: []Workload{}}
	for _, plan := range plans.Plans {
		used := map[metrics.ID]bool{}
		for _, w := range plan.Workloads {
			if namespace != "" && w.ID.Namespace != namespace {
				continue
			}
			for _, u := range w.Uses {
				used[u.Database] = true
			}
			out.Workloads = append(out.Workloads, Workload{
				ID: w.ID, Mode: w.Mode, Demand: w.Demand.Backlog, Known: w.Demand.Known, Ceiling: w.Ceiling, Target: w.Target,
				Current: w.Replicas, Gated: w.Gated, Passing: len(w.Admissions), Leaving: len(w.Evictions), Ungated: w.Ungated,
				NoQueue: w.Demand.NoQueue, Reason: w.Reason, Sentence: w.Sentence,
			})
		}
		for _, d := range plan.Databases {
			if namespace != "" && d.ID.Namespace != namespace && !used[d.ID] {
				continue
			}
			constraints := d.Constraints
			if constraints == nil {
				constraints = []policy.ConstraintPlan{}
			}
			out.Databases = append(out.Databases, Database{
				ID: d.ID, Read: plans.Read[d.ID], Unknown: d.Unknown, Starting: d.Starting, Constraints: constraints,
			})
		}
	}
	slices.SortFunc(out.Databases, func(a, b Database) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(out.Workloads, func(a, b Workload) int { return a.ID.Compare(b.ID) })
	return out
}
