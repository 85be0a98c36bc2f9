package delta

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Schema names the fields of the types in a stream, as they were when it was
// written. The zero Schema is empty and ready for use.
type Schema struct {
	// Structs are the fields of each struct type, by the type's name.
	Structs map[string][]Field `json:"structs"`
}

// Field is one field of a struct: its JSON name, and its type as the package
// documentation writes it, where a struct stands by its name.
type Field struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// maxFields is how many fields a struct can have: its mask is one uvarint.
const maxFields = 64

var (
	timeType          = reflect.TypeFor[time.Time]()
	jsonMarshaler     = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshaler   = reflect.TypeFor[json.Unmarshaler]()
	textMarshaler     = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler   = reflect.TypeFor[encoding.TextUnmarshaler]()
	leaves            = map[string]bool{"bool": true, "int": true, "uint": true, "float": true, "string": true, "json": true, "time": true}
	errNotDescribable = "can't be recorded: only booleans, numbers, strings, times, types with their own JSON, and structs, slices, maps and pointers of them can"
)

// Add describes a type and all that it is made of, and returns how the schema
// calls it. It fails on types that hold more than plain values.
func (s *Schema) Add(t reflect.Type) (string, error) {
	return s.add(t, nil)
}

func (s *Schema) add(t reflect.Type, within []reflect.Type) (string, error) {
	for _, outer := range within {
		if outer == t {
			return "", fmt.Errorf("type %s holds itself, which can't be recorded", t)
		}
	}
	within = append(within[:len(within):len(within)], t)
	switch {
	case t == timeType:
		return "time", nil
	case t.Implements(jsonMarshaler) && reflect.PointerTo(t).Implements(jsonUnmarshaler) && t.Kind() != reflect.Pointer,
		isText(t):
		return "json", nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return "bool", nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "int", nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "uint", nil
	case reflect.Float32, reflect.Float64:
		return "float", nil
	case reflect.String:
		return "string", nil
	case reflect.Pointer:
		elem, err := s.add(t.Elem(), within)
		return "*" + elem, err
	case reflect.Slice:
		elem, err := s.add(t.Elem(), within)
		return "[]" + elem, err
	case reflect.Map:
		if t.Key().Kind() != reflect.String && !isText(t.Key()) {
			return "", fmt.Errorf("a map's keys must be strings or have a text form, found %s", t)
		}
		elem, err := s.add(t.Elem(), within)
		return "map[]" + elem, err
	case reflect.Struct:
		return s.addStruct(t, within)
	default:
		return "", fmt.Errorf("type %s %s", t, errNotDescribable)
	}
}

func (s *Schema) addStruct(t reflect.Type, within []reflect.Type) (string, error) {
	name := t.String()
	if _, ok := s.Structs[name]; ok {
		return name, nil
	}
	var fields []Field
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			return "", fmt.Errorf("type %s has the unexported field %s, which can't be recorded", t, f.Name)
		}
		text, err := s.add(f.Type, within)
		if err != nil {
			return "", fmt.Errorf("field %s of %s: %w", f.Name, t, err)
		}
		fields = append(fields, Field{Name: fieldName(f), Type: text})
	}
	if len(fields) > maxFields {
		return "", fmt.Errorf("type %s has %d fields, at most %d can be recorded", t, len(fields), maxFields)
	}
	if s.Structs == nil {
		s.Structs = map[string][]Field{}
	}
	s.Structs[name] = fields
	return name, nil
}

// isText reports whether values of t are kept by their text form.
func isText(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && t.Implements(textMarshaler) && reflect.PointerTo(t).Implements(textUnmarshaler)
}

// fieldName is the name that JSON gives a field.
func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		return f.Name
	}
	return name
}
