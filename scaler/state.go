package scaler

import (
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// State is everything that was decided at one instant: one decision for each
// group of the policy in force. It never changes once it is published.
type State struct {
	// At is when it was decided; the zero time before the first plan.
	At time.Time
	// Set is the policy in force.
	Set policy.Set
	// Decisions are the groups' decisions, by name of the group.
	Decisions []Decision

	workloads map[metrics.ID]place
	next      chan struct{}
}

// Decision is a plan together with everything that it was made from:
//
//	Plan, _ = policy.Decide(Plan.At, Group, Snapshot, Ledger)
type Decision struct {
	Group    policy.Group
	Snapshot policy.Snapshot
	Ledger   policy.Ledger // before the decision
	Plan     policy.Plan
}

// place says where a workload's plan stands in State.Decisions.
type place struct{ decision, workload int }

// newState returns a state that nobody follows yet.
func newState(at time.Time, set policy.Set, decisions []Decision) *State {
	s := &State{
		At:        at,
		Set:       set,
		Decisions: decisions,
		workloads: make(map[metrics.ID]place),
		next:      make(chan struct{}),
	}
	for i, decision := range decisions {
		for j, w := range decision.Plan.Workloads {
			s.workloads[w.ID] = place{i, j}
		}
	}
	return s
}

// Planned reports whether this state was planned. It was not before the first
// policy is in force: then nothing is known of any workload, not even whether it
// exists.
func (s *State) Planned() bool { return !s.At.IsZero() }

// Workload returns the plan of the workload id. What it returns is shared: it
// must not be changed.
func (s *State) Workload(id metrics.ID) (*policy.WorkloadPlan, bool) {
	at, ok := s.workloads[id]
	if !ok {
		return nil, false
	}
	return &s.Decisions[at.decision].Plan.Workloads[at.workload], true
}

// Decision returns the decision that the workload id is part of.
func (s *State) Decision(id metrics.ID) (*Decision, bool) {
	at, ok := s.workloads[id]
	if !ok {
		return nil, false
	}
	return &s.Decisions[at.decision], true
}

// Policy returns the policy of the workload id.
func (s *State) Policy(id metrics.ID) (policy.Workload, bool) {
	decision, ok := s.Decision(id)
	if !ok {
		return policy.Workload{}, false
	}
	return decision.Group.Workload(id)
}

// Next is closed when a newer state was published. Whoever comes late misses the
// states in between, never the latest.
func (s *State) Next() <-chan struct{} { return s.next }
