package replay

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// decided is a piece with the decisions that were made again by its record.
type decided struct {
	piece
	plans []policy.Plan
}

// unsettled is how many pieces are decided before they are counted.
const unsettled = 8

// decider makes decisions again, one after the other.
type decider struct {
	recorded             bool                // by the policies that were recorded; there is one ledger then
	all                  []policy.Group      // of the new policy
	ledgers              []policy.Ledger     // theirs
	groups, groupsOf     map[metrics.ID]int  // which group has a workload, and a database
	snapshot             policy.Snapshot     // what is known of everything
	databases, workloads map[metrics.ID]bool // whose ledger has begun
}

func newDecider(o Options) *decider {
	d := &decider{
		recorded: o.AsRecorded, groups: map[metrics.ID]int{}, groupsOf: map[metrics.ID]int{}, databases: map[metrics.ID]bool{}, workloads: map[metrics.ID]bool{},
		snapshot: policy.Snapshot{
			Databases: map[metrics.ID]metrics.Reading[metrics.Database]{}, Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{},
			Points: map[metrics.ID]metrics.Reading[metrics.Points]{}, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{},
		},
	}
	empty := func() policy.Ledger {
		return policy.Ledger{Databases: map[metrics.ID]policy.DatabaseMemory{}, Workloads: map[metrics.ID]policy.WorkloadMemory{}}
	}
	if d.recorded {
		d.ledgers = append(d.ledgers, empty())
		return d
	}
	d.all = o.Policy.Groups(nil)
	for i, g := range d.all {
		d.ledgers = append(d.ledgers, empty())
		for _, p := range g.Databases {
			d.groupsOf[p.ID] = i
		}
		for _, w := range g.Workloads {
			d.groups[w.ID] = i
		}
	}
	return d
}

// run decides for all pieces in order, a few ahead of whoever listens.
func (d *decider) run(ctx context.Context, pieces iter.Seq[piece]) iter.Seq[decided] {
	return func(yield func(decided) bool) {
		ctx, cancel := context.WithCancel(ctx)
		out := make(chan decided, unsettled)
		go func() {
			defer close(out)
			for p := range pieces {
				next := decided{piece: p}
				if p.err == nil && p.damage == nil {
					next.plans = d.decide(p.record)
				}
				select {
				case out <- next:
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() { // nobody decides any more once run has returned
			cancel()
			for range out { // it is emptied
			}
		}()
		for next := range out {
			if !yield(next) {
				return
			}
		}
	}
}

// decide makes the decisions again that a record's workloads belong to.
func (d *decider) decide(r recording.Record) []policy.Plan {
	d.learn(r)
	if d.recorded {
		plan, next := policy.Decide(r.At, r.Group, d.snapshot, d.ledgers[0].For(r.Group))
		d.ledgers[0] = d.ledgers[0].With(next)
		return []policy.Plan{plan}
	}
	var touched []int
	for _, w := range r.Group.Workloads {
		if i, governed := d.groups[w.ID]; governed && !slices.Contains(touched, i) {
			touched = append(touched, i)
		}
	}
	var plans []policy.Plan
	for _, i := range touched {
		plan, next := policy.Decide(r.At, d.all[i], d.snapshot, d.ledgers[i])
		d.ledgers[i] = next
		plans = append(plans, plan)
	}
	return plans
}

// learn takes over what the record knows of its group.
func (d *decider) learn(r recording.Record) {
	maps.Copy(d.snapshot.Databases, r.Snapshot.Databases)
	maps.Copy(d.snapshot.Queues, r.Snapshot.Queues)
	maps.Copy(d.snapshot.Points, r.Snapshot.Points)
	maps.Copy(d.snapshot.Fleets, r.Snapshot.Fleets)
	d.snapshot.Epoch = cmp.Or(r.Snapshot.Epoch, d.snapshot.Epoch)
	for id, m := range r.Ledger.Databases {
		if i, governed := d.groupsOf[id]; (governed || d.recorded) && !d.databases[id] {
			d.ledgers[i].Databases[id], d.databases[id] = m, true
		}
	}
	for id, m := range r.Ledger.Workloads {
		if i, governed := d.groups[id]; (governed || d.recorded) && !d.workloads[id] {
			d.ledgers[i].Workloads[id], d.workloads[id] = m, true
		}
	}
}
