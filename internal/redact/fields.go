package redact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Fields are names of fields in JSON: what is not among them is a key of a map, and may
// be anybody's name.
type Fields map[string]bool

// FieldsOf returns the names of all fields that values of types have in JSON.
func FieldsOf(types ...reflect.Type) Fields {
	out := Fields{"value": true, "beganAt": true, "problem": true} // of a reading
	seen := map[reflect.Type]bool{}
	for _, t := range types {
		out.add(t, seen)
	}
	return out
}

func (f Fields) add(t reflect.Type, seen map[reflect.Type]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		f.add(t.Elem(), seen)
		return
	case reflect.Map:
		f.add(t.Key(), seen)
		f.add(t.Elem(), seen)
		return
	case reflect.Struct:
	default:
		return
	}
	if seen[t] {
		return
	}
	seen[t] = true
	for i := range t.NumField() {
		field := t.Field(i)
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
			f[name] = true
		}
		f.add(field.Type, seen)
	}
}

// JSON replaces every name in a JSON document. Names of fields stay: they are camelCase
// words that no map of names has, for those are all of NAMESPACE/NAME, of pods' UIDs, or
// of limits.
func (w *Words) JSON(text []byte, fields Fields) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("expected JSON: %w", err)
	}
	return json.Marshal(w.walk("", tree, fields))
}

// walk replaces what is in a JSON value that stands in a field.
func (w *Words) walk(field string, v any, fields Fields) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			name := k
			if !fields[k] {
				name = w.parts(k)
			}
			out[name] = w.walk(k, v[k], fields)
		}
		return out
	case []any:
		for i := range v {
			v[i] = w.walk(field, v[i], fields)
		}
		return v
	case string:
		return w.text(field, v)
	}
	return v
}
