package replay

import (
	"reflect"
	"strings"

	"github.com/keda-headroom/headroom/scaler/recording"
)

// isField are the names of all fields that a record's JSON can have.
var isField = fieldsOf(reflect.TypeFor[recording.Record](), map[reflect.Type]bool{}, map[string]bool{
	"value": true, "beganAt": true, "problem": true, // of a reading
})

func fieldsOf(t reflect.Type, seen map[reflect.Type]bool, out map[string]bool) map[string]bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return fieldsOf(t.Elem(), seen, out)
	case reflect.Map:
		return fieldsOf(t.Elem(), seen, fieldsOf(t.Key(), seen, out))
	case reflect.Struct:
	default:
		return out
	}
	if seen[t] {
		return out
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			out[name] = true
		}
		fieldsOf(f.Type, seen, out)
	}
	return out
}
