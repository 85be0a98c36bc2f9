package delta

import (
	"fmt"
	"reflect"
	"strings"
)

// Codec writes and reads values of one type by one schema. It may be used by one
// goroutine at a time.
type Codec[T any] struct{ node node }

// Compile makes a codec for T out of what the schema says of the type that it
// calls text (as [Schema.Add] returned it when the stream was written). It fails
// where a field is of another kind now than then.
func Compile[T any](schema Schema, text string) (Codec[T], error) {
	n, err := compile(schema, text, reflect.TypeFor[T](), 0)
	if err != nil {
		return Codec[T]{}, fmt.Errorf("%s: %w", text, err)
	}
	return Codec[T]{node: n}, nil
}

// Equal reports whether nothing would have to be written between a and b.
// Slices and maps that share their memory count as equal unseen: values given
// to a codec must not be changed later.
func (c Codec[T]) Equal(a, b *T) bool {
	return c.node.equal(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
}

// Write appends what leads from old to new.
func (c Codec[T]) Write(w *Writer, old, new *T) {
	c.node.write(w, reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem())
}

// Read turns value, the old one, into the new one. Memory that value refers to
// is never changed, so copies of the old value stay what they were. After an
// error, which r keeps, value is of no use.
func (c Codec[T]) Read(r *Reader, value *T) {
	c.node.read(r, reflect.ValueOf(value).Elem())
}

// ReadOwn is Read where nobody else has the maps that value refers to: they are
// changed in place.
func (c Codec[T]) ReadOwn(r *Reader, value *T) {
	r.own = true
	c.node.read(r, reflect.ValueOf(value).Elem())
	r.own = false
}

// Skip passes over what leads to the new value.
func (c Codec[T]) Skip(r *Reader) { c.node.skip(r) }

// node is one type in a schema together with the Go type that stands for it.
type node interface {
	equal(a, b reflect.Value) bool
	// write appends a description of new in terms of old, even if they are equal.
	write(w *Writer, old, new reflect.Value)
	// read changes into from the old value to the new one.
	read(r *Reader, into reflect.Value)
	// skip passes over what write wrote.
	skip(r *Reader)
}

// maxDepth bounds how deep types in a schema nest, since a schema that was read
// from a damaged file may hold itself.
const maxDepth = 32

// compile makes the node for what the schema calls text. t is nil where there is
// no Go type for it any more: such a node can only skip.
func compile(schema Schema, text string, t reflect.Type, depth int) (node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("expected types that nest at most %d deep", maxDepth)
	}
	if rest, ok := strings.CutPrefix(text, "*"); ok {
		elem, err := compileElem(schema, text, rest, t, reflect.Pointer, depth)
		return pointerNode{elem}, err
	}
	if rest, ok := strings.CutPrefix(text, "[]"); ok {
		elem, err := compileElem(schema, text, rest, t, reflect.Slice, depth)
		return sliceNode{elem}, err
	}
	if rest, ok := strings.CutPrefix(text, "map[]"); ok {
		elem, err := compileElem(schema, text, rest, t, reflect.Map, depth)
		if err == nil && t != nil && t.Key().Kind() != reflect.String && !isText(t.Key()) {
			err = fmt.Errorf("expected a map with text keys, found %s", t)
		}
		return mapNode{elem}, err
	}
	if leaves[text] {
		if t != nil {
			var scratch Schema
			if now, err := scratch.Add(t); err != nil {
				return nil, err
			} else if now != text {
				return nil, fmt.Errorf("it was recorded as %s, and this version expects %s (%s)", text, now, t)
			}
		}
		return leafNodes[text], nil
	}
	fields, ok := schema.Structs[text]
	if !ok {
		return nil, fmt.Errorf("expected the schema to describe %q, and it does not", text)
	}
	return compileStruct(schema, text, fields, t, depth)
}

func compileElem(schema Schema, text, rest string, t reflect.Type, kind reflect.Kind, depth int) (node, error) {
	if t == nil {
		return compile(schema, rest, nil, depth+1)
	}
	if t.Kind() != kind {
		return nil, fmt.Errorf("it was recorded as %s, and this version expects %s", text, t)
	}
	return compile(schema, rest, t.Elem(), depth+1)
}

func compileStruct(schema Schema, text string, fields []Field, t reflect.Type, depth int) (node, error) {
	if len(fields) > maxFields {
		return nil, fmt.Errorf("expected at most %d fields in %s, found %d", maxFields, text, len(fields))
	}
	if t != nil && (t.Kind() != reflect.Struct || t == timeType) {
		return nil, fmt.Errorf("it was recorded as %s, and this version expects %s", text, t)
	}
	n := structNode{fields: make([]fieldNode, len(fields))}
	for i, f := range fields {
		index, goType := -1, reflect.Type(nil)
		if t != nil {
			for j := range t.NumField() {
				if sf := t.Field(j); sf.IsExported() && fieldName(sf) == f.Name {
					index, goType = j, sf.Type
				}
			}
		}
		elem, err := compile(schema, f.Type, goType, depth+1)
		if err != nil {
			return nil, fmt.Errorf("field %s of %s: %w", f.Name, text, err)
		}
		n.fields[i] = fieldNode{node: elem, index: index}
	}
	return n, nil
}
