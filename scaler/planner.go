package scaler

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/policy"
)

// Defaults of [PlannerOptions].
const (
	// DefaultPlanInterval is the longest time between two plans.
	DefaultPlanInterval = time.Second
	// DefaultPlanGap is the shortest. What changes inside it is planned together.
	DefaultPlanGap = 20 * time.Millisecond
)

// Recorder keeps decisions for later: `why --at` and replay. l is the ledger that
// the decision was given, so that Decide(at, g, s, l) gives p again.
//
// Record is called from one goroutine and must not wait: what can't be kept in
// time is better dropped than waited for. It must not change what it is given.
type Recorder interface {
	Record(at time.Time, g policy.Group, s policy.Snapshot, l policy.Ledger, p policy.Plan)
}

// Readings is what a planner plans from; [Sources] are.
type Readings interface {
	// Use makes set the policy whose sources are read. It must not wait.
	Use(set policy.Set)
	// Snapshot returns the latest readings of a group. It must not wait.
	Snapshot(g policy.Group) policy.Snapshot
	// Changed is received from when a reading may have changed.
	Changed() <-chan struct{}
}

// PlannerOptions say what a [Planner] plans from. Only Readings is required.
type PlannerOptions struct {
	Readings Readings
	// Recorder is told of every decision; nil tells nobody.
	Recorder Recorder
	// Ledger returns what was remembered over a restart, for the first plan; nil
	// is nothing. It is called once, when the first policy is in force, and must
	// not wait.
	Ledger func() policy.Ledger
	// Planned is told how long each round of decisions took. It must not wait.
	Planned func(duration time.Duration)
	// Interval is the longest time between two plans and Gap the shortest, 0 for
	// the defaults.
	Interval, Gap time.Duration

	// Now and Decide are time.Now and policy.Decide where they are nil.
	Now    func() time.Time
	Decide func(now time.Time, g policy.Group, s policy.Snapshot, l policy.Ledger) (policy.Plan, policy.Ledger)
}

// Planner decides for every group of the policy in force, again and again, and
// publishes what it decided. Make one with [NewPlanner], then Run it.
type Planner struct {
	options PlannerOptions
	state   atomic.Pointer[State]

	set     atomic.Pointer[policy.Set] // nil before the first
	changed *poll.Signal               // of set
}

// NewPlanner returns a planner that has no policy yet.
func NewPlanner(options PlannerOptions) *Planner {
	if options.Planned == nil {
		options.Planned = func(time.Duration) {}
	}
	if options.Interval <= 0 {
		options.Interval = DefaultPlanInterval
	}
	if options.Gap <= 0 {
		options.Gap = DefaultPlanGap
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Decide == nil {
		options.Decide = policy.Decide
	}
	p := &Planner{options: options, changed: poll.NewSignal()}
	p.state.Store(newState(time.Time{}, policy.Set{}, nil))
	return p
}

// State returns what was decided last. It takes no lock and never waits.
func (p *Planner) State() *State { return p.state.Load() }

// SetPolicy replaces the policy in force as a whole. It may be called at any
// time from anywhere and doesn't wait: Run plans by it at once.
func (p *Planner) SetPolicy(set policy.Set) {
	p.set.Store(&set)
	p.changed.Notify()
}

// Run plans until ctx ends: when a reading or the policy changes, and at least
// once in every Interval. It is called once.
func (p *Planner) Run(ctx context.Context) {
	var ledger policy.Ledger
	var inForce *policy.Set
	for {
		if set := p.set.Load(); set != nil {
			if inForce == nil && p.options.Ledger != nil {
				ledger = p.options.Ledger()
			}
			if set != inForce {
				p.options.Readings.Use(*set)
				ledger = forget(ledger, *set)
				inForce = set
			}
			ledger = p.plan(*set, ledger)
		}
		if !p.wait(ctx) {
			return
		}
	}
}

// wait returns true when it is time for another plan, false when ctx has ended.
func (p *Planner) wait(ctx context.Context) bool {
	gap := time.NewTimer(p.options.Gap)
	defer gap.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-gap.C:
	}
	due := time.NewTimer(max(0, p.options.Interval-p.options.Gap))
	defer due.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-p.changed.C():
	case <-p.options.Readings.Changed():
	case <-due.C:
	}
	return true
}

// plan decides for every group, publishes what came of it and returns the ledger
// for the next time.
func (p *Planner) plan(set policy.Set, ledger policy.Ledger) policy.Ledger {
	now := p.options.Now()
	began := time.Now()
	var decisions []Decision
	after := ledger
	for _, group := range set.Groups(ledger.Servers()) {
		d := Decision{Group: group, Snapshot: p.options.Readings.Snapshot(group), Ledger: ledger.For(group)}
		var part policy.Ledger
		d.Plan, part = p.options.Decide(now, d.Group, d.Snapshot, d.Ledger)
		after = after.With(part)
		decisions = append(decisions, d)
	}
	p.options.Planned(time.Since(began))

	before := p.state.Load()
	p.state.Store(newState(now, set, decisions))
	close(before.next)
	if p.options.Recorder != nil {
		for _, d := range decisions {
			p.options.Recorder.Record(now, d.Group, d.Snapshot, d.Ledger, d.Plan)
		}
	}
	return after
}

// forget drops what the ledger remembers of databases and workloads that are not
// in the set. Nothing reads them any more, so that a memory which outlived the
// gap would claim to have watched what nobody watched.
func forget(ledger policy.Ledger, set policy.Set) policy.Ledger {
	databases := make(map[metrics.ID]bool, len(set.Databases))
	for _, d := range set.Databases {
		databases[d.ID] = true
	}
	workloads := make(map[metrics.ID]bool, len(set.Workloads))
	for _, w := range set.Workloads {
		workloads[w.ID] = true
	}
	out := policy.Ledger{Databases: maps.Clone(ledger.Databases), Workloads: maps.Clone(ledger.Workloads)}
	maps.DeleteFunc(out.Databases, func(id metrics.ID, _ policy.DatabaseMemory) bool { return !databases[id] })
	maps.DeleteFunc(out.Workloads, func(id metrics.ID, _ policy.WorkloadMemory) bool { return !workloads[id] })
	return out
}
