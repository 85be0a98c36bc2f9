package replay

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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
	// Policy takes the place of the recorded one.
	Policy policy.Set
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
	p := newPlayer(o)
	for next := range read(ctx, reader, stretches(o.Dir, o.From, o.To), o.Step) {
		switch {
		case next.err != nil:
			return Report{}, next.err
		case next.damage != nil:
			p.report.Damage = append(p.report.Damage, next.damage.Error())
		default:
			p.play(next.record)
		}
	}
	if p.report.Decisions == 0 {
		return Report{}, fmt.Errorf("expected decisions in the recording %s in the time asked for, found none", o.Dir)
	}
	return p.finish(), nil
}

// player makes decisions again, one after the other.
type player struct {
	options Options
	report  Report

	all                  []policy.Group      // of the new policy
	ledgers              []policy.Ledger     // theirs
	groups, groupsOf     map[metrics.ID]int  // which group has a workload, and a database
	snapshot             policy.Snapshot     // what is known of everything
	databases, workloads map[metrics.ID]bool // whose ledger has begun

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

func newPlayer(o Options) *player {
	p := &player{
		options: o, all: o.Policy.Groups(nil), groups: map[metrics.ID]int{}, groupsOf: map[metrics.ID]int{}, databases: map[metrics.ID]bool{}, workloads: map[metrics.ID]bool{},
		snapshot: policy.Snapshot{
			Databases: map[metrics.ID]metrics.Reading[metrics.Database]{}, Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{},
			Points: map[metrics.ID]metrics.Reading[metrics.Points]{}, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{},
		},
		standing: map[metrics.ID]*standing{}, books: map[metrics.ID]*Workload{}, servers: map[metrics.ID]*Database{}, recorded: map[metrics.ID]bool{},
	}
	for i, g := range p.all {
		p.ledgers = append(p.ledgers, policy.Ledger{Databases: map[metrics.ID]policy.DatabaseMemory{}, Workloads: map[metrics.ID]policy.WorkloadMemory{}})
		for _, d := range g.Databases {
			p.groupsOf[d.ID] = i
		}
		for _, w := range g.Workloads {
			p.groups[w.ID] = i
		}
	}
	return p
}

// longestStep is how long a decision may stand before the recording has a gap.
func (p *player) longestStep() time.Duration { return 2*recording.Heartbeat + p.options.Step }

// play makes the decisions again that a record's workloads belong to.
func (p *player) play(r recording.Record) {
	p.learn(r)
	var touched []int
	for _, w := range r.Group.Workloads {
		p.recorded[w.ID] = true
		if i, governed := p.groups[w.ID]; governed && !slices.Contains(touched, i) {
			touched = append(touched, i)
		}
	}
	if p.report.Decisions == 0 {
		p.report.From = r.At
	}
	p.report.To = r.At
	for _, i := range touched {
		p.decide(r, i)
	}
}

// learn takes over what the record knows of its group.
func (p *player) learn(r recording.Record) {
	maps.Copy(p.snapshot.Databases, r.Snapshot.Databases)
	maps.Copy(p.snapshot.Queues, r.Snapshot.Queues)
	maps.Copy(p.snapshot.Points, r.Snapshot.Points)
	maps.Copy(p.snapshot.Fleets, r.Snapshot.Fleets)
	p.snapshot.Epoch = cmp.Or(r.Snapshot.Epoch, p.snapshot.Epoch)
	for id, m := range r.Ledger.Databases {
		if i, governed := p.groupsOf[id]; governed && !p.databases[id] {
			p.ledgers[i].Databases[id], p.databases[id] = m, true
		}
	}
	for id, m := range r.Ledger.Workloads {
		if i, governed := p.groups[id]; governed && !p.workloads[id] {
			p.ledgers[i].Workloads[id], p.workloads[id] = m, true
		}
	}
}

func (p *player) decide(r recording.Record, group int) {
	plan, next := policy.Decide(r.At, p.all[group], p.snapshot, p.ledgers[group])
	p.report.Decisions++
	p.ledgers[group] = next
	for _, w := range plan.Workloads {
		told, was := r.Outcomes[w.ID]
		if !was {
			continue // another group of the recording speaks for it
		}
		p.settle(w.ID, r.At)
		p.stand(r, w, told)
	}
	p.promise(plan)
}

// stand notes what is in force for a workload from now on.
func (p *player) stand(r recording.Record, w policy.WorkloadPlan, told recording.Outcome) {
	s := p.standing[w.ID]
	if s == nil {
		s = &standing{recordedPromise: map[metrics.ID]int{}, replayPromise: map[metrics.ID]int{}}
		p.standing[w.ID] = s
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
	b := p.book(w.ID)
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
func (p *player) settle(id metrics.ID, now time.Time) {
	s := p.standing[id]
	if s == nil {
		return
	}
	b := p.book(id)
	seconds := now.Sub(s.since).Seconds()
	if most := p.longestStep().Seconds(); seconds > most {
		p.report.LongestGapSeconds = max(p.report.LongestGapSeconds, seconds)
		seconds = 0
	}
	b.Seconds += seconds
	b.Recorded.note(s.recorded, s.recordedReason, seconds)
	b.Replayed.note(s.replay, s.replayReason, seconds)
	if s.recorded != s.replay {
		b.DifferentSeconds += seconds
	}
}

func (p *player) book(id metrics.ID) *Workload {
	if p.books[id] == nil {
		p.books[id] = &Workload{ID: id}
	}
	return p.books[id]
}

// promise adds up what each database of a plan is promised.
func (p *player) promise(plan policy.Plan) {
	for _, d := range plan.Databases {
		s := p.servers[d.ID]
		if s == nil {
			s = &Database{ID: d.ID}
			p.servers[d.ID] = s
		}
		recorded, replayed := 0, 0
		for _, w := range p.standing {
			recorded += w.recordedPromise[d.ID]
			replayed += w.replayPromise[d.ID]
		}
		s.RecordedPeak = max(s.RecordedPeak, recorded)
		if replayed > s.ReplayedPeak || s.Limit == 0 {
			s.ReplayedPeak = max(s.ReplayedPeak, replayed)
			for _, c := range d.Constraints {
				if c.Name == "server" {
					s.Limit, s.Reserve = c.Limit, c.Reserve
				}
			}
		}
	}
}

func (p *player) finish() Report {
	for id := range p.standing {
		p.settle(id, p.report.To)
	}
	r := p.report
	for _, w := range p.books {
		r.Workloads = append(r.Workloads, *w)
	}
	for _, d := range p.servers {
		r.Databases = append(r.Databases, *d)
	}
	for id := range p.groups {
		if !p.recorded[id] {
			r.Unrecorded = append(r.Unrecorded, id)
		}
	}
	for id := range p.recorded {
		if _, governed := p.groups[id]; !governed {
			r.Ungoverned = append(r.Ungoverned, id)
		}
	}
	slices.SortFunc(r.Workloads, func(a, b Workload) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(r.Databases, func(a, b Database) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(r.Unrecorded, metrics.ID.Compare)
	slices.SortFunc(r.Ungoverned, metrics.ID.Compare)
	return r
}
