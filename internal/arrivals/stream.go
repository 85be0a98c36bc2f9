package arrivals

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Stream gives the messages of a trace one after the other. Those of an interval
// come at random times in it, as a Poisson process that is known to have given so
// many. The same seed gives the same times.
type Stream struct {
	trace  Trace
	scale  float64
	rand   *rand.Rand
	next   int // interval
	owed   float64
	times  []time.Duration // of the interval, in order
	within int
}

// Stream returns the messages of a trace, each count multiplied by scale.
func (t Trace) Stream(scale float64, seed uint64) *Stream {
	return &Stream{trace: t, scale: scale, rand: rand.New(rand.NewPCG(seed, 0x61727269))}
}

// Next returns when the next message comes, since the trace's start; false after
// the last.
func (s *Stream) Next() (time.Duration, bool) {
	for s.within == len(s.times) {
		if s.next == len(s.trace.Intervals) {
			return 0, false
		}
		s.draw(s.trace.Intervals[s.next])
		s.next++
	}
	at := s.times[s.within]
	s.within++
	return at, true
}

// draw chooses the times of an interval's messages. Fractions are kept for later
// intervals, so that sums are right.
func (s *Stream) draw(i Interval) {
	s.owed += i.Count * s.scale
	n := math.Floor(s.owed + 1e-9)
	s.owed = max(0, s.owed-n)
	s.times, s.within = s.times[:0], 0
	for range int(n) {
		s.times = append(s.times, i.At+time.Duration(s.rand.Int64N(int64(i.Length))))
	}
	slices.Sort(s.times)
}
