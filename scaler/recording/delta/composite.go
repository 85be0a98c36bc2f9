package delta

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

type structNode struct{ fields []fieldNode }

// fieldNode is a field of the schema; index is where the Go type has it, -1
// where it no longer does.
type fieldNode struct {
	node
	index int
}

func (n structNode) equal(a, b reflect.Value) bool {
	for _, f := range n.fields {
		if f.index >= 0 && !f.equal(a.Field(f.index), b.Field(f.index)) {
			return false
		}
	}
	return true
}

func (n structNode) write(w *Writer, old, new reflect.Value) {
	var mask uint64
	for i, f := range n.fields {
		if f.index >= 0 && !f.equal(old.Field(f.index), new.Field(f.index)) {
			mask |= 1 << i
		}
	}
	w.Uint(mask)
	for i, f := range n.fields {
		if mask&(1<<i) != 0 {
			f.write(w, old.Field(f.index), new.Field(f.index))
		}
	}
}

func (n structNode) read(r *Reader, into reflect.Value) {
	for i := range n.changed(r) {
		if f := n.fields[i]; f.index >= 0 {
			f.read(r, into.Field(f.index))
		} else {
			f.skip(r)
		}
	}
}

func (n structNode) skip(r *Reader) {
	for i := range n.changed(r) {
		n.fields[i].skip(r)
	}
}

// changed reads the mask and goes through the fields in it, until an error.
func (n structNode) changed(r *Reader) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		mask := r.Uint()
		if len(n.fields) < maxFields && mask>>len(n.fields) != 0 {
			r.fail("expected a mask of %d fields, found %b", len(n.fields), mask)
		}
		for i := range n.fields {
			if mask&(1<<i) != 0 && (r.err != nil || !yield(i)) {
				return
			}
		}
	}
}

type pointerNode struct{ elem node }

func (n pointerNode) equal(a, b reflect.Value) bool {
	if a.IsNil() || b.IsNil() {
		return a.IsNil() && b.IsNil()
	}
	return a.Pointer() == b.Pointer() || n.elem.equal(a.Elem(), b.Elem())
}

func (n pointerNode) write(w *Writer, old, new reflect.Value) {
	if old.IsNil() != new.IsNil() {
		w.Material = true
	}
	if new.IsNil() {
		w.Uint(0)
		return
	}
	w.Uint(1)
	before := reflect.Zero(new.Type().Elem())
	if !old.IsNil() {
		before = old.Elem()
	}
	n.elem.write(w, before, new.Elem())
}

func (n pointerNode) read(r *Reader, into reflect.Value) {
	if !r.present() {
		into.SetZero()
		return
	}
	value := reflect.New(into.Type().Elem())
	if !into.IsNil() {
		value.Elem().Set(into.Elem())
	}
	n.elem.read(r, value.Elem())
	into.Set(value)
}

func (n pointerNode) skip(r *Reader) {
	if r.present() {
		n.elem.skip(r)
	}
}

type sliceNode struct{ elem node }

func (n sliceNode) equal(a, b reflect.Value) bool {
	if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
		return false
	}
	if a.Pointer() == b.Pointer() {
		return true
	}
	for i := range a.Len() {
		if !n.elem.equal(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

func (n sliceNode) write(w *Writer, old, new reflect.Value) {
	if old.IsNil() != new.IsNil() || old.Len() != new.Len() {
		w.Material = true
	}
	if new.IsNil() {
		w.Uint(0)
		return
	}
	shorter := min(old.Len(), new.Len())
	head := 0
	for head < shorter && n.elem.equal(old.Index(head), new.Index(head)) {
		head++
	}
	tail := 0
	for tail < shorter-head && n.elem.equal(old.Index(old.Len()-1-tail), new.Index(new.Len()-1-tail)) {
		tail++
	}
	w.Uint(uint64(new.Len()) + 1)
	w.Uint(uint64(head))
	w.Uint(uint64(tail))
	zero := reflect.Zero(new.Type().Elem())
	for i := head; i < new.Len()-tail; i++ {
		before := zero
		if i < old.Len()-tail {
			before = old.Index(i)
		}
		n.elem.write(w, before, new.Index(i))
	}
}

func (n sliceNode) read(r *Reader, into reflect.Value) {
	length, head, tail, ok := r.slice()
	if !ok {
		into.SetZero()
		return
	}
	old := into.Len()
	if head+tail > old {
		r.fail("expected at most %d elements to be kept, found %d", old, head+tail)
		return
	}
	out := r.resized(into, length, tail)
	for i := head; i < length-tail && r.err == nil; i++ {
		n.elem.read(r, out.Index(i))
	}
	into.Set(out)
}

func (n sliceNode) skip(r *Reader) {
	length, head, tail, _ := r.slice()
	for i := head; i < length-tail && r.err == nil; i++ {
		n.elem.skip(r)
	}
}

type mapNode struct{ elem node }

func (n mapNode) equal(a, b reflect.Value) bool {
	if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
		return false
	}
	if a.Pointer() == b.Pointer() {
		return true
	}
	for it := a.MapRange(); it.Next(); {
		other := b.MapIndex(it.Key())
		if !other.IsValid() || !n.elem.equal(it.Value(), other) {
			return false
		}
	}
	return true
}

// keyChange is a key whose value changed. An invalid new value is a removal.
type keyChange struct {
	text     string
	old, new reflect.Value
}

func (n mapNode) write(w *Writer, old, new reflect.Value) {
	if old.IsNil() != new.IsNil() {
		w.Material = true
	}
	if new.IsNil() {
		w.Uint(0)
		return
	}
	var changes []keyChange
	for it := new.MapRange(); it.Next(); {
		before := reflect.Value{}
		if !old.IsNil() {
			before = old.MapIndex(it.Key())
		}
		if !before.IsValid() || !n.elem.equal(before, it.Value()) {
			changes = append(changes, keyChange{text: keyText(w, it.Key()), old: before, new: it.Value()})
		}
	}
	for it := old.MapRange(); it.Next(); {
		if !new.MapIndex(it.Key()).IsValid() {
			changes = append(changes, keyChange{text: keyText(w, it.Key())})
		}
	}
	slices.SortFunc(changes, func(a, b keyChange) int { return strings.Compare(a.text, b.text) })
	w.Uint(uint64(len(changes)) + 1)
	for _, c := range changes {
		w.Key(c.text, !c.new.IsValid())
		if !c.new.IsValid() {
			continue
		}
		if !c.old.IsValid() {
			w.Material = true
			c.old = reflect.Zero(new.Type().Elem())
		}
		n.elem.write(w, c.old, c.new)
	}
}

func (n mapNode) read(r *Reader, into reflect.Value) {
	count, ok := r.Count()
	if !ok {
		into.SetZero()
		return
	}
	out := into
	if !r.own || into.IsNil() {
		out = reflect.MakeMapWithSize(into.Type(), into.Len())
		for it := into.MapRange(); it.Next(); {
			out.SetMapIndex(it.Key(), it.Value())
		}
	}
	for range count {
		text, removed := r.Key()
		key := keyValue(r, into.Type().Key(), text)
		if r.err != nil {
			return
		}
		if removed {
			out.SetMapIndex(key, reflect.Value{})
			continue
		}
		value := reflect.New(into.Type().Elem()).Elem()
		if before := out.MapIndex(key); before.IsValid() {
			value.Set(before)
		}
		n.elem.read(r, value)
		out.SetMapIndex(key, value)
	}
	into.Set(out)
}

func (n mapNode) skip(r *Reader) {
	count, _ := r.Count()
	for range count {
		if _, removed := r.Key(); !removed && r.err == nil {
			n.elem.skip(r)
		}
	}
}

func keyText(w *Writer, key reflect.Value) string {
	if key.Kind() == reflect.String {
		return key.String()
	}
	text, err := key.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		w.fail(fmt.Errorf("key %v: %w", key, err))
	}
	return string(text)
}

func keyValue(r *Reader, t reflect.Type, text string) reflect.Value {
	key := reflect.New(t)
	if t.Kind() == reflect.String {
		key.Elem().SetString(text)
	} else if err := key.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		r.fail("key: %v", err)
	}
	return key.Elem()
}
