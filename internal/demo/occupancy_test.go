package demo

import (
	"errors"
	"testing"
	"time"
)

// A life of one server with 10 usable slots.
func TestOccupancy(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := &occupancy{usable: 10}
	take := func(after time.Duration, u used, err error) {
		at = at.Add(after)
		o.record(at, u, err)
	}
	take(0, used{rest: 1}, nil)
	take(100*time.Millisecond, used{workers: 6, other: 3, rest: 1}, nil) // full from here
	take(100*time.Millisecond, used{}, errors.New("no answer"))          // not watched, but full at both ends
	take(100*time.Millisecond, used{workers: 7, other: 3, rest: 1}, nil)
	take(100*time.Millisecond, used{workers: 5, other: 3, rest: 1}, nil) // free again
	take(100*time.Millisecond, used{workers: 6, other: 3, rest: 1}, nil) // full
	take(5*time.Second, used{workers: 5, other: 3, rest: 1}, nil)        // nobody looked for long

	got := o.now()
	want := reading{
		last: used{5, 3, 1}, peak: used{7, 3, 1}, full: 300*time.Millisecond + time.Second,
		failures: 1, failure: "no answer",
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
