package policy

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
)

// docThousand is in how many parts the bounds of a docNumber are counted.
const docThousand = 1000

// docShape is what may stand in one object of a document: the tags of its type,
// read once.
type docShape struct {
	kind   reflect.Type
	fields []docField
}

// docField is one field of an object.
type docField struct {
	docValue
	key      string
	index    int    // in the struct
	required bool   // must be given
	choice   string // exactly one field of this choice is given; "" for none
	secret   string // never shown; what to do instead
}

// docForm is what a value looks like.
type docForm int

const (
	docObject   docForm = iota
	docList             // of item
	docWhole            // a whole number
	docNumber           // a number, whole or not
	docShare            // a whole number or a percentage
	docDuration         // as Go and Kubernetes write it
	docFlag             // true or false
	docWord             // a text
	docMap              // texts by name
)

// docValue is what one value may be.
type docValue struct {
	form        docForm
	shape       *docShape // of an object
	item        *docValue // of a list
	text        *docText  // of a text, or of a map's values
	names       *docText  // of a map's keys
	least, most int64     // of a whole number, of a number in thousandths, of a duration in nanoseconds, of a list's or map's length
	percent     int64     // the most that a percentage may be
}

// docPolicyShape is the shape of a whole document.
var docPolicyShape = docShapeOf(reflect.TypeFor[docPolicy]())

// docShapeOf reads the tags of a type of document.go. It panics on a tag that it
// can't read: that is a mistake in this package, and shows before main.
func docShapeOf(t reflect.Type) *docShape {
	s := &docShape{kind: t}
	for i := range t.NumField() {
		f := t.Field(i)
		words := strings.Split(f.Tag.Get("field"), ",")
		field := docField{key: words[0], index: i, secret: f.Tag.Get("secret"), docValue: docValueOf(f.Type, f.Tag)}
		for _, word := range words[1:] {
			choice, isChoice := strings.CutPrefix(word, "one=")
			switch {
			case isChoice:
				field.choice = choice
			case word == "required":
				field.required = true
			default:
				panic(fmt.Sprintf("policy: %v.%s: unknown word %q in its tag", t, f.Name, word))
			}
		}
		s.fields = append(s.fields, field)
	}
	return s
}

func docValueOf(t reflect.Type, tag reflect.StructTag) docValue {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[time.Duration]():
		least, most := docBounds(tag.Get("between"), docMustDuration)
		return docValue{form: docDuration, least: least, most: most}
	case reflect.TypeFor[intorpercent.Value]():
		least, most := docBounds(tag.Get("between"), docMustWhole)
		return docValue{form: docShare, least: least, most: most, percent: docMustWhole(tag.Get("percent"))}
	}
	switch t.Kind() {
	case reflect.Struct:
		return docValue{form: docObject, shape: docShapeOf(t)}
	case reflect.Slice:
		item := docValueOf(t.Elem(), tag)
		least, most := docBounds(tag.Get("items"), docMustWhole)
		return docValue{form: docList, item: &item, least: least, most: most}
	case reflect.Int, reflect.Int64:
		least, most := docBounds(tag.Get("between"), docMustWhole)
		return docValue{form: docWhole, least: least, most: most}
	case reflect.Float64:
		least, most := docBounds(tag.Get("between"), docMustThousandths)
		return docValue{form: docNumber, least: least, most: most}
	case reflect.Bool:
		return docValue{form: docFlag}
	case reflect.String:
		return docValue{form: docWord, text: docMustText(tag.Get("text"))}
	case reflect.Map:
		least, most := docBounds(tag.Get("items"), docMustWhole)
		return docValue{form: docMap, names: docMustText(tag.Get("keys")), text: docMustText(tag.Get("text")), least: least, most: most}
	}
	panic(fmt.Sprintf("policy: no document can hold a %v", t))
}

func docMustText(name string) *docText {
	text, ok := docTexts[name]
	if !ok {
		panic(fmt.Sprintf("policy: no rule for texts is called %q", name))
	}
	return text
}

func docBounds(tag string, read func(string) int64) (least, most int64) {
	from, to, _ := strings.Cut(tag, ",")
	return read(from), read(to)
}

func docMustWhole(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("policy: bound %q: %v", text, err))
	}
	return n
}

func docMustThousandths(text string) int64 {
	n, err := strconv.ParseFloat(text, 64)
	if thousandths := n * docThousand; err == nil && thousandths == math.Trunc(thousandths) {
		return int64(thousandths)
	}
	panic(fmt.Sprintf("policy: bound %q: expected a number in thousandths", text))
}

func docMustDuration(text string) int64 {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(fmt.Sprintf("policy: bound %q: %v", text, err))
	}
	return int64(d)
}

// keys are the fields of an object, in the order of the reference.
func (s *docShape) keys() []string {
	keys := make([]string, len(s.fields))
	for i, f := range s.fields {
		keys[i] = f.key
	}
	return keys
}

// field returns the field key.
func (s *docShape) field(key string) (*docField, bool) {
	for i := range s.fields {
		if s.fields[i].key == key {
			return &s.fields[i], true
		}
	}
	return nil, false
}

// choices are the fields of which exactly one is given, by choice, in order.
func (s *docShape) choices() [][]string {
	var out [][]string
	index := map[string]int{}
	for _, f := range s.fields {
		if f.choice == "" {
			continue
		}
		i, ok := index[f.choice]
		if !ok {
			i = len(out)
			index[f.choice] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], f.key)
	}
	return out
}

// expected ends the sentence "expected …".
func (v docValue) expected() string {
	switch v.form {
	case docObject:
		if choices := v.shape.choices(); len(choices) == 1 && len(choices[0]) == len(v.shape.fields) {
			return "an object with " + docOneOf(choices[0])
		}
		if len(v.shape.fields) == 1 {
			return "an object with the field " + v.shape.fields[0].key
		}
		return "an object with the fields " + strings.Join(v.shape.keys(), ", ")
	case docList:
		return "a list"
	case docWhole:
		return fmt.Sprintf("a whole number from %d to %d", v.least, v.most)
	case docNumber:
		return fmt.Sprintf("a number from %v to %v", float64(v.least)/docThousand, float64(v.most)/docThousand)
	case docShare:
		return fmt.Sprintf("a whole number from %d to %d or a percentage from 0%% to %d%%", v.least, v.most, v.percent)
	case docDuration:
		return fmt.Sprintf("a duration from %s to %s, such as \"30s\"", docShowDuration(v.least), docShowDuration(v.most))
	case docFlag:
		return "true or false"
	case docMap:
		return "an object of names and texts"
	default:
		return v.text.expected
	}
}

// docOneOf names a choice.
func docOneOf(keys []string) string {
	if len(keys) == 1 {
		return keys[0]
	}
	return "exactly one of " + strings.Join(keys, ", ")
}

// docShowDuration writes 30m for Go's 30m0s.
func docShowDuration(nanoseconds int64) string {
	text := time.Duration(nanoseconds).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
