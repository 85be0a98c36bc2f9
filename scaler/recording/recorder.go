package recording

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keda-headroom/headroom/policy"
)

// Defaults of [Options].
const (
	DefaultMaxBytes       = 64 << 20
	DefaultMemoryMaxBytes = 16 << 20
	DefaultSegmentBytes   = 4 << 20
	DefaultQueue          = 256
)

// Heartbeat is how often a group is recorded while nothing about it changes.
const Heartbeat = 30 * time.Second

// Interval is how long decisions that tell nobody anything new are passed over
// after one that was recorded.
const Interval = time.Second

// retryAfter is how long nothing is recorded after the directory could not be
// written to.
const retryAfter = 10 * time.Second

// Options say where to record and how much. The zero Options record in memory.
type Options struct {
	// Dir is a directory of the recorder's own, made where it is missing; "" is
	// to record in memory.
	Dir string
	// MaxBytes is how much the recording may occupy: DefaultMaxBytes where it is
	// 0, or DefaultMemoryMaxBytes without a directory. At least 64 KiB.
	MaxBytes int64
	// SegmentBytes is how long a segment may grow before it is compressed:
	// DefaultSegmentBytes where it is 0, and never more than an eighth of
	// MaxBytes.
	SegmentBytes int64
	// Queue is how many decisions may wait to be written: DefaultQueue where it
	// is 0.
	Queue int
	// Program is the version of the program, which is kept with the recording.
	Program string
	// Log is told once when recording fails and once when it works again; nil is
	// slog.Default().
	Log *slog.Logger
}

// Stats say how recording goes.
type Stats struct {
	// Records were written; Unchanged told nobody anything new and were passed over;
	// Dropped came faster than they could be written, or while writing failed.
	Records, Unchanged, Dropped uint64
	// Bytes is what the recording occupies.
	Bytes int64
	// Problem says why recording does not work, "" while it does.
	Problem string
}

// Recorder keeps decisions. Make one with [Open].
type Recorder struct {
	options Options
	store   store
	queue   chan item
	stop    chan struct{}
	done    chan struct{}
	closing sync.Once
	err     error // of closing

	dropped atomic.Uint64
	stats   struct {
		sync.Mutex
		Stats
	}

	// Owned by the writer goroutine.
	encoder  *encoder
	size     int64 // of the open segment
	total    int64 // of all others
	longest  int64 // that the open segment may get
	next     uint64
	lost     uint64
	notUntil time.Time
}

// item is a decision to be written, or a wish to hear when all before it are.
type item struct {
	at       time.Time
	group    policy.Group
	snapshot policy.Snapshot
	ledger   policy.Ledger
	plan     policy.Plan
	flushed  chan<- struct{}
}

// Open starts recording. A directory must not be in use by another Recorder. What
// was recorded in it before stays, and counts towards MaxBytes.
func Open(options Options) (*Recorder, error) {
	if options.MaxBytes <= 0 {
		options.MaxBytes = DefaultMaxBytes
		if options.Dir == "" {
			options.MaxBytes = DefaultMemoryMaxBytes
		}
	}
	options.MaxBytes = max(options.MaxBytes, 64<<10)
	if options.SegmentBytes <= 0 {
		options.SegmentBytes = DefaultSegmentBytes
	}
	options.SegmentBytes = min(options.SegmentBytes, options.MaxBytes/8)
	if options.Queue <= 0 {
		options.Queue = DefaultQueue
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	r := &Recorder{
		options: options, store: newMemory(),
		queue: make(chan item, options.Queue), stop: make(chan struct{}), done: make(chan struct{}),
	}
	if options.Dir != "" {
		f, err := openFiles(options.Dir)
		if err != nil {
			return nil, err
		}
		r.store = f
	}
	segments, err := r.store.list()
	if err != nil {
		return nil, errors.Join(err, r.store.close())
	}
	for _, s := range segments {
		r.next = max(r.next, s.number)
	}
	if err := r.evict(); err != nil {
		return nil, errors.Join(err, r.store.close())
	}
	go r.run()
	return r, nil
}

// Record keeps a decision: what [policy.Decide] was given, ledger included, and
// the plan it returned. It does not wait; where decisions come faster than they
// can be written, they are dropped and counted. None of the arguments may be
// changed afterwards. After Close it does nothing.
func (r *Recorder) Record(at time.Time, group policy.Group, snapshot policy.Snapshot, ledger policy.Ledger, plan policy.Plan) {
	select {
	case <-r.stop:
		return
	default:
	}
	select {
	case r.queue <- item{at: at, group: group, snapshot: snapshot, ledger: ledger, plan: plan}:
	default:
		r.dropped.Add(1)
	}
}

// Flush returns when everything that was recorded before can be read.
func (r *Recorder) Flush() {
	flushed := make(chan struct{})
	select {
	case r.queue <- item{flushed: flushed}:
	case <-r.done:
		return
	}
	select {
	case <-flushed:
	case <-r.done:
	}
}

// Reader returns a reader of everything that was recorded until now.
func (r *Recorder) Reader() *Reader {
	r.Flush()
	return &Reader{source: r.store}
}

// Stats returns how recording goes.
func (r *Recorder) Stats() Stats {
	r.stats.Lock()
	defer r.stats.Unlock()
	s := r.stats.Stats
	s.Dropped += r.dropped.Load()
	return s
}

// Close writes what was recorded before and ends the recording. It returns the
// problem that kept records from being written, where there is one at the end.
func (r *Recorder) Close() error {
	r.closing.Do(func() {
		close(r.stop)
		<-r.done
		r.err = r.store.close()
		if s := r.Stats(); s.Problem != "" {
			r.err = errors.Join(errors.New(s.Problem), r.err)
		}
	})
	return r.err
}

func (r *Recorder) run() {
	defer close(r.done)
	for {
		select {
		case i := <-r.queue:
			r.take(i)
		case <-r.stop:
			for {
				select {
				case i := <-r.queue:
					r.take(i)
				default:
					return
				}
			}
		}
	}
}

func (r *Recorder) take(i item) {
	if i.flushed != nil {
		close(i.flushed)
		return
	}
	// Decisions that were dropped since the last one are counted with this one.
	// None is missed: it would have been dropped behind this one otherwise.
	r.lose(r.dropped.Swap(0))
	if wait := r.notUntil.Sub(i.at); wait > 0 && wait <= retryAfter { // a clock that was set back says nothing
		r.lose(1)
		return
	}
	if r.lost == 0 && r.encoder != nil && r.encoder.fits(i.at) && !r.encoder.tells(i.plan, i.at, Interval) {
		r.report(false, nil)
		return
	}
	record := New(i.at, i.group, i.snapshot, i.ledger, i.plan)
	record.Dropped = r.lost
	written, err := r.write(record)
	if err != nil {
		r.lose(1)
		r.notUntil = i.at.Add(retryAfter)
	} else if written {
		r.lost = 0
	}
	r.report(written, err)
}

func (r *Recorder) lose(n uint64) {
	r.lost += n
	r.stats.Lock()
	r.stats.Dropped += n
	r.stats.Unlock()
}

// report counts what came of a record, and logs when that changed for better or
// worse.
func (r *Recorder) report(written bool, err error) {
	r.stats.Lock()
	before := r.stats.Problem
	r.stats.Problem = ""
	switch {
	case err != nil:
		r.stats.Problem = err.Error()
	case written:
		r.stats.Records++
	default:
		r.stats.Unchanged++
	}
	r.stats.Bytes = r.total + r.size
	now := r.stats.Problem
	r.stats.Unlock()
	switch {
	case before == "" && now != "":
		r.options.Log.Error("decisions can't be recorded; why --at and replay will miss them", "problem", now, "directory", r.options.Dir)
	case before != "" && now == "":
		r.options.Log.Info("decisions are recorded again", "directory", r.options.Dir)
	}
}

// write adds a record to the recording; false where it says nothing new.
func (r *Recorder) write(record Record) (bool, error) {
	if r.encoder != nil && !r.encoder.fits(record.At) {
		if err := r.seal(); err != nil {
			return false, err
		}
	}
	if r.encoder == nil {
		if err := r.begin(record.At); err != nil {
			return false, err
		}
	}
	frame, err := r.encoder.encode(record, Heartbeat)
	if err == nil && frame == nil {
		return false, nil
	}
	if err == nil {
		err = r.store.append(frame)
	}
	if err != nil {
		// What was written of it is unknown: the next record starts afresh.
		return false, errors.Join(err, r.seal())
	}
	r.size += int64(len(frame))
	if r.full() {
		return true, r.seal()
	}
	return true, nil
}

// full reports whether the open segment is long enough. One that is mostly key
// frames is not, as long as there is room.
func (r *Recorder) full() bool {
	r.longest = max(r.options.SegmentBytes, min(4*r.encoder.keyed, r.options.MaxBytes/4))
	return r.size >= r.longest
}

func (r *Recorder) begin(at time.Time) error {
	e, head, err := newEncoder(r.options.Program)
	if err != nil {
		return err
	}
	r.next++
	if err := r.store.create(segment{number: r.next, start: at}); err != nil {
		return err
	}
	if err := r.store.append(head); err != nil {
		return err
	}
	r.encoder, r.size = e, int64(len(head))
	return nil
}

// seal ends the open segment, and makes room for the next.
func (r *Recorder) seal() error {
	r.encoder, r.size = nil, 0
	return errors.Join(r.store.seal(), r.evict())
}

// evict removes the oldest segments until there is room for one that is open
// and its compressed form.
func (r *Recorder) evict() error {
	segments, err := r.store.list()
	if err != nil {
		return err
	}
	r.total = 0
	for _, s := range segments {
		r.total += s.size
	}
	room := r.options.MaxBytes - 2*max(r.longest, r.options.SegmentBytes)
	for _, s := range segments {
		if r.total <= room {
			break
		}
		if err := r.store.remove(s); err != nil {
			return err
		}
		r.total -= s.size
	}
	return nil
}
