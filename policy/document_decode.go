package policy

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keda-headroom/headroom/internal/intorpercent"
)

// docMostValues is how many values are read from one input, counting one that
// an alias repeats as often as it is repeated. A document of 1,000 workloads
// with every field has some 30,000.
const docMostValues = 200_000

// docPlace is where a value stands, and whether it was right.
type docPlace struct {
	line, column int
	wrong        bool
}

// docPlaces are the values that a document gives, by their paths. A path that is
// not there was not given.
type docPlaces map[string]docPlace

// docDecoder reads the nodes of one YAML document into a struct, and collects
// every problem instead of stopping at the first.
type docDecoder struct {
	source   Source
	places   docPlaces
	values   *int // left to be read from the input
	spent    bool // there were none left
	problems []Problem
}

// problem notes one at the place of path.
func (d *docDecoder) problem(code Code, path string, value, rule string, args ...any) {
	at := d.places[path]
	at.wrong = true
	d.places[path] = at
	if len(args) > 0 {
		rule = fmt.Sprintf(rule, args...)
	}
	d.problems = append(d.problems, Problem{
		Severity: SeverityError, Code: code, Where: d.source.Where, Line: at.line, Column: at.column,
		Field: path, Value: value, Rule: rule,
	})
}

// spend counts one value, and reports whether it may still be read.
func (d *docDecoder) spend(path string) bool {
	if *d.values--; *d.values >= 0 {
		return true
	}
	if !d.spent {
		d.spent = true
		d.problem(CodeTooLarge, path, "", "expected at most %d values in one input, counting what aliases repeat", docMostValues)
	}
	return false
}

// value reads n as f into the settable value into.
func (d *docDecoder) value(n *yaml.Node, path string, f docValue, secret string, into reflect.Value) {
	if !d.spend(path) {
		return
	}
	n = docFollow(n)
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
		docInit(into)
	}
	switch f.form {
	case docObject:
		if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
			d.mismatch(n, path, f, secret)
			return
		}
		d.object(n, path, f.shape, secret, into)
	case docList:
		if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
			d.mismatch(n, path, f, secret)
			return
		}
		d.list(n, path, f, secret, into)
	case docMap:
		if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
			d.mismatch(n, path, f, secret)
			return
		}
		d.texts(n, path, f, secret, into)
	default:
		if n.Kind != yaml.ScalarNode || !docScalar(n, f, into) {
			d.mismatch(n, path, f, secret)
		}
	}
}

// docFollow returns what an alias stands for, and any other node itself.
func docFollow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// mismatch says that n is not what was expected of it.
func (d *docDecoder) mismatch(n *yaml.Node, path string, f docValue, secret string) {
	rule := "expected " + f.expected()
	if secret != "" {
		rule += " (" + secret + ")"
	}
	if f.form == docWord && n.Kind == yaml.ScalarNode && n.Style&yaml.TaggedStyle == 0 && n.ShortTag() != "!!str" && n.ShortTag() != "!!null" {
		rule += " (a text that YAML takes for something else needs quotes)"
	}
	d.problem(CodeValue, path, docFound(n, secret != ""), "%s", rule)
}

// object reads the fields of one object.
func (d *docDecoder) object(n *yaml.Node, path string, shape *docShape, secret string, into reflect.Value) {
	first := map[string]int{} // line of each field
	meant := map[string]int{} // the same, with those that were misspelled
	strange := false          // there is a field that is none of them
	merged := false           // there would be more with YAML 1.1
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := docFollow(n.Content[i]), n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.unknown(key, docJoin(path, "?"), "expected the name of a field, found "+docFound(key, true))
			continue
		}
		if key.ShortTag() == "!!merge" {
			d.unknown(key, docJoin(path, "<<"), "merge keys are not read: write the fields out, or repeat a whole value with an alias")
			merged = true
			continue
		}
		field, known := shape.field(key.Value)
		if !known {
			near := d.unknownKey(key, path, shape, secret)
			meant[near] = key.Line
			strange = strange || near == ""
			continue
		}
		where := docJoin(path, field.key)
		if line, again := first[field.key]; again {
			d.unknownAt(key, where, CodeDuplicate, fmt.Sprintf("given twice, first on line %d", line))
			continue
		}
		first[field.key], meant[field.key] = key.Line, key.Line
		d.places[where] = docPlace{line: key.Line, column: key.Column}
		hidden := secret
		if field.secret != "" {
			hidden = field.secret
		}
		d.value(value, where, field.docValue, hidden, into.Field(field.index))
	}
	if !merged {
		d.missing(path, shape, meant, strange)
	}
}

// missing says which fields of an object had to be given and were not, and which
// choices were not made or made twice. A choice that was not made is not worth a
// word beside a strange field: that was the choice.
func (d *docDecoder) missing(path string, shape *docShape, given map[string]int, strange bool) {
	for _, f := range shape.fields {
		if _, ok := given[f.key]; f.required && !ok {
			d.absent(path, f.key, fmt.Sprintf("required: expected %s", f.expected()))
		}
	}
	for _, keys := range shape.choices() {
		var chosen []string
		for _, key := range keys {
			if _, ok := given[key]; ok {
				chosen = append(chosen, key)
			}
		}
		switch {
		case len(chosen) == 0 && strange:
		case len(chosen) == 0 && len(keys) == 1:
			f, _ := shape.field(keys[0])
			d.absent(path, keys[0], fmt.Sprintf("required: expected %s", f.expected()))
		case len(chosen) == 0:
			d.problem(CodeRequired, path, "none of them", "expected %s", docOneOf(keys))
		case len(chosen) > 1:
			d.problem(CodeRequired, docJoin(path, chosen[1]), strings.Join(chosen, " and "), "expected %s", docOneOf(keys))
		}
	}
}

// absent says that a field is not there, at the place of its object.
func (d *docDecoder) absent(path, key, rule string) {
	d.places[docJoin(path, key)] = d.places[path]
	d.problem(CodeRequired, docJoin(path, key), "", "%s", rule)
}

// unknownKey says that an object has no such field, and returns which was
// probably meant.
func (d *docDecoder) unknownKey(key *yaml.Node, path string, shape *docShape, secret string) string {
	near := docNearest(key.Value, shape.keys())
	name := docShowKey(key.Value, secret != "" && near == "")
	if near != "" {
		d.unknown(key, docJoin(path, name), fmt.Sprintf("unknown field; did you mean %s?", near))
		return near
	}
	rule := "unknown field; known here: " + strings.Join(shape.keys(), ", ")
	if secret != "" {
		rule += " (" + secret + ")"
	}
	d.unknown(key, docJoin(path, name), rule)
	return ""
}

func (d *docDecoder) unknown(key *yaml.Node, path, rule string) {
	d.unknownAt(key, path, CodeUnknownField, rule)
}

// unknownAt notes a problem of a key that is not read.
func (d *docDecoder) unknownAt(key *yaml.Node, path string, code Code, rule string) {
	if !d.spend(path) {
		return
	}
	d.problems = append(d.problems, Problem{
		Severity: SeverityError, Code: code, Where: d.source.Where, Line: key.Line, Column: key.Column,
		Field: path, Rule: rule,
	})
}

// list reads the items of one list.
func (d *docDecoder) list(n *yaml.Node, path string, f docValue, secret string, into reflect.Value) {
	if count := int64(len(n.Content)); count < f.least || count > f.most {
		d.problem(CodeValue, path, strconv.FormatInt(count, 10), "expected %d to %d items", f.least, f.most)
		if count > f.most {
			return
		}
	}
	items := reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		where := fmt.Sprintf("%s[%d]", path, i)
		d.places[where] = docPlace{line: item.Line, column: item.Column}
		docInit(items.Index(i))
		d.value(item, where, *f.item, secret, items.Index(i))
	}
	into.Set(items)
}

// texts reads the members of a map of texts. Its names are the author's own, so
// that any may stand there once that obeys the rule for names.
func (d *docDecoder) texts(n *yaml.Node, path string, f docValue, secret string, into reflect.Value) {
	if count := int64(len(n.Content) / 2); count < f.least || count > f.most {
		d.problem(CodeValue, path, strconv.FormatInt(count, 10), "expected %d to %d members", f.least, f.most)
		if count > f.most {
			return
		}
	}
	members := reflect.MakeMapWithSize(into.Type(), len(n.Content)/2)
	first := map[string]int{} // line of each name
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := docFollow(n.Content[i])
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" || !f.names.obeyed(key.Value) {
			d.unknownAt(key, docJoin(path, "?"), CodeValue, "expected "+f.names.expected+", found "+docFound(key, secret != ""))
			continue
		}
		where := docJoin(path, key.Value) // it obeys its rule: it is a name
		if line, again := first[key.Value]; again {
			d.unknownAt(key, where, CodeDuplicate, fmt.Sprintf("given twice, first on line %d", line))
			continue
		}
		first[key.Value] = key.Line
		d.places[where] = docPlace{line: key.Line, column: key.Column}
		value := reflect.New(into.Type().Elem()).Elem()
		d.value(n.Content[i+1], where, docValue{form: docWord, text: f.text}, secret, value)
		members.SetMapIndex(reflect.ValueOf(key.Value), value)
	}
	into.Set(members)
}

// docInit gives a value its defaults, and those of the objects in it.
func docInit(v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	if with, ok := v.Addr().Interface().(docDefaulter); ok {
		with.setDefaults()
	}
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("field") != "" {
			docInit(v.Field(i))
		}
	}
}

// docScalar reads one scalar, and reports whether it obeys its rule. A value is
// set only if it does.
func docScalar(n *yaml.Node, f docValue, into reflect.Value) bool {
	tag := n.ShortTag()
	switch f.form {
	case docWhole:
		whole, ok := docReadWhole(n)
		if !ok || whole < f.least || whole > f.most {
			return false
		}
		into.SetInt(whole)
	case docNumber:
		number, ok := docReadNumber(n)
		if !ok || number < float64(f.least)/docThousand || number > float64(f.most)/docThousand {
			return false
		}
		into.SetFloat(number)
	case docShare:
		share, ok := docReadShare(n, f)
		if !ok {
			return false
		}
		into.Set(reflect.ValueOf(share))
	case docDuration:
		length, ok := docReadDuration(n)
		if !ok || int64(length) < f.least || int64(length) > f.most {
			return false
		}
		into.SetInt(int64(length))
	case docFlag:
		if tag != "!!bool" || n.Value != "true" && n.Value != "false" {
			return false
		}
		into.SetBool(n.Value == "true")
	case docWord:
		if tag != "!!str" || !f.text.obeyed(n.Value) {
			return false
		}
		into.SetString(n.Value)
	default:
		return false
	}
	return true
}

// docWholePattern leaves out what YAML versions disagree on: 010 is 8 or 10,
// 1_000 is a number or a text, 1e3 is an integer or not.
var docWholePattern = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

func docReadWhole(n *yaml.Node) (int64, bool) {
	if n.ShortTag() != "!!int" || !docWholePattern.MatchString(n.Value) {
		return 0, false
	}
	whole, err := strconv.ParseInt(n.Value, 10, 64)
	return whole, err == nil
}

// docNumberPattern is as narrow: no exponents, no infinity.
var docNumberPattern = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)

func docReadNumber(n *yaml.Node) (float64, bool) {
	if tag := n.ShortTag(); tag != "!!int" && tag != "!!float" || !docNumberPattern.MatchString(n.Value) {
		return 0, false
	}
	number, err := strconv.ParseFloat(n.Value, 64)
	return number, err == nil
}

var docPercentPattern = regexp.MustCompile(`^(0|[1-9][0-9]{0,2})%$`)

func docReadShare(n *yaml.Node, f docValue) (intorpercent.Value, bool) {
	if whole, ok := docReadWhole(n); ok {
		return intorpercent.Count(int(whole)), whole >= f.least && whole <= f.most
	}
	if n.ShortTag() != "!!str" || !docPercentPattern.MatchString(n.Value) {
		return intorpercent.Value{}, false
	}
	percent, err := strconv.Atoi(strings.TrimSuffix(n.Value, "%"))
	return intorpercent.Percent(percent), err == nil && int64(percent) <= f.percent
}

// docDurationPattern is what Go reads, without signs and with the units that
// anybody uses here.
var docDurationPattern = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`)

func docReadDuration(n *yaml.Node) (time.Duration, bool) {
	if n.ShortTag() != "!!str" || !docDurationPattern.MatchString(n.Value) {
		return 0, false
	}
	length, err := time.ParseDuration(n.Value)
	return length, err == nil
}

// docJoin is the path of the field key of the object at path.
func docJoin(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
