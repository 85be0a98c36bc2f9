package redact

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Words replaces texts by words. Make one with [NewWords]; it is for one goroutine.
type Words struct {
	key   []byte
	words map[string]string
	// prefixes are application names of a group, which sessions' names begin with.
	prefixes []string
}

// NewWords returns words of a key: the same key replaces the same text by the same word.
// nil is a key that nobody knows, so that nobody can find out which name a word stands
// for by trying names.
func NewWords(key []byte) *Words {
	if key == nil {
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails, see its documentation
	}
	return &Words{key: key, words: map[string]string{}}
}

// plain are the fields whose texts are Headroom's own words.
var plain = map[string]bool{
	"mode": true, "reason": true, "attribution": true, "strategy": true, "kind": true, "apiVersion": true, "program": true, "region": true,
}

// text replaces what stands in a field.
func (w *Words) text(field, text string) string {
	switch {
	case text == "", text == "*", plain[field], isNumber(text), isTime(text):
		return text
	case field == "problem", field == "sentence", field == "refused", field == "unknown", field == "starting", field == "failure", field == "fallback":
		return "redacted"
	case field == "application" || field == "applicationName":
		return w.application(text)
	case field == "binding": // a database and its limit
		database, limit, _ := strings.Cut(text, " ")
		return w.parts(database) + " " + w.parts(limit)
	}
	return w.parts(text)
}

// application keeps what begins with a workload's application name beginning with
// its word.
func (w *Words) application(text string) string {
	for i, p := range w.prefixes {
		if strings.HasPrefix(text, p) {
			shorter := Words{key: w.key, words: w.words, prefixes: w.prefixes[i+1:]}
			word := shorter.application(p)
			if text == p {
				return word
			}
			return word + w.word(text)
		}
	}
	return w.word(text)
}

// parts replaces what stands between slashes, but for the words in names of limits:
// "server", "server/reserved", "role/NAME".
func (w *Words) parts(text string) string {
	parts := strings.Split(text, "/")
	for i, p := range parts {
		first := i == 0 && (p == "server" || p == "role" || p == "database")
		second := i == 1 && parts[0] == "server" && (p == "reserved" || p == "superuser")
		if !first && !second {
			parts[i] = w.word(p)
		}
	}
	return strings.Join(parts, "/")
}

func (w *Words) word(text string) string {
	if text == "" || isNumber(text) {
		return text
	}
	if word, ok := w.words[text]; ok {
		return word
	}
	h := hmac.New(sha256.New, w.key)
	h.Write([]byte(text))
	word := "x" + hex.EncodeToString(h.Sum(nil)[:8])
	w.words[text] = word
	return word
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
