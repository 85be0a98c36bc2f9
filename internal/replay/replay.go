package replay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// DefaultStep is how often decisions are made again: as often as an HPA asks.
const DefaultStep = 15 * time.Second

// Options say what is replayed.
type Options struct {
	// Dir is the directory of a recording.
	Dir string
	// Policy takes the place of the recorded one. AsRecorded keeps that, whatever Policy
	// is, each for as long as it was in force: what comes out otherwise is this program's.
	Policy     policy.Set
	AsRecorded bool
	// From and To cut the recording; zero times are its beginning and its end.
	From, To time.Time
	// Step is the shortest time between two decisions for a group; 0 makes every
	// recorded decision again.
	Step time.Duration
}

// Run replays a recording.
func Run(ctx context.Context, o Options) (Report, error) {
	reader, err := recording.OpenReader(o.Dir)
	if err != nil {
		return Report{}, err
	}
	d := newDecider(o)
	c := newComparison(o, d.groups)
	for next := range d.run(ctx, read(ctx, reader, stretches(o.Dir, o.From, o.To), o.Step)) {
		switch {
		case next.err != nil:
			return Report{}, next.err
		case next.damage != nil:
			c.report.Damage = append(c.report.Damage, next.damage.Error())
		default:
			c.add(next.record, next.plans)
		}
	}
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	if c.report.Decisions == 0 {
		return Report{}, fmt.Errorf("expected decisions in the recording %s in the time asked for, found none", o.Dir)
	}
	return c.finish(), nil
}

// comparison is of the decisions that were made again with those that were recorded.
type comparison struct {
	options Options
	report  Report
	groups  map[metrics.ID]int // governed by the new policy are these workloads

	standing map[metrics.ID]*standing // decisions in force, by workload
	books    map[metrics.ID]*Workload
	servers  map[metrics.ID]*Database
	recorded map[metrics.ID]bool
}

// standing is what is in force for a workload since a time.
type standing struct {
	since            time.Time
	recorded, replay int
	recordedReason   string
	replayReason     string
	// promised are connections by database.
	recordedPromise, replayPromise map[metrics.ID]int
}

func newComparison(o Options, groups map[metrics.ID]int) *comparison {
	return &comparison{
		options: o, groups: groups,
		standing: map[metrics.ID]*standing{}, books: map[metrics.ID]*Workload{}, servers: map[metrics.ID]*Database{}, recorded: map[metrics.ID]bool{},
	}
}

// longestStep is how long a decision may stand before the recording has a gap.
func (c *comparison) longestStep() time.Duration { return 2*recording.Heartbeat + c.options.Step }

// add notes the decisions that were made again by a record.
func (c *comparison) add(r recording.Record, plans []policy.Plan) {
	for _, w := range r.Group.Workloads {
		c.recorded[w.ID] = true
	}
	if c.report.Decisions == 0 {
		c.report.From = r.At
	}
	c.report.To = r.At
	for _, plan := range plans {
		c.compare(r, plan)
	}
}

func (c *comparison) compare(r recording.Record, plan policy.Plan) {
	c.report.Decisions++
	for _, w := range plan.Workloads {
		told, was := r.Outcomes[w.ID]
		if !was {
			continue // another group of the recording speaks for it
		}
		c.settle(w.ID, r.At)
		c.stand(r, w, told)
	}
	c.promise(plan)
}

// stand notes what is in force for a workload from now on.
func (c *comparison) stand(r recording.Record, w policy.WorkloadPlan, told recording.Outcome) {
	s := c.standing[w.ID]
	if s == nil {
		s = &standing{recordedPromise: map[metrics.ID]int{}, replayPromise: map[metrics.ID]int{}}
		c.standing[w.ID] = s
	}
	s.since = r.At
	s.recorded, s.recordedReason = told.Target, string(told.Reason)
	s.replay, s.replayReason = w.Target, string(w.Reason)
	clear(s.recordedPromise)
	clear(s.replayPromise)
	if was, ok := r.Group.Workload(w.ID); ok {
		for _, u := range was.Databases {
			s.recordedPromise[u.Database] = told.Target * u.ConnectionsPerPod
		}
	}
	for _, u := range w.Uses {
		s.replayPromise[u.Database] = w.Target * u.PerPod
	}
	b := c.book(w.ID)
	difference := func() *Difference {
		return &Difference{At: r.At, Recorded: s.recorded, Replayed: s.replay, RecordedReason: s.recordedReason, ReplayedReason: s.replayReason, Sentence: w.Sentence}
	}
	if by := s.replay - s.recorded; by > 0 && (b.MostAdded == nil || by > b.MostAdded.Replayed-b.MostAdded.Recorded) {
		b.MostAdded = difference()
	} else if by < 0 && (b.MostRemoved == nil || by < b.MostRemoved.Replayed-b.MostRemoved.Recorded) {
		b.MostRemoved = difference()
	}
}

// settle counts what was in force for a workload until now.
func (c *comparison) settle(id metrics.ID, now time.Time) {
	s := c.standing[id]
	if s == nil {
		return
	}
	b := c.book(id)
	seconds := now.Sub(s.since).Seconds()
	if most := c.longestStep().Seconds(); seconds > most {
		c.report.LongestGapSeconds = max(c.report.LongestGapSeconds, seconds)
		seconds = 0
	}
	b.Seconds += seconds
	b.Recorded.note(s.recorded, s.recordedReason, seconds)
	b.Replayed.note(s.replay, s.replayReason, seconds)
	if s.recorded != s.replay {
		b.DifferentSeconds += seconds
	}
}

func (c *comparison) book(id metrics.ID) *Workload {
	if c.books[id] == nil {
		c.books[id] = &Workload{ID: id}
	}
	return c.books[id]
}

// promise adds up what each database of a plan is promised.
func (c *comparison) promise(plan policy.Plan) {
	for _, d := range plan.Databases {
		s := c.servers[d.ID]
		if s == nil {
			s = &Database{ID: d.ID}
			c.servers[d.ID] = s
		}
		recorded, replayed := 0, 0
		for _, w := range c.standing {
			recorded += w.recordedPromise[d.ID]
			replayed += w.replayPromise[d.ID]
		}
		s.RecordedPeak = max(s.RecordedPeak, recorded)
		if replayed > s.ReplayedPeak || s.Limit == 0 {
			s.ReplayedPeak = max(s.ReplayedPeak, replayed)
			for _, limit := range d.Constraints {
				if limit.Name == "server" {
					s.Limit, s.Reserve = limit.Limit, limit.Reserve
				}
			}
		}
	}
}

func (c *comparison) finish() Report {
	for id := range c.standing {
		c.settle(id, c.report.To)
	}
	r := c.report
	for _, w := range c.books {
		r.Workloads = append(r.Workloads, *w)
	}
	for _, d := range c.servers {
		r.Databases = append(r.Databases, *d)
	}
	for id := range c.groups {
		if !c.recorded[id] {
			r.Unrecorded = append(r.Unrecorded, id)
		}
	}
	for id := range c.recorded {
		if _, governed := c.groups[id]; !governed && !c.options.AsRecorded {
			r.Ungoverned = append(r.Ungoverned, id)
		}
	}
	slices.SortFunc(r.Workloads, func(a, b Workload) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(r.Databases, func(a, b Database) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(r.Unrecorded, metrics.ID.Compare)
	slices.SortFunc(r.Ungoverned, metrics.ID.Compare)
	return r
}
