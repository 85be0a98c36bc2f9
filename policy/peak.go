package policy

import "time"

// peakSteps is into how many steps a window is divided. A value is remembered
// for at least one window and at most one step longer.
const peakSteps = 32

// Peak is the recent past of a number: enough of it to tell its maximum over a
// window. The zero Peak has seen nothing.
type Peak struct {
	// Since is when the number was first seen in an unbroken watch.
	Since time.Time `json:"since,omitzero"`
	// Values fall in size and rise in time: each is the largest seen from its
	// time on.
	Values []PeakValue `json:"values,omitempty"`
}

// PeakValue is a value and the last time it was seen.
type PeakValue struct {
	At    time.Time `json:"at"`
	Value int       `json:"value"`
}

// Add returns the peak after value was seen at now, forgetting what is older
// than window. The receiver is not changed.
func (p Peak) Add(now time.Time, value int, window time.Duration) Peak {
	step := window / peakSteps
	out := Peak{Since: p.Since}
	if out.Since.IsZero() || out.Since.After(now) {
		out.Since = now
	}
	for _, v := range p.Values {
		if v.Value <= value || now.Sub(v.At) > window+step {
			continue // hidden behind the new value, or forgotten
		}
		// Values within one step of each other share the larger one's place and
		// the later one's time: bounded memory, never forgetting too early.
		if n := len(out.Values); n > 0 && v.At.Sub(out.Values[n-1].At) < step {
			out.Values[n-1].At = v.At
			continue
		}
		out.Values = append(out.Values, v)
	}
	out.Values = append(out.Values, PeakValue{At: now, Value: value})
	return out
}

// Max returns the largest value seen within window before now, and whether
// there is one.
func (p Peak) Max(now time.Time, window time.Duration) (int, bool) {
	for _, v := range p.Values {
		if now.Sub(v.At) <= window+window/peakSteps {
			return v.Value, true
		}
	}
	return 0, false
}

// Watched returns for how long the number has been watched.
func (p Peak) Watched(now time.Time) time.Duration {
	if p.Since.IsZero() {
		return 0
	}
	return now.Sub(p.Since)
}
