package arrivals

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Trace is how many messages came in each of some intervals.
type Trace struct {
	// Start is when the first interval begins.
	Start time.Time
	// Intervals do not overlap and are in order; there is at least one. What lies
	// between two of them is silence.
	Intervals []Interval
}

// Interval is a stretch of time in which Count messages came. Count is finite and
// not below 0; it may be a fraction, as averages are.
type Interval struct {
	At     time.Duration // since the trace's start
	Length time.Duration // more than 0
	Count  float64
}

// mostMessages keeps a trace to what can be simulated, and sums exact.
const mostMessages = 1e12

// Total is how many messages there are.
func (t Trace) Total() float64 {
	sum := 0.0
	for _, i := range t.Intervals {
		sum += i.Count
	}
	return sum
}

// Length is from the start to the end of the last interval.
func (t Trace) Length() time.Duration {
	last := t.Intervals[len(t.Intervals)-1]
	return last.At + last.Length
}

// Cut returns the part of the trace from one time since its start up to another.
// An interval belongs to where it begins. An empty part is an error.
func (t Trace) Cut(from, to time.Duration) (Trace, error) {
	var out Trace
	for _, i := range t.Intervals {
		if i.At < from || i.At >= to {
			continue
		}
		if len(out.Intervals) == 0 {
			out.Start = t.Start.Add(i.At)
			from = i.At
		}
		i.At -= from
		out.Intervals = append(out.Intervals, i)
	}
	if len(out.Intervals) == 0 {
		return Trace{}, fmt.Errorf("expected part of the trace between %s and %s of its %s, found nothing", from, to, t.Length())
	}
	return out, nil
}

// point is one count as a file has it.
type point struct {
	at    time.Time
	count float64
	where string // for errors: "line 7"
}

// build makes a trace of points in any order. Each count is of the time from its
// point to the next; where that is longer than the usual spacing, and after the
// last, of the usual spacing.
func build(points []point) (Trace, error) {
	if len(points) == 0 {
		return Trace{}, errors.New("expected at least one count, found none")
	}
	slices.SortStableFunc(points, func(a, b point) int { return a.at.Compare(b.at) })
	total := 0.0
	for i, p := range points {
		if math.IsNaN(p.count) || math.IsInf(p.count, 0) || p.count < 0 {
			return Trace{}, fmt.Errorf("%s: expected a count of 0 or more, found %v", p.where, p.count)
		}
		if total += p.count; total > mostMessages {
			return Trace{}, fmt.Errorf("%s: expected at most %.0f messages in all, found more", p.where, float64(mostMessages))
		}
		if i > 0 && !p.at.After(points[i-1].at) {
			return Trace{}, fmt.Errorf("%s: expected each time once, found %s again (%s)", p.where, p.at.Format(time.RFC3339), points[i-1].where)
		}
		if span := p.at.Sub(points[0].at); span > mostSpan {
			return Trace{}, fmt.Errorf("%s: expected a trace of at most %d days, found %s, %.0f days after the first", p.where, mostSpan/day, p.at.Format(time.RFC3339), span.Hours()/24)
		}
	}
	usual := spacing(points)
	t := Trace{Start: points[0].at}
	for i, p := range points {
		length := usual
		if i+1 < len(points) {
			length = min(length, points[i+1].at.Sub(p.at))
		}
		t.Intervals = append(t.Intervals, Interval{At: p.at.Sub(t.Start), Length: length, Count: p.count})
	}
	return t, nil
}

const (
	day      = 24 * time.Hour
	mostSpan = 3660 * day
)

// spacing is the median distance of neighbors: a gap in the data does not count. A
// single point is taken for a minute.
func spacing(points []point) time.Duration {
	if len(points) == 1 {
		return time.Minute
	}
	var all []time.Duration
	for i := 1; i < len(points); i++ {
		all = append(all, points[i].at.Sub(points[i-1].at))
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}
