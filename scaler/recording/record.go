package recording

import (
	"encoding/json"
	"hash/crc32"
	"maps"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// Record is one decision for one group: everything it was made from, and in
// short what came of it.
type Record struct {
	// At is when it was decided, in UTC.
	At       time.Time       `json:"at"`
	Group    policy.Group    `json:"group"`
	Snapshot policy.Snapshot `json:"snapshot"`
	// Ledger is what the decision was given; not what it returned.
	Ledger policy.Ledger `json:"ledger"`
	// Outcomes are what was decided, by workload.
	Outcomes map[metrics.ID]Outcome `json:"outcomes"`
	// Checksum is that of the plan.
	Checksum uint32 `json:"checksum"`
	// Dropped is how many decisions, of any group, were lost before this one
	// because they came faster than they could be written.
	Dropped uint64 `json:"dropped,omitempty"`
	// Program is the version that recorded it.
	Program string `json:"program,omitempty"`
}

// Outcome is a workload's decision in short.
type Outcome struct {
	Demand  int `json:"demand"`
	Ceiling int `json:"ceiling"`
	Told
}

// Told is the part of a decision that somebody acts on.
type Told struct {
	Target   int           `json:"target"`
	Value    float64       `json:"value"`
	Active   bool          `json:"active"`
	Failure  bool          `json:"failure"`
	Reason   policy.Reason `json:"reason"`
	Admitted int           `json:"admitted"` // pods let through the gate
}

// New returns the record of a decision. It refers to what it is given.
func New(at time.Time, group policy.Group, snapshot policy.Snapshot, ledger policy.Ledger, plan policy.Plan) Record {
	r := Record{
		At: at, Group: group, Ledger: ledger.For(group), Checksum: Checksum(plan),
		Snapshot: policy.Snapshot{
			Epoch:     snapshot.Epoch,
			Databases: map[metrics.ID]metrics.Reading[metrics.Database]{},
			Queues:    map[metrics.ID]metrics.Reading[metrics.Queue]{},
			Fleets:    map[metrics.ID]metrics.Reading[metrics.Fleet]{},
		},
		Outcomes: make(map[metrics.ID]Outcome, len(plan.Workloads)),
	}
	for _, d := range group.Databases {
		copyKey(r.Snapshot.Databases, snapshot.Databases, d.ID)
	}
	for _, w := range group.Workloads {
		copyKey(r.Snapshot.Queues, snapshot.Queues, w.ID)
		copyKey(r.Snapshot.Fleets, snapshot.Fleets, w.ID)
		if points, ok := snapshot.Points[w.ID]; ok {
			if r.Snapshot.Points == nil {
				r.Snapshot.Points = map[metrics.ID]metrics.Reading[metrics.Points]{}
			}
			r.Snapshot.Points[w.ID] = points
		}
	}
	for _, w := range plan.Workloads {
		r.Outcomes[w.ID] = Outcome{Demand: w.Demand.Raw, Ceiling: w.Ceiling, Told: told(w)}
	}
	return r
}

func told(w policy.WorkloadPlan) Told {
	return Told{Target: w.Target, Value: w.Value, Active: w.Active, Failure: w.Failure != "", Reason: w.Reason, Admitted: len(w.Admissions)}
}

func copyKey[V any](into, from map[metrics.ID]V, id metrics.ID) {
	if v, ok := from[id]; ok {
		into[id] = v
	}
}

// Clone returns a copy that stays as it is when a [Reader] goes on.
func (r Record) Clone() Record {
	r.Snapshot = policy.Snapshot{
		Epoch:     r.Snapshot.Epoch,
		Databases: maps.Clone(r.Snapshot.Databases),
		Queues:    maps.Clone(r.Snapshot.Queues),
		Points:    maps.Clone(r.Snapshot.Points),
		Fleets:    maps.Clone(r.Snapshot.Fleets),
	}
	r.Ledger = policy.Ledger{Databases: maps.Clone(r.Ledger.Databases), Workloads: maps.Clone(r.Ledger.Workloads)}
	r.Outcomes = maps.Clone(r.Outcomes)
	return r
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C of a plan's JSON, with the plan's time left out: two
// plans that say the same have the same.
func Checksum(plan policy.Plan) uint32 {
	plan.At = time.Time{}
	text, err := json.Marshal(plan)
	if err != nil {
		return 0 // a plan of plain values always has a JSON form, but for NaN
	}
	return crc32.Checksum(text, castagnoli)
}
