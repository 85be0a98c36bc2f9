package metrics

import (
	"encoding/json"
	"fmt"
	"time"
)

// Reading is a measured value with the time its measurement began, or unknown
// with the reason why. An unknown value is never 0 and never -1.
//
// A source that fails keeps its last known value (a value of bounded age is
// still worth something) and says what went wrong in Problem. Whoever uses the
// reading says how old it may be, see [Reading.At].
//
// The zero Reading is unknown: nothing was read yet.
type Reading[T any] struct {
	value   T
	began   time.Time
	known   bool
	problem string
}

// Known returns a reading of value whose measurement began at began. What
// happened after began may or may not be in the value.
func Known[T any](value T, began time.Time) Reading[T] {
	return Reading[T]{value: value, began: began, known: true}
}

// Unknown returns a reading that has never had a value, and why.
func Unknown[T any](problem string) Reading[T] {
	return Reading[T]{problem: problem}
}

// Failed returns the reading as it stands after one more attempt that failed:
// the last known value and its time stay, problem says what went wrong.
func (r Reading[T]) Failed(problem string) Reading[T] {
	r.problem = problem
	return r
}

// At returns the value as far as it may be used at now: known, and begun no
// longer than maxAge ago. A reading that seems to begin in the future (a clock
// was stepped) counts as begun now. A maxAge of zero or less accepts any age.
func (r Reading[T]) At(now time.Time, maxAge time.Duration) (T, bool) {
	if !r.known || (maxAge > 0 && now.Sub(r.began) > maxAge) {
		var none T
		return none, false
	}
	return r.value, true
}

// Last returns the last known value, however old, and whether there is one.
func (r Reading[T]) Last() (T, bool) { return r.value, r.known }

// Began returns when the measurement of the last known value began; the zero
// time where there is none.
func (r Reading[T]) Began() time.Time { return r.began }

// Problem returns what went wrong in the latest attempt, "" where it succeeded.
func (r Reading[T]) Problem() string { return r.problem }

// Why says in words why the reading can't be used at now, "" where it can.
func (r Reading[T]) Why(now time.Time, maxAge time.Duration) string {
	if _, ok := r.At(now, maxAge); ok {
		return ""
	}
	switch {
	case !r.known && r.problem == "":
		return "not read yet"
	case !r.known:
		return "never read: " + r.problem
	}
	age := now.Sub(r.began).Round(100 * time.Millisecond)
	if r.problem == "" {
		return fmt.Sprintf("last read %s ago, older than the %s allowed", age, maxAge)
	}
	return fmt.Sprintf("last read %s ago: %s", age, r.problem)
}

type readingJSON[T any] struct {
	Value   *T         `json:"value,omitempty"`
	BeganAt *time.Time `json:"beganAt,omitempty"`
	Problem string     `json:"problem,omitempty"`
}

// MarshalJSON writes value and beganAt of a known reading, problem where the
// latest attempt failed; an unknown reading has no value.
func (r Reading[T]) MarshalJSON() ([]byte, error) {
	out := readingJSON[T]{Problem: r.problem}
	if r.known {
		out.Value, out.BeganAt = &r.value, &r.began
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Reading[T]) UnmarshalJSON(data []byte) error {
	var in readingJSON[T]
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*r = Reading[T]{problem: in.Problem}
	if in.Value == nil {
		return nil
	}
	if in.BeganAt == nil {
		return fmt.Errorf("reading has a value but no beganAt: expected both or neither")
	}
	r.value, r.began, r.known = *in.Value, *in.BeganAt, true
	return nil
}
