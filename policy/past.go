package policy

import "time"

// past is what came up to some time: a part of the interval that the time is in, and
// all before it, oldest first.
type past struct {
	before []Interval
	part   Interval
}

// until is what of the flow came up to t.
func (f *Flow) until(t time.Time) past {
	skip := f.At.Sub(t).Seconds()
	came := f.Came
	for skip > 0 && len(came) > 0 {
		last := came[len(came)-1]
		if last.Seconds > skip+0.001 {
			part := 1 - skip/last.Seconds
			return past{came[:len(came)-1], Interval{Seconds: last.Seconds * part, Messages: last.Messages * part, Done: last.Done * part}}
		}
		skip -= last.Seconds
		came = came[:len(came)-1]
	}
	return past{before: came}
}

// newest returns the i-th interval counted from the newest, which is the part.
func (p past) newest(i int) Interval {
	if i == 0 {
		return p.part
	}
	return p.before[len(p.before)-i]
}

// back goes back until n messages have come since, and returns how many seconds that
// is, and how many seconds one more message takes there. reached is false where not so
// many were seen to come.
func (p past) back(n float64) (seconds, slope float64, reached bool) {
	for i := range len(p.before) + 1 {
		in := p.newest(i)
		if in.Messages >= n && in.Messages > 0 {
			return seconds + in.Seconds*(n/in.Messages), in.Seconds / in.Messages, true
		}
		n -= in.Messages
		seconds += in.Seconds
	}
	return seconds, 0, false
}

// cameIn is how many messages came in the last seconds.
func (p past) cameIn(seconds float64) float64 {
	sum := 0.0
	for i := 0; i <= len(p.before) && seconds > 0; i++ {
		in := p.newest(i)
		if in.Seconds > 0 {
			sum += in.Messages * min(1, seconds/in.Seconds)
		}
		seconds -= in.Seconds
	}
	return sum
}

// oldestOf is the age of the oldest of n messages at the end.
func (p past) oldestOf(n float64) (float64, bool) {
	if n < 0.5 {
		return 0, true
	}
	age, _, reached := p.back(max(0.5, n-0.5))
	return age, reached
}

// back is that of all that came up to At.
func (f *Flow) back(n float64) (seconds, slope float64, reached bool) {
	return past{before: f.Came}.back(n)
}

// cameIn is that of all that came up to At.
func (f *Flow) cameIn(seconds float64) float64 { return past{before: f.Came}.cameIn(seconds) }
