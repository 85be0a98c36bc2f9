package policy

import "time"

// peakSteps is into how many steps a window is divided. A value is remembered
// for at least one window and for less than one step longer.
const peakSteps = 32

// Peak is the recent past of a number: enough of it to tell its maximum over a
// window, in bounded memory. The zero Peak has seen nothing.
type Peak struct {
	// Since is when the number was first seen, with no gap of a whole window
	// after that.
	Since time.Time `json:"since,omitzero"`
	// Values fall in size and rise in time. There are at most peakSteps + 2.
	Values []PeakValue `json:"values,omitempty"`
}

// PeakValue is a value and the end of the step in which it was last seen.
type PeakValue struct {
	At    time.Time `json:"at"`
	Value int       `json:"value"`
}

// Add returns the peak after value was seen at now, forgetting what is older
// than window. The receiver is not changed.
func (p Peak) Add(now time.Time, value int, window time.Duration) Peak {
	out := Peak{Since: p.Since}
	if n := len(p.Values); out.Since.IsZero() || out.Since.After(now) || (n > 0 && now.Sub(p.Values[n-1].At) > window) {
		out.Since = now // or seen again, after nobody looked for a whole window
	}
	at := out.endOfStep(now, window)
	if n := len(p.Values); n > 0 && out.Since.Equal(p.Since) && p.Values[n-1].At.Equal(at) && p.Values[n-1].Value >= value && now.Sub(p.Values[0].At) <= window {
		return p // the same step has seen as much, and nothing is forgotten yet
	}
	for _, v := range p.Values {
		if v.Value > value && now.Sub(v.At) <= window && v.At.Before(at) {
			out.Values = append(out.Values, v)
			continue
		}
		if v.Value > value && !v.At.Before(at) {
			value = v.Value // a larger one in the same step speaks for both
		}
	}
	out.Values = append(out.Values, PeakValue{At: at, Value: value})
	return out
}

// is reports whether the peak is the very same as another, and not one that was seen
// more of.
func (p Peak) is(q Peak) bool {
	return p.Since.Equal(q.Since) && len(p.Values) == len(q.Values) && (len(p.Values) == 0 || &p.Values[0] == &q.Values[0])
}

// endOfStep returns the end of the step that now lies in. Steps are counted
// from Since, so that a clock's monotonic reading survives.
func (p Peak) endOfStep(now time.Time, window time.Duration) time.Time {
	step := window / peakSteps
	if step <= 0 {
		return now
	}
	steps := (now.Sub(p.Since) + step - 1) / step
	return p.Since.Add(steps * step) //nolint:durationcheck // steps is a number
}

// Max returns the largest value seen within window before now, and whether
// there is one.
func (p Peak) Max(now time.Time, window time.Duration) (int, bool) {
	for _, v := range p.Values {
		if now.Sub(v.At) <= window {
			return v.Value, true
		}
	}
	return 0, false
}

// Watched returns for how long the number has been watched; 0 for the zero Peak.
func (p Peak) Watched(now time.Time) time.Duration {
	if p.Since.IsZero() {
		return 0
	}
	return now.Sub(p.Since)
}
