package replay

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// RandomKey is a key for [Redact] that nobody knows, so that nobody can find out
// which name a word stands for by trying names.
func RandomKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, see its documentation
	return key
}

// Redact writes a recording to another directory, which must be empty or missing,
// with every text replaced that is not a number, a time or a word of Headroom's own;
// by the same word every time. Decisions are made again from what was replaced, so
// that the recording can be replayed as the original can. It returns how many
// decisions were written.
//
// Keys of the same key replace the same text by the same word.
func Redact(from, to string, begin, end time.Time, key []byte) (n int, err error) {
	reader, err := recording.OpenReader(from)
	if err != nil {
		return 0, err
	}
	if entries, err := os.ReadDir(to); err == nil && len(entries) > 0 {
		return 0, fmt.Errorf("--redact: expected a directory that is empty or missing, found %d files in %s", len(entries), to)
	}
	recorder, err := recording.Open(recording.Options{Dir: to, MaxBytes: math.MaxInt64 / 64, Queue: flushEvery + 1, SegmentBytes: recording.DefaultSegmentBytes})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, recorder.Close()) }()
	r := redactor{key: key, words: map[string]string{}}
	for record, err := range reader.Records(begin, end) {
		var damage *recording.DamageError
		if errors.As(err, &damage) {
			continue // the next segment is whole
		}
		if err != nil {
			return n, err
		}
		if record, err = r.record(record); err != nil {
			return n, err
		}
		plan, _ := policy.Decide(record.At, record.Group, record.Snapshot, record.Ledger)
		recorder.Record(record.At, record.Group, record.Snapshot, record.Ledger, plan)
		if n++; n%flushEvery == 0 {
			recorder.Flush()
		}
	}
	if stats := recorder.Stats(); stats.Problem != "" || stats.Dropped > 0 {
		return n, fmt.Errorf("%d decisions could not be written: %s", stats.Dropped, stats.Problem)
	}
	return n, nil
}

const flushEvery = 200

// redactor replaces texts.
type redactor struct {
	key   []byte
	words map[string]string
	// prefixes are application names of the group, which sessions' names begin with.
	prefixes []string
}

func (r *redactor) record(in recording.Record) (out recording.Record, err error) {
	r.prefixes = r.prefixes[:0]
	for _, w := range in.Group.Workloads {
		for _, u := range w.Databases {
			if u.ApplicationName != "" && !slices.Contains(r.prefixes, u.ApplicationName) {
				r.prefixes = append(r.prefixes, u.ApplicationName)
			}
		}
	}
	slices.SortFunc(r.prefixes, func(a, b string) int { return len(b) - len(a) })
	text, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return out, err
	}
	if text, err = json.Marshal(r.walk("", tree)); err != nil {
		return out, err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("redact a decision of %s: %w", in.At.Format(time.RFC3339), err)
	}
	r.sort(&out)
	return out, nil
}

// sort brings a group into the order that it has to be in.
func (r *redactor) sort(out *recording.Record) {
	slices.SortFunc(out.Group.Databases, func(a, b policy.Database) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(out.Group.Workloads, func(a, b policy.Workload) int { return a.ID.Compare(b.ID) })
	for _, w := range out.Group.Workloads {
		slices.SortFunc(w.Databases, func(a, b policy.Use) int { return a.Database.Compare(b.Database) })
	}
}

// plain are the fields whose texts are Headroom's own words.
var plain = map[string]bool{
	"mode": true, "reason": true, "attribution": true, "strategy": true, "kind": true, "apiVersion": true, "program": true, "region": true,
}

// walk replaces what is in a JSON value that stands in a field.
func (r *redactor) walk(field string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out[r.name(k)] = r.walk(k, v[k])
		}
		return out
	case []any:
		for i := range v {
			v[i] = r.walk(field, v[i])
		}
		return v
	case string:
		return r.text(field, v)
	}
	return v
}

// name replaces a key of a map. Names of fields stay: they are camelCase words that
// no map of names has, for those are all of NAMESPACE/NAME, of pods' UIDs, or of
// limits.
func (r *redactor) name(k string) string {
	if isField[k] {
		return k
	}
	return r.parts(k)
}

func (r *redactor) text(field, text string) string {
	switch {
	case text == "", text == "*", plain[field], isNumber(text), isTime(text):
		return text
	case field == "problem", field == "sentence", field == "refused":
		return "redacted"
	case field == "application" || field == "applicationName":
		return r.application(text)
	}
	return r.parts(text)
}

// application keeps what begins with a workload's application name beginning with
// its word.
func (r *redactor) application(text string) string {
	for i, p := range r.prefixes {
		if strings.HasPrefix(text, p) {
			shorter := redactor{key: r.key, words: r.words, prefixes: r.prefixes[i+1:]}
			word := shorter.application(p)
			if text == p {
				return word
			}
			return word + r.word(text)
		}
	}
	return r.word(text)
}

// parts replaces what stands between slashes, but for the words in names of limits:
// "server", "server/reserved", "role/NAME".
func (r *redactor) parts(text string) string {
	parts := strings.Split(text, "/")
	for i, p := range parts {
		first := i == 0 && (p == "server" || p == "role" || p == "database")
		second := i == 1 && parts[0] == "server" && (p == "reserved" || p == "superuser")
		if !first && !second {
			parts[i] = r.word(p)
		}
	}
	return strings.Join(parts, "/")
}

func (r *redactor) word(text string) string {
	if text == "" || isNumber(text) {
		return text
	}
	if w, ok := r.words[text]; ok {
		return w
	}
	h := hmac.New(sha256.New, r.key)
	h.Write([]byte(text))
	w := "x" + hex.EncodeToString(h.Sum(nil)[:8])
	r.words[text] = w
	return w
}

// isNumber is true of what has digits only, and fewer than the number of an account
// has. It may be a percentage.
func isNumber(text string) bool {
	digits := strings.TrimSuffix(text, "%")
	return digits != "" && len(digits) < 12 && strings.Trim(digits, "0123456789") == ""
}

func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339Nano, text)
	return err == nil
}
