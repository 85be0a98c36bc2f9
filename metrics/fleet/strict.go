package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxMistakes bounds what one error says.
const maxMistakes = 20

// reader goes once through a JSON text, more strictly than encoding/json, which
// takes unknown, repeated and differently capitalized members and null for
// anything, and tells where in the text a mistake is. It goes on after a mistake,
// so that all are found at once. Its methods read the value that comes next.
type reader struct {
	tokens   *json.Decoder
	mistakes []error
	more     int // mistakes beyond maxMistakes
}

// newReader returns a reader of data, which it checks to be one JSON value, so
// that going through it can't fail for its syntax.
func newReader(data []byte) (*reader, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("expected UTF-8 text, found bytes that are not")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("expected a JSON document, found nothing")
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		var wrong *json.SyntaxError
		if !errors.As(err, &wrong) {
			return nil, fmt.Errorf("expected JSON: %w", err)
		}
		before := data[:min(max(wrong.Offset-1, 0), int64(len(data)))]
		return nil, fmt.Errorf("expected JSON: line %d, column %d: %w", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'), err)
	}
	r := &reader{tokens: json.NewDecoder(bytes.NewReader(data))}
	r.tokens.UseNumber()
	return r, nil
}

// place is where in the document a value is: a member of an object, or an element
// of an array, in another place. nil is the document.
type place struct {
	in    *place
	name  string
	index int // used where name is ""
	array bool
}

func (p *place) member(name string) *place { return &place{in: p, name: name} }
func (p *place) element(index int) *place  { return &place{in: p, index: index, array: true} }

// String returns fleets["shop/orders"].pods[0].uid.
func (p *place) String() string {
	var path string
	for at := p; at != nil; at = at.in {
		plain := at.name != "" && !strings.ContainsFunc(at.name, func(c rune) bool { return (c < 'a' || 'z' < c) && (c < 'A' || 'Z' < c) })
		switch {
		case at.array:
			path = "[" + strconv.Itoa(at.index) + "]" + path
		case !plain:
			path = "[" + strconv.Quote(shorten(at.name)) + "]" + path
		case at.in == nil:
			path = shorten(at.name) + path
		default:
			path = "." + shorten(at.name) + path
		}
	}
	if path == "" {
		return "document"
	}
	return path
}

func (r *reader) mistake(at *place, format string, arguments ...any) {
	if len(r.mistakes) == maxMistakes {
		r.more++
		return
	}
	r.mistakes = append(r.mistakes, fmt.Errorf("%s: "+format, append([]any{at}, arguments...)...))
}

// err returns all mistakes, nil where there is none.
func (r *reader) err() error {
	if r.more > 0 {
		return errors.Join(append(r.mistakes, fmt.Errorf("and %d more", r.more))...)
	}
	return errors.Join(r.mistakes...)
}

// next returns the next token, nil for null and at the end.
func (r *reader) next() json.Token {
	token, err := r.tokens.Token()
	if err != nil {
		return nil // the syntax was checked, so this is the end
	}
	return token
}

// skip passes over the rest of the value that began with token.
func (r *reader) skip(token json.Token) {
	depth := 0
	for {
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return
		}
		token = r.next()
	}
}

// wrong says that the value that began with token is not what was expected, and
// passes over it.
func (r *reader) wrong(at *place, token json.Token, expected string) {
	r.mistake(at, "expected %s, found %s", expected, shown(token))
	r.skip(token)
}

// fields are what an object may hold.
type fields struct{ required, optional []string }

// object reads an object that holds these fields, each once. read reads the value
// of the one it is given, unless it is none of them.
func (r *reader) object(at *place, of fields, read func(name string, at *place)) {
	var found []string
	if !r.members(at, func(name string, at *place) {
		found = append(found, name)
		if !slices.Contains(of.required, name) && !slices.Contains(of.optional, name) {
			known := slices.Sorted(slices.Values(append(slices.Clone(of.required), of.optional...)))
			r.mistake(at, "unknown field; expected one of %s", strings.Join(known, ", "))
			r.skip(r.next())
			return
		}
		read(name, at)
	}) {
		return
	}
	for _, name := range of.required {
		if !slices.Contains(found, name) {
			r.mistake(at.member(name), "expected a value, found none")
		}
	}
}

// members reads an object, each name once, and reports whether it was one. read
// reads the value of the name it is given.
func (r *reader) members(at *place, read func(name string, at *place)) bool {
	if token := r.next(); token != json.Delim('{') {
		r.wrong(at, token, "an object")
		return false
	}
	seen := make(map[string]bool)
	for r.tokens.More() {
		name, _ := r.next().(string)
		if member := at.member(name); seen[name] {
			r.mistake(member, "expected it once, found it again")
			r.skip(r.next())
		} else {
			seen[name] = true
			read(name, member)
		}
	}
	r.next() // the brace
	return true
}

// elements reads an array. read reads one element.
func (r *reader) elements(at *place, read func(at *place)) {
	if token := r.next(); token != json.Delim('[') {
		r.wrong(at, token, "an array")
		return
	}
	for i := 0; r.tokens.More(); i++ {
		read(at.element(i))
	}
	r.next() // the bracket
}

// count reads a number of replicas, connections, …: 0 to 2147483647, as in
// Kubernetes.
func (r *reader) count(at *place) int { return int(r.number(at, r.next(), math.MaxInt32)) }

// number reads token as a whole number from 0 to largest.
func (r *reader) number(at *place, token json.Token, largest int64) int64 {
	if number, ok := token.(json.Number); ok {
		if n, err := strconv.ParseUint(number.String(), 10, 63); err == nil && int64(n) <= largest {
			return int64(n)
		}
	}
	r.wrong(at, token, fmt.Sprintf("a whole number from 0 to %d", largest))
	return 0
}

// share reads a number that is 0 or more.
func (r *reader) share(at *place) float64 {
	token := r.next()
	if number, ok := token.(json.Number); ok {
		if n, err := number.Float64(); err == nil && n >= 0 {
			return n
		}
	}
	r.wrong(at, token, "a number that is 0 or more")
	return 0
}

// text reads a text that isn't empty.
func (r *reader) text(at *place) string {
	token := r.next()
	text, _ := token.(string)
	if text == "" {
		r.wrong(at, token, "a text that is not empty")
	}
	return text
}

// truth reads true or false.
func (r *reader) truth(at *place) bool {
	token := r.next()
	truth, ok := token.(bool)
	if !ok {
		r.wrong(at, token, "true or false")
	}
	return truth
}

// shown says what a token is, shortened.
func shown(token json.Token) string {
	switch token := token.(type) {
	case nil:
		return "null"
	case json.Delim:
		if token == '{' {
			return "an object"
		}
		return "an array"
	case string:
		return strconv.Quote(shorten(token))
	}
	return shorten(fmt.Sprint(token))
}

func shorten(text string) string {
	const longest = 80
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
