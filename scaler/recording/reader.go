package recording

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// Reader finds records. It may be used while the recording goes on.
type Reader struct{ source source }

// OpenReader returns a reader of the recording in a directory. It does not
// matter whether a server is still writing to it.
func OpenReader(dir string) (*Reader, error) {
	r := &Reader{source: directory{dir}}
	segments, err := r.source.list()
	if err != nil {
		return nil, err
	}
	if len(segments) == 0 {
		return nil, fmt.Errorf("expected a recording in %s, found none (files named like %s)", dir, segment{number: 1, start: time.Unix(0, 0), sealed: true}.name())
	}
	return r, nil
}

// DamageError says where a segment ends early. Everything before is whole, and
// so are the other segments.
type DamageError struct {
	Segment string
	// Offset is where the first frame that is not whole begins, in bytes of the
	// uncompressed segment.
	Offset int64
	// Records is how many whole ones stand before.
	Records int
	Problem error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("recording %s: damaged at byte %d, after %d whole records: %v", e.Segment, e.Offset, e.Records, e.Problem)
}

func (e *DamageError) Unwrap() error { return e.Problem }

// NotFoundError says that nothing is known of a workload at a time.
type NotFoundError struct {
	Workload metrics.ID
	At       time.Time
	// First is when the recording begins; the zero time where it is empty.
	First time.Time
	// Workloads are known at that time, in order.
	Workloads []metrics.ID
}

func (e *NotFoundError) Error() string {
	switch {
	case e.First.IsZero():
		return "the recording is empty"
	case e.At.Before(e.First):
		return fmt.Sprintf("the recording begins at %s, after %s", e.First.Format(time.RFC3339), e.At.Format(time.RFC3339))
	}
	return fmt.Sprintf("there was no workload %s at %s, only %s", e.Workload, e.At.Format(time.RFC3339), names(e.Workloads))
}

// names lists workloads for a person.
func names(ids []metrics.ID) string {
	const most = 10
	if len(ids) == 0 {
		return "none"
	}
	var list []string
	for _, id := range ids[:min(len(ids), most)] {
		list = append(list, id.String())
	}
	text := strings.Join(list, ", ")
	if len(ids) > most {
		text += fmt.Sprintf(" and %d more", len(ids)-most)
	}
	return text
}

// At returns the record in force for a workload at a time: the last one made for
// it then or before. It is older than [Heartbeat] where the recording has a gap,
// or where the workload had no policy any more. Damage is passed over. Where there is no such record the error is
// a *[NotFoundError].
func (r *Reader) At(workload metrics.ID, t time.Time) (Record, error) {
	segments, err := r.source.list()
	if err != nil {
		return Record{}, err
	}
	missing := &NotFoundError{Workload: workload, At: t}
	if len(segments) > 0 {
		missing.First = segments[0].start
	}
	for _, s := range slices.Backward(segments) {
		if s.start.After(t) {
			continue
		}
		found, known, err := r.inForce(s, workload, t)
		if err != nil {
			return Record{}, err
		}
		if found != nil {
			return *found, nil
		}
		missing.Workloads = append(missing.Workloads, known...)
	}
	slices.SortFunc(missing.Workloads, metrics.ID.Compare)
	missing.Workloads = slices.Compact(missing.Workloads)
	return Record{}, missing
}

// inForce goes through one segment up to t. It returns the last record of the
// workload, nil where there is none, and which workloads there were.
func (r *Reader) inForce(s segment, workload metrics.ID, t time.Time) (*Record, []metrics.ID, error) {
	in, err := r.source.open(s)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil // it was the oldest, and made room
	}
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	d, err := newDecoder(in)
	if err != nil {
		return nil, nil, nil // damage, which Records reports
	}
	d.until = t
	d.r.Reuse()
	for err == nil {
		_, err = d.next()
	}
	// Groups are left as the last whole frame left them. Where a policy moved
	// the workload from one group to another, the later one speaks for it.
	var found *decoded
	var known []metrics.ID
	for _, g := range d.groups {
		for _, w := range g.Group.Workloads {
			known = append(known, w.ID)
			if w.ID == workload && (found == nil || g.At.After(found.At)) {
				found = g
			}
		}
	}
	if found == nil {
		return nil, known, nil
	}
	record := found.record()
	return &record, known, nil
}

// Records goes through what was recorded from one time up to, but not at,
// another, in order; zero times are the beginning and the end. Where a segment
// is damaged it gives an error, a *[DamageError], and goes on with the next
// segment; any other error is the last.
//
// The maps of a record change as soon as the next one is asked for: [Record.Clone]
// keeps them. What they refer to does not.
func (r *Reader) Records(from, to time.Time) iter.Seq2[Record, error] {
	return r.records(from, to, func(d *decoded) (Record, bool) { return d.record(), true })
}

// Samples goes through what was recorded as Records does, and gives of each group one
// record in every step; a step of 0 gives them all. It is for those who carry a ledger
// of their own from the first record on: the ledger of a record has only the databases
// and workloads that are new to it. Which costs a fraction of reading what is
// remembered in each record.
//
// Records stay as they are when the next one is asked for.
func (r *Reader) Samples(from, to time.Time, step time.Duration) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		last := map[string]time.Time{}
		r.records(from, to, func(d *decoded) (Record, bool) {
			name := d.Group.Name()
			if at, seen := last[name]; seen && d.At.Sub(at) < step {
				return Record{}, false
			}
			last[name] = d.At
			return d.sample(), true
		})(yield)
	}
}

// records goes through what take makes of the records in a stretch of time.
func (r *Reader) records(from, to time.Time, take func(*decoded) (Record, bool)) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		segments, err := r.source.list()
		if err != nil {
			yield(Record{}, err)
			return
		}
		for s := range during(segments, from, to) {
			if !r.segment(s, from, to, take, yield) {
				return
			}
		}
	}
}

// during gives the segments that may have records of a stretch of time.
func during(segments []segment, from, to time.Time) iter.Seq[segment] {
	return func(yield func(segment) bool) {
		for i, s := range segments {
			ended := i+1 < len(segments) && !segments[i+1].start.After(from) && segments[i+1].start.After(s.start)
			if ended || (!to.IsZero() && !s.start.Before(to)) {
				continue
			}
			if !yield(s) {
				return
			}
		}
	}
}

// segment gives what take makes of the records of one segment, and its damage; false
// to stop.
func (r *Reader) segment(s segment, from, to time.Time, take func(*decoded) (Record, bool), yield func(Record, error) bool) bool {
	in, err := r.source.open(s)
	if errors.Is(err, fs.ErrNotExist) {
		return true // it was the oldest, and made room
	}
	if err != nil {
		yield(Record{}, err)
		return false
	}
	defer in.Close()
	d, err := newDecoder(in)
	if err != nil {
		return yield(Record{}, &DamageError{Segment: s.name(), Problem: err})
	}
	if !to.IsZero() {
		d.until = to.Add(-1)
	}
	for n := 0; ; n++ {
		record, err := d.next()
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			return yield(Record{}, &DamageError{Segment: s.name(), Offset: d.frames.offset, Records: n, Problem: err})
		}
		if record.At.Before(from) {
			continue
		}
		if taken, ok := take(record); ok && !yield(taken, nil) {
			return false
		}
	}
}
