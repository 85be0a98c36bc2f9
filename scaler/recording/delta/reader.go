package delta

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"time"
)

// Reader takes apart the records of one stream, in order. Its first error stays
// and makes everything after it read as zero; it never panics, whatever it is
// given.
type Reader struct {
	in    []byte
	pos   int
	keys  []string
	at    time.Time
	times []time.Time
	err   error
	// made are the slices that may be changed, by where they begin, with the whole of
	// their memory; nil where none may.
	made map[uintptr]reflect.Value
	// own is whether maps may be changed, see ReadOwn.
	own bool
}

// Reuse lets the reader change slices that it makes from now on instead of making new
// ones: copies of a value are good until the next record then. Those that were taken
// before Reuse was called, for the first time or again, stay what they are.
func (r *Reader) Reuse() {
	if r.made == nil {
		r.made = map[uintptr]reflect.Value{}
	}
	clear(r.made)
}

// resized returns a slice of another length whose elements may be changed: its last
// elements are the last of the old one, tail of them, and those before are what the old
// one has at the same distance from its start, or zeros.
func (r *Reader) resized(old reflect.Value, length, tail int) reflect.Value {
	oldTail, newTail := old.Len()-tail, length-tail
	whole, reused := r.made[old.Pointer()]
	if reused = reused && whole.Len() >= length; !reused {
		room := length
		if r.made != nil && old.Len() > 0 {
			room += length / 8 // it will grow again
		}
		whole = reflect.MakeSlice(old.Type(), room, room)
		reflect.Copy(whole.Slice(0, min(oldTail, newTail)), old)
	}
	from := old
	if reused {
		from = whole
	}
	reflect.Copy(whole.Slice(newTail, length), from.Slice(oldTail, old.Len()))
	if reused && newTail > oldTail {
		whole.Slice(oldTail, newTail).Clear()
	}
	if r.made != nil && length > 0 {
		r.made[whole.Pointer()] = whole
	}
	return whole.Slice3(0, length, length)
}

// Begin starts a record that was made at this time.
func (r *Reader) Begin(record []byte, at time.Time) {
	r.in, r.pos, r.at, r.times, r.err = record, 0, at.UTC(), r.times[:0], nil
}

// End returns what was wrong with the record, which includes bytes left over.
func (r *Reader) End() error {
	if r.err == nil && r.pos != len(r.in) {
		r.fail("expected the end of the record, found %d more bytes", len(r.in)-r.pos)
	}
	return r.err
}

// Err returns what was wrong with the record so far.
func (r *Reader) Err() error { return r.err }

// Uint reads a uvarint.
func (r *Reader) Uint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.in[r.pos:])
	if n <= 0 {
		r.fail("expected a number, found the end of the record or a number over 64 bits")
		return 0
	}
	r.pos += n
	return v
}

// Int reads a zigzag varint.
func (r *Reader) Int() int64 {
	v := r.Uint()
	out := int64(v >> 1)
	if v&1 != 0 {
		out = ^out
	}
	return out
}

// Text reads a text with its length.
func (r *Reader) Text() string { return string(r.text()) }

// text is Text for whoever has no use for it after the record.
func (r *Reader) text() []byte {
	n := r.Uint()
	if n > uint64(len(r.in)-r.pos) {
		r.fail("expected a text of %d bytes, found %d", n, len(r.in)-r.pos)
		return nil
	}
	text := r.in[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return text
}

// Key reads a key, and whether what it stands for is removed.
func (r *Reader) Key() (text string, removed bool) {
	ref, removed := r.KeyRef()
	if r.err != nil {
		return "", false
	}
	return r.keys[ref], removed
}

// KeyRef is Key for whoever has a place for every key of the stream: they are counted
// from 0, and KeyText gives their text.
func (r *Reader) KeyRef() (ref int, removed bool) {
	v := r.Uint()
	if r.err != nil {
		return 0, false
	}
	n, removed := v>>1, v&1 != 0
	if n > uint64(len(r.keys)) {
		r.fail("expected one of %d keys, found a reference to key %d", len(r.keys), n)
		return 0, false
	}
	if n > 0 {
		return int(n - 1), removed
	}
	if text := r.Text(); r.err == nil {
		r.keys = append(r.keys, text)
	}
	return len(r.keys) - 1, removed
}

// KeyText is the text of a key that KeyRef gave.
func (r *Reader) KeyText(ref int) string { return r.keys[ref] }

// Count reads the number of changes of a map; ok is false where the map is nil.
func (r *Reader) Count() (count int, ok bool) {
	n := r.Uint()
	if n == 0 {
		return 0, false
	}
	if n-1 > uint64(len(r.in)-r.pos) {
		r.fail("expected %d changes, found %d bytes", n-1, len(r.in)-r.pos)
		return 0, false
	}
	return int(n - 1), true
}

// Time reads a time.
func (r *Reader) Time() time.Time {
	form := r.Uint()
	switch {
	case r.err != nil || form == timeZero:
		return time.Time{}
	case form == timeNear:
		t := r.at.Add(time.Duration(r.Int()))
		r.times = append(r.times, t)
		return t
	case form == timeFar:
		seconds, nanoseconds := r.Int(), r.Uint()
		if nanoseconds >= uint64(time.Second) {
			r.fail("expected fewer than 1000000000 nanoseconds, found %d", nanoseconds)
			return time.Time{}
		}
		return time.Unix(seconds, int64(nanoseconds)).UTC()
	case form-timeSeen >= uint64(len(r.times)):
		r.fail("expected one of %d times, found a reference to time %d", len(r.times), form-timeSeen)
		return time.Time{}
	}
	return r.times[form-timeSeen]
}

// present reads a 0 or 1.
func (r *Reader) present() bool {
	v := r.Uint()
	if v > 1 {
		r.fail("expected 0 or 1, found %d", v)
	}
	return v == 1
}

// slice reads a slice's new length and how much of the old one is kept at both
// ends; ok is false where the slice is nil. The elements between need a byte
// each at least.
func (r *Reader) slice() (length, head, tail int, ok bool) {
	n := r.Uint()
	if n == 0 {
		return 0, 0, 0, false
	}
	h, t := r.Uint(), r.Uint()
	n--
	if r.err != nil || h > n || t > n-h || n-h-t > uint64(len(r.in)-r.pos) || n > 1<<31 {
		r.fail("expected a slice that fits the record, found %d elements of which %d and %d are kept", n, h, t)
		return 0, 0, 0, false
	}
	return int(n), int(h), int(t), true
}

func (r *Reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("byte %d: %s", r.pos, fmt.Sprintf(format, args...))
	}
}

// Fail makes err what is wrong with the record, unless something was before.
func (r *Reader) Fail(err error) { r.fail("%v", err) }
