package delta

import (
	"encoding/binary"
	"reflect"
	"time"
)

// How a time is written; see the package documentation.
const (
	timeZero = iota
	timeNear
	timeFar
	timeSeen // and above: a reference
)

// far is how far from a record's time a time can lie and still be written as a
// number of nanoseconds.
const far = 200 * 365 * 24 * time.Hour

// clockStep is by how much two clocks must disagree on a distance in time for
// the wall clock to count as having been set.
const clockStep = time.Millisecond

// Writer collects the bytes of one record after another. The keys it has seen
// stay defined for the whole stream; make a new Writer for a new stream.
type Writer struct {
	// Material is set once something other than a time was written that
	// differs from before.
	Material bool

	out   []byte
	keys  map[string]uint64
	at    time.Time
	times map[int64]uint64
	err   error
}

// Begin starts a record that was made at this time.
func (w *Writer) Begin(at time.Time) {
	w.out, w.Material, w.at, w.err = w.out[:0], false, at, nil
	if w.times == nil {
		w.times, w.keys = map[int64]uint64{}, map[string]uint64{}
	}
	clear(w.times)
}

// Bytes returns the record so far. They are good until the next Begin. The error
// is of a value that refused to become JSON; the stream can't be continued then.
func (w *Writer) Bytes() ([]byte, error) { return w.out, w.err }

// Uint appends a uvarint.
func (w *Writer) Uint(v uint64) { w.out = binary.AppendUvarint(w.out, v) }

// Int appends a zigzag varint.
func (w *Writer) Int(v int64) { w.out = binary.AppendVarint(w.out, v) }

// Text appends a text with its length.
func (w *Writer) Text(s string) {
	w.Uint(uint64(len(s)))
	w.out = append(w.out, s...)
}

// Key appends a key, and whether what it stands for is removed.
func (w *Writer) Key(text string, removed bool) {
	flag := uint64(0)
	if removed {
		flag, w.Material = 1, true
	}
	if ref, ok := w.keys[text]; ok {
		w.Uint(ref<<1 | flag)
		return
	}
	w.keys[text] = uint64(len(w.keys)) + 1
	w.Material = true
	w.Uint(flag)
	w.Text(text)
}

// Time appends a time.
func (w *Writer) Time(t time.Time) {
	if t.IsZero() {
		w.Uint(timeZero)
		return
	}
	offset := Distance(w.at, t)
	if offset > far || offset < -far {
		w.Uint(timeFar)
		w.Int(t.Unix())
		w.Uint(uint64(t.Nanosecond()))
		return
	}
	if ref, ok := w.times[int64(offset)]; ok {
		w.Uint(timeSeen + ref)
		return
	}
	w.times[int64(offset)] = uint64(len(w.times))
	w.Uint(timeNear)
	w.Int(int64(offset))
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Distance is how much later than from a time is: by the wall clock, so that a
// time is read back as it was; but where the wall clock was set in between and
// the monotonic one knows better, by that.
func Distance(from, t time.Time) time.Duration {
	return trusted(t.Round(0).Sub(from.Round(0)), t.Sub(from))
}

func trusted(wall, monotonic time.Duration) time.Duration {
	if (wall - monotonic).Abs() >= clockStep {
		return monotonic
	}
	return wall
}

// sameTime reports whether two times are written alike.
func sameTime(a, b time.Time) bool {
	return a.Unix() == b.Unix() && a.Nanosecond() == b.Nanosecond()
}

func timeOf(v reflect.Value) time.Time {
	if v.CanAddr() {
		return *v.Addr().Interface().(*time.Time) // without a copy on the heap
	}
	return v.Interface().(time.Time)
}
