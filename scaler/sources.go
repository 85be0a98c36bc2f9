package scaler

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/cloudwatch"
	"github.com/keda-headroom/headroom/metrics/fleet"
	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/policy"
)

// DefaultFleetInterval is how often fleets are read.
const DefaultFleetInterval = time.Second

// fleetPause is the shortest time between two reads of fleets that changed.
const fleetPause = 20 * time.Millisecond

// Kinds of sources, as metrics and logs name them.
const (
	sourceDatabase = "postgresql"
	sourceQueue    = "sqs"
	sourcePoints   = "cloudwatch"
	sourceFleets   = "fleets"
)

// Fleets is the state of every workload's pods, read together.
type Fleets = fleet.State

// Login is a user and a database on a server that workloads use. A Database of ""
// is the one that the monitor itself is connected to.
type Login struct{ User, Database string }

// Open makes the sources. Its functions must not wait for anything. All but
// Points are required.
type Open struct {
	// Database opens the source of a database. logins returns the logins that are
	// to be asked about at the time of each reading.
	Database func(d policy.Database, logins func() []Login) (poll.Source[metrics.Database], error)
	// Queue opens the source of a queue.
	Queue func(q policy.SQS) (poll.Source[metrics.Queue], error)
	// Points opens what CloudWatch knows of queues; nil knows nothing of any.
	Points OpenPoints
	// Fleets opens the source of all fleets.
	Fleets func() (poll.Source[Fleets], error)
}

// SourcesOptions say how sources are made and who is told of their readings. Open
// is required.
type SourcesOptions struct {
	Open Open
	// FleetInterval is how often fleets are read, 0 for the default.
	FleetInterval time.Duration
	// FleetsChanged is received from when a fleet changed, and fleets are read at
	// once; nil where nobody knows. It is drained until Close.
	FleetsChanged <-chan struct{}
	// Epoch returns the term in which this process leads, and since when whatever
	// is read of fleets knows of every pod that an earlier leader let through: see
	// leader.Term. It must not wait. nil never leads.
	Epoch func() (epoch string, since time.Time, ok bool)
	// Observe is told of every attempt to read, see [poll.Options].
	Observe func(source, name string, began time.Time, duration time.Duration, err error)
	// Refused is told of every reading in which a database refused our own login
	// because it was full.
	Refused func(database metrics.ID)
	// Log gets each poll at debug; nil logs nothing.
	Log *slog.Logger
}

// Sources keeps one poller for each distinct source of the policy in force. Make
// one with [NewSources]; Close it when its planner has ended.
type Sources struct {
	options   SourcesOptions
	changed   *poll.Signal
	databases *poll.Set[databaseKey, metrics.Database]
	queues    *poll.Set[queueKey, metrics.Queue]
	points    *poll.Set[cloudwatch.Place, cloudwatch.Queues]
	fleets    *poll.Set[string, Fleets]

	// held is what the policy in force reads. Use replaces it as a whole.
	held atomic.Pointer[held]

	stop    context.CancelFunc // ends following FleetsChanged
	follows sync.WaitGroup
}

type held struct {
	databases map[metrics.ID]databaseSource
	queues    map[metrics.ID]queueSource // by workload
	places    map[cloudwatch.Place]placeSource
	points    map[metrics.ID]pointsSource // by workload
	fleets    source[Fleets]
}

// source is a handle, or why there is none.
type source[T any] struct {
	name   string
	handle *poll.Handle[T]
	err    error
}

func (s source[T]) reading() metrics.Reading[T] {
	if s.err != nil {
		return metrics.Unknown[T](s.err.Error())
	}
	if s.handle == nil {
		return metrics.Reading[T]{}
	}
	return s.handle.Reading()
}

func (s source[T]) release() {
	if s.handle != nil {
		s.handle.Release()
	}
}

type databaseSource struct {
	source[metrics.Database]
	key    databaseKey
	logins *atomic.Pointer[[]Login] // shared by those who share the handle's poller
}

// databaseKey says what is read and how it is reached. Two policies of one server
// are two sources: each may log in as somebody else and see something else.
type databaseKey struct {
	id      metrics.ID
	reached string // the policy's engine part as JSON
}

// NewSources returns sources that read nothing yet.
func NewSources(options SourcesOptions) *Sources {
	if options.FleetInterval <= 0 {
		options.FleetInterval = DefaultFleetInterval
	}
	if options.Observe == nil {
		options.Observe = func(string, string, time.Time, time.Duration, error) {}
	}
	if options.Refused == nil {
		options.Refused = func(metrics.ID) {}
	}
	if options.Epoch == nil {
		options.Epoch = func() (string, time.Time, bool) { return "", time.Time{}, false }
	}
	changed := poll.NewSignal()
	s := &Sources{
		options: options,
		changed: changed,
		databases: poll.NewSet[databaseKey, metrics.Database](poll.Options[databaseKey]{
			Source: sourceDatabase, Name: func(k databaseKey) string { return k.id.String() },
			Changed: changed, Observe: options.Observe, Log: options.Log,
		}),
		queues: poll.NewSet[queueKey, metrics.Queue](poll.Options[queueKey]{
			Source: sourceQueue, Changed: changed, Observe: options.Observe, Log: options.Log,
		}),
		points: poll.NewSet[cloudwatch.Place, cloudwatch.Queues](poll.Options[cloudwatch.Place]{
			Source: sourcePoints, Changed: changed, Observe: options.Observe, Log: options.Log,
		}),
	}
	s.fleets = poll.NewSet[string, Fleets](poll.Options[string]{
		Source: sourceFleets, Changed: changed, Log: options.Log,
		Observe: func(source, name string, began time.Time, duration time.Duration, err error) {
			options.Observe(source, name, began, duration, err)
			s.held.Load().wake()
		},
	})
	s.held.Store(&held{})
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.follows.Go(func() { s.follow(ctx) })
	return s
}

// follow has fleets read as soon as one changed, until ctx ends. Changes that
// come in a stream are read fleetPause apart.
func (s *Sources) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.options.FleetsChanged:
		}
		if handle := s.held.Load().fleets.handle; handle != nil {
			handle.Poke()
		}
		pause := time.NewTimer(fleetPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// Changed is received from when a reading was made or failed.
func (s *Sources) Changed() <-chan struct{} { return s.changed.C() }

// Use makes set the policy whose sources are read. What both policies read goes
// on being polled, with its last reading. One call at a time.
func (s *Sources) Use(set policy.Set) {
	before := s.held.Load()
	now := &held{databases: map[metrics.ID]databaseSource{}, queues: map[metrics.ID]queueSource{}}
	for _, d := range set.Databases {
		now.databases[d.ID] = s.database(d, loginsOf(set, d.ID), before.databases[d.ID])
	}
	s.useQueues(set, now, before)
	s.usePoints(set, now, before)
	if len(set.Workloads) > 0 {
		now.fleets.name = sourceFleets
		now.fleets.handle, now.fleets.err = s.fleets.Acquire(sourceFleets, s.options.Open.Fleets,
			poll.Settings{Interval: s.options.FleetInterval})
	}
	s.held.Store(now)
	before.release()
}

// database acquires the source of d, which is asked about logins from now on.
func (s *Sources) database(d policy.Database, logins []Login, before databaseSource) databaseSource {
	reached, err := json.Marshal(d.PostgreSQL)
	if err != nil {
		return databaseSource{source: source[metrics.Database]{name: d.ID.String(), err: err}}
	}
	out := databaseSource{key: databaseKey{id: d.ID, reached: string(reached)}, logins: new(atomic.Pointer[[]Login])}
	out.name = d.ID.String()
	sameSource := before.handle != nil && before.key == out.key
	if sameSource {
		out.logins = before.logins
	}
	asked := out.logins.Swap(&logins)
	out.handle, out.err = s.databases.Acquire(out.key, func() (poll.Source[metrics.Database], error) {
		opened, err := s.options.Open.Database(d, func() []Login { return *out.logins.Load() })
		if err != nil {
			return nil, err
		}
		return refusals{Source: opened, refused: func() { s.options.Refused(d.ID) }}, nil
	}, poll.Settings{Interval: d.PollInterval})
	if sameSource && out.err == nil && asked != nil && !slices.Equal(*asked, logins) {
		out.handle.Poke() // the last reading doesn't speak of the new logins
	}
	return out
}

// loginsOf returns the logins that workloads use on a database, each once, in a
// stable order.
func loginsOf(set policy.Set, database metrics.ID) []Login {
	var logins []Login
	for _, w := range set.Workloads {
		for _, use := range w.Databases {
			if use.Database == database {
				logins = append(logins, Login{User: use.User, Database: use.DatabaseName})
			}
		}
	}
	slices.SortFunc(logins, func(a, b Login) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Database, b.Database))
	})
	return slices.Compact(logins)
}

// Snapshot returns the latest readings of a group, and the term in which this
// process led before they were looked at. The term is left out where the fleets
// were read before its takeover was done: they may lack pods.
func (s *Sources) Snapshot(g policy.Group) policy.Snapshot {
	epoch, since, ok := s.options.Epoch()
	held := s.held.Load()
	fleets := held.fleets.reading()
	if !ok || fleets.Began().Before(since) {
		epoch = ""
	}
	out := policy.Snapshot{
		Epoch:     epoch,
		Databases: make(map[metrics.ID]metrics.Reading[metrics.Database], len(g.Databases)),
		Queues:    make(map[metrics.ID]metrics.Reading[metrics.Queue], len(g.Workloads)),
		Fleets:    make(map[metrics.ID]metrics.Reading[metrics.Fleet], len(g.Workloads)),
	}
	for _, d := range g.Databases {
		out.Databases[d.ID] = held.databases[d.ID].reading()
	}
	for _, w := range g.Workloads {
		out.Queues[w.ID] = held.queues[w.ID].reading()
		out.Fleets[w.ID] = fleetOf(fleets, w.ID)
		if points, ok := held.points[w.ID]; ok {
			if out.Points == nil {
				out.Points = map[metrics.ID]metrics.Reading[metrics.Points]{}
			}
			out.Points[w.ID] = points.reading(held)
		}
	}
	return out
}

// fleetOf returns one workload's part of a reading of all fleets.
func fleetOf(fleets metrics.Reading[Fleets], id metrics.ID) metrics.Reading[metrics.Fleet] {
	all, ok := fleets.Last()
	if !ok {
		return metrics.Reading[metrics.Fleet]{}.Failed(fleets.Problem())
	}
	fleet, err := all.Of(id)
	if err != nil {
		return metrics.Unknown[metrics.Fleet](err.Error())
	}
	return metrics.Known(fleet, fleets.Began()).Failed(fleets.Problem())
}

// ReadingTime says when the last good reading of a source began.
type ReadingTime struct {
	Source, Name string
	Began        time.Time // the zero time where there was none
}

// ReadingTimes returns the time of every source's last good reading, each source
// once.
func (s *Sources) ReadingTimes() []ReadingTime {
	held := s.held.Load()
	var out []ReadingTime
	for _, d := range held.databases {
		out = append(out, ReadingTime{sourceDatabase, d.name, d.reading().Began()})
	}
	seen := map[string]bool{}
	for _, q := range held.queues {
		if !seen[q.name] {
			seen[q.name] = true
			out = append(out, ReadingTime{sourceQueue, q.name, q.reading().Began()})
		}
	}
	for _, p := range held.places {
		out = append(out, ReadingTime{sourcePoints, p.name, p.reading().Began()})
	}
	if held.fleets.name != "" {
		out = append(out, ReadingTime{sourceFleets, held.fleets.name, held.fleets.reading().Began()})
	}
	return out
}

// Close stops every poller and waits until its source is closed. Readings stay as
// they are.
func (s *Sources) Close() {
	s.stop()
	s.follows.Wait()
	s.databases.Close()
	s.queues.Close()
	s.points.Close()
	s.fleets.Close()
}

func (h *held) release() {
	for _, d := range h.databases {
		d.release()
	}
	for _, q := range h.queues {
		q.release()
	}
	for _, p := range h.places {
		p.release()
	}
	h.fleets.release()
}

// refusals counts the readings that say that our own login was refused.
type refusals struct {
	poll.Source[metrics.Database]
	refused func()
}

func (r refusals) Read(ctx context.Context) (metrics.Database, error) {
	d, err := r.Source.Read(ctx)
	if err == nil && d.Full {
		r.refused()
	}
	return d, err
}

// Close closes the source if it can be closed.
func (r refusals) Close() error {
	if closer, ok := r.Source.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}
