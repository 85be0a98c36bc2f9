package delta

import (
	"encoding/json"
	"math"
	"math/bits"
	"reflect"
	"time"
)

var leafNodes = map[string]node{
	"bool": boolNode{}, "int": intNode{}, "uint": uintNode{}, "float": floatNode{},
	"string": stringNode{}, "json": jsonNode{}, "time": timeNode{},
}

type boolNode struct{}

func (boolNode) equal(a, b reflect.Value) bool { return a.Bool() == b.Bool() }

func (boolNode) write(w *Writer, old, new reflect.Value) {
	w.Material = w.Material || old.Bool() != new.Bool()
	if new.Bool() {
		w.Uint(1)
	} else {
		w.Uint(0)
	}
}

func (boolNode) read(r *Reader, into reflect.Value) { into.SetBool(r.present()) }
func (boolNode) skip(r *Reader)                     { r.present() }

type intNode struct{}

func (intNode) equal(a, b reflect.Value) bool { return a.Int() == b.Int() }

func (intNode) write(w *Writer, old, new reflect.Value) {
	w.Material = w.Material || old.Int() != new.Int()
	w.Int(new.Int() - old.Int())
}

func (intNode) read(r *Reader, into reflect.Value) {
	value := into.Int() + r.Int()
	if into.OverflowInt(value) {
		r.fail("expected a number that fits %s, found %d", into.Type(), value)
		return
	}
	into.SetInt(value)
}

func (intNode) skip(r *Reader) { r.Int() }

type uintNode struct{}

func (uintNode) equal(a, b reflect.Value) bool { return a.Uint() == b.Uint() }

func (uintNode) write(w *Writer, old, new reflect.Value) {
	w.Material = w.Material || old.Uint() != new.Uint()
	w.Int(int64(new.Uint() - old.Uint()))
}

func (uintNode) read(r *Reader, into reflect.Value) {
	value := into.Uint() + uint64(r.Int())
	if into.OverflowUint(value) {
		r.fail("expected a number that fits %s, found %d", into.Type(), value)
		return
	}
	into.SetUint(value)
}

func (uintNode) skip(r *Reader) { r.Int() }

type floatNode struct{}

func (floatNode) equal(a, b reflect.Value) bool {
	return math.Float64bits(a.Float()) == math.Float64bits(b.Float())
}

func (n floatNode) write(w *Writer, old, new reflect.Value) {
	w.Material = w.Material || !n.equal(old, new)
	w.Uint(bits.ReverseBytes64(math.Float64bits(old.Float()) ^ math.Float64bits(new.Float())))
}

func (floatNode) read(r *Reader, into reflect.Value) {
	into.SetFloat(math.Float64frombits(math.Float64bits(into.Float()) ^ bits.ReverseBytes64(r.Uint())))
}

func (floatNode) skip(r *Reader) { r.Uint() }

type stringNode struct{}

func (stringNode) equal(a, b reflect.Value) bool { return a.String() == b.String() }

func (stringNode) write(w *Writer, old, new reflect.Value) {
	w.Material = w.Material || old.String() != new.String()
	w.Text(new.String())
}

func (stringNode) read(r *Reader, into reflect.Value) { into.SetString(r.Text()) }
func (stringNode) skip(r *Reader)                     { r.text() }

// jsonNode is for types that keep their fields to themselves.
type jsonNode struct{}

func (jsonNode) equal(a, b reflect.Value) bool {
	if a.Comparable() && b.Comparable() {
		return a.Equal(b)
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func (n jsonNode) write(w *Writer, old, new reflect.Value) {
	w.Material = w.Material || !n.equal(old, new)
	text, err := json.Marshal(new.Interface())
	if err != nil {
		w.fail(err)
	}
	w.Text(string(text))
}

func (jsonNode) read(r *Reader, into reflect.Value) {
	text := r.Text()
	if r.err != nil {
		return
	}
	value := reflect.New(into.Type())
	if err := json.Unmarshal([]byte(text), value.Interface()); err != nil {
		r.fail("%v", err)
		return
	}
	into.Set(value.Elem())
}

func (jsonNode) skip(r *Reader) { r.text() }

type timeNode struct{}

func (timeNode) equal(a, b reflect.Value) bool {
	return sameTime(timeOf(a), timeOf(b))
}

func (timeNode) write(w *Writer, old, new reflect.Value) {
	before, after := timeOf(old), timeOf(new)
	// That time went by is no news. That there is a time at all is.
	w.Material = w.Material || before.IsZero() != after.IsZero()
	w.Time(after)
}

func (timeNode) read(r *Reader, into reflect.Value) { *into.Addr().Interface().(*time.Time) = r.Time() }
func (timeNode) skip(r *Reader)                     { r.Time() }
