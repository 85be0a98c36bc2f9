package policy

import (
	"math"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// Flow is the recent past of one queue, as far as its depth and CloudWatch tell:
// when the messages came that are in it. It is kept for workloads with an
// objective ([SQS.MaxMessageAge]), and bounded in size. The zero Flow has seen
// nothing.
type Flow struct {
	// At is when the last reading of the depth that is in here began, and Queue what
	// it said.
	At    time.Time     `json:"at,omitzero"`
	Queue metrics.Queue `json:"queue"`
	// EmptyAt is when a reading last found nothing, zero before the first, and
	// EmptySince since when all have; zero while there is something.
	EmptyAt    time.Time `json:"emptyAt,omitzero"`
	EmptySince time.Time `json:"emptySince,omitzero"`
	// Came is what came up to At, in adjacent intervals, oldest first, at most
	// flowIntervals. Assumed says that the first of them was not watched: its
	// messages were in the queue before, and CloudWatch told how old they were.
	Came    []Interval `json:"came,omitempty"`
	Assumed bool       `json:"assumed,omitempty"`
	// Minutes are the latest minutes of the clock, oldest first, at most
	// flowMinutes: of which CloudWatch may still publish something.
	Minutes []FlowMinute `json:"minutes,omitempty"`
	// Service is for how long a message is in flight, in seconds, on average over
	// the latest minutes that CloudWatch published; 0 before the first.
	Service float64 `json:"service,omitempty"`
	// ServiceDoubt is the variance of that, as a share of its square.
	ServiceDoubt float64 `json:"serviceDoubt,omitempty"`
	// Falls is how many messages are done in each second that one is in flight,
	// judged by how fast the depth fell at its fastest: what is left to go by without
	// CloudWatch. 0 before the first fall.
	Falls float64 `json:"falls,omitempty"`
	// Rates are what ready pods got done while work waited for them.
	Rates []Rate `json:"rates,omitempty"`
	// Groups is the recent past of how many message groups of a FIFO queue were in
	// flight at once, and GroupsShort when consumers were last seen to find none.
	Groups      Peak      `json:"groups,omitzero"`
	GroupsShort time.Time `json:"groupsShort,omitzero"`
	// Startups are the latest times that pods took to become ready, in seconds.
	Startups []float64 `json:"startups,omitempty"`
	// Asks are what the objective asked for lately: pods that may be on their way.
	Asks []Ask `json:"asks,omitempty"`
	// Ready is how many pods were ready all the time between the last two readings.
	Ready int `json:"ready,omitempty"`
	// Resumed says that the flow was kept over a restart: nobody watched from At to the
	// next reading.
	Resumed bool `json:"resumed,omitempty"`
}

// Interval is a stretch of time in which Messages came and Done were done, both
// estimated until CloudWatch tells.
type Interval struct {
	Seconds  float64 `json:"s"`
	Messages float64 `json:"n,omitempty"`
	Done     float64 `json:"d,omitempty"`
	// Seen is how many came by this interval's readings alone, which may be fewer than
	// none, and Unsure the variance of that; both zero where it matters no longer.
	Seen   float64 `json:"w,omitempty"`
	Unsure float64 `json:"v,omitempty"`
}

// FlowMinute is what readings tell of one minute of the clock.
type FlowMinute struct {
	Start time.Time `json:"start"`
	// Left is how many messages there were at Start.
	Left float64 `json:"left"`
	// Covered is how many seconds of the minute lie between readings, and Unwatched how
	// many between the last reading before a restart and the first after it. What came in
	// those can be told later; nothing else can be learned of them.
	Covered   float64 `json:"covered"`
	Unwatched float64 `json:"unwatched,omitempty"`
	// Flight is the time that messages were in flight, Pods the time that pods were
	// ready, both in seconds, summed.
	Flight float64 `json:"flight,omitempty"`
	Pods   float64 `json:"pods,omitempty"`
	// Unsure is the variance of Flight: how many were in flight between two readings
	// that found it changed nobody knows.
	Unsure float64 `json:"unsure,omitempty"`
	// Waiting is the fewest messages that any reading found visible.
	Waiting int64 `json:"waiting,omitempty"`
	// Readings is how many readings began in the minute.
	Readings int `json:"readings,omitempty"`
	// Used says that Flow.Service and Flow.Rates have what is to be learned of it.
	Used bool `json:"used,omitempty"`
}

// Bounds of a Flow, and what it forgets.
const (
	flowIntervals = 64
	flowMinutes   = 12
	flowGap       = time.Hour // after a longer one nothing of before is of use
	flowMinute    = time.Minute
)

// silence is how many messages must be missing in flight, over as many readings as it
// takes, until nothing comes: by chance alone that is seen once in e^silence times.
const silence = 3

// flowFallHalfLife is in what time the fastest fall counts for half.
const flowFallHalfLife = 10 * time.Minute

// most is what counts of messages are cut to: far above what a queue holds, and
// small enough for sums.
const flowMost = math.MaxInt64 / 16

// depth is every message of the queue, in whatever state.
func depth(q metrics.Queue) float64 {
	n := 0.0
	for _, count := range []int64{q.Visible, q.InFlight, q.Delayed} {
		n += float64(min(max(count, 0), flowMost))
	}
	return n
}

// FlowVersion is raised whenever [Flow.Next] comes to other results than before.
const FlowVersion = 1

// Next returns the flow after one more reading of the depth, which began at began, while
// ready pods had been ready all the time since the one before, and with what CloudWatch
// has published by then. But for a restart ([Flow.Resume]) nothing else changes At, Came,
// Minutes and what is learned from them. A reading that is in here already changes
// nothing. The same comes of the same wherever it is made: so a recording need not keep it.
func (f Flow) Next(q metrics.Queue, began time.Time, ready int, points metrics.Points, s SQS) Flow {
	f.Came, f.Minutes = ofOnesOwn(f.Came), ofOnesOwn(f.Minutes) // what f refers to stays
	f.observe(q, began, ready, s.SecondsPerMessage)
	f.learn(points, q.FIFO, s.Concurrency, s.SecondsPerMessage)
	return f
}

// ofOnesOwn returns a copy that has room for what one reading adds.
func ofOnesOwn[T any](all []T) []T {
	if all == nil {
		return nil
	}
	return append(make([]T, 0, len(all)+4), all...)
}

// observe takes one more reading of the depth in, which began at began; pods is how many
// were ready all the time since the one before, perMessage for how many seconds the
// policy says that one works on a message, 0 where it says nothing. A reading that is
// in here already changes nothing.
func (f *Flow) observe(q metrics.Queue, began time.Time, pods int, perMessage float64) {
	began = began.Round(0) // minutes are those of the wall clock
	if set := f.At.Sub(began) > flowClockSkew; set {
		f.At, f.EmptyAt, f.EmptySince = time.Time{}, time.Time{}, time.Time{} // the clock was set back
	} else if !began.After(f.At) {
		return
	}
	f.Ready = pods
	switch {
	case depth(q) > 0:
		f.EmptySince = time.Time{}
	case f.EmptySince.IsZero():
		f.EmptyAt, f.EmptySince = began, began
	default:
		f.EmptyAt = began
	}
	since := began.Sub(f.At)
	if f.At.IsZero() || since > flowGap || f.Resumed && since > flowKeptGap {
		f.Came, f.Minutes, f.Assumed = nil, nil, false
		f.At, f.Queue, f.Resumed = began, q, false
		return
	}
	seconds := since.Seconds()
	flight := (inFlight(f.Queue) + inFlight(q)) / 2 * seconds
	grown := depth(q) - depth(f.Queue)
	unwatched := f.Resumed || since > flowKeptGap
	if unwatched {
		f.Falls = f.fell(0, 0, seconds)
	} else {
		f.Falls = f.fell(-grown, flight, seconds)
	}
	unsure := math.Pow((inFlight(q)-inFlight(f.Queue))*seconds/2, 2) / 3 // of something between the two, all alike
	came, seen, doubt := f.came(grown, flight, unsure, seconds, perMessage, f.Queue.Visible <= 0 || q.Visible <= 0)
	done := came - grown
	f.divide(q, began, func(share float64) (Interval, FlowMinute) {
		i := Interval{Seconds: seconds * share, Messages: came * share, Done: done * share, Seen: seen * share, Unsure: doubt * share}
		if unwatched {
			return i, FlowMinute{Unwatched: seconds * share}
		}
		return i, FlowMinute{Covered: seconds * share, Flight: flight * share, Unsure: unsure * share, Pods: float64(pods) * seconds * share}
	})
	f.At, f.Queue, f.Resumed = began, q, false
	f.thin()
}

// came is how many messages came in so many seconds in which the depth grew by
// grown, and about done were done. Where much is done, little that comes is lost in
// what is not known of that: then as many come as before, unless what is seen can't
// be explained by that. seen is what these readings tell alone, and variance that of it.
func (f *Flow) came(grown, flight, unsure, seconds, perMessage float64, idle bool) (came, seen, variance float64) {
	per := f.completions(perMessage)
	done := flight * per
	seen = grown + done
	rate, doubt := f.arrivals(perMessage)
	before := max(rate*seconds, grown)
	variance = unsure*per*per + done/4 + 1
	if idle {
		// How many are in flight is chance then, and two looks tell little of it.
		variance += seconds * seconds * rate * per / 2
	}
	if n := len(f.Came); n > 0 && !f.EmptySince.IsZero() && grown == 0 {
		empty := f.At.Sub(f.EmptySince).Seconds()
		if empty*rate > silence*seconds*per || empty > 0 && f.Came[n-1].Messages == 0 {
			return 0, 0, variance // it has fallen silent, or has been
		}
	}
	noise := math.Pow(f.doubt(perMessage)*done, 2) + variance
	usual := math.Pow(doubt*seconds, 2) + math.Pow(0.2*before, 2) + before
	came = max(0, seen, grown)
	if math.Abs(came-before) <= 3*math.Sqrt(noise+before) {
		came = before + (came-before)*usual/(usual+noise)
	}
	return came, seen, variance + came
}

// doubt is how far completions may be off, as a share.
func (f *Flow) doubt(perMessage float64) float64 {
	switch {
	case f.Service > 0:
		return min(max(math.Sqrt(f.ServiceDoubt), ageMeasured), ageGuessed)
	case perMessage > 0:
		return ageStated
	}
	return ageGuessed
}

func inFlight(q metrics.Queue) float64 { return float64(min(max(q.InFlight, 0), flowMost)) }

// divide gives each minute of the clock its share of what was between the last
// reading and the one that began at began.
func (f *Flow) divide(q metrics.Queue, began time.Time, part func(share float64) (Interval, FlowMinute)) {
	whole := began.Sub(f.At)
	waiting := min(max(0, f.Queue.Visible), max(0, q.Visible))
	for from := f.At; from.Before(began); {
		start := from.Truncate(flowMinute)
		to := start.Add(flowMinute)
		if to.After(began) {
			to = began
		}
		i, m := part(float64(to.Sub(from)) / float64(whole))
		f.Came = append(f.Came, i)
		if n := len(f.Minutes); n == 0 || !f.Minutes[n-1].Start.Equal(start) {
			passed := float64(from.Sub(f.At)) / float64(whole)
			f.Minutes = append(f.Minutes, FlowMinute{Start: start, Waiting: waiting, Left: depth(f.Queue) + passed*(depth(q)-depth(f.Queue))})
		}
		last := &f.Minutes[len(f.Minutes)-1]
		last.Covered += m.Covered
		last.Unwatched += m.Unwatched
		last.Flight += m.Flight
		last.Unsure += m.Unsure
		last.Pods += m.Pods
		last.Waiting = min(last.Waiting, waiting)
		if to.Equal(began) {
			last.Readings++
		}
		from = to
	}
	if n := len(f.Minutes); n > flowMinutes {
		f.Minutes = slices.Delete(f.Minutes, 0, n-flowMinutes)
	}
}

// completions is how many messages are done in each second that one is in flight
// (Little's law), by the best that is known.
func (f *Flow) completions(perMessage float64) float64 {
	switch {
	case f.Service > 0:
		return 1 / f.Service
	case perMessage > 0:
		return 1 / perMessage
	}
	return f.Falls
}

// fell renews Falls after the depth fell so many messages.
func (f *Flow) fell(messages, flight, seconds float64) float64 {
	slower := f.Falls * math.Exp2(-seconds/flowFallHalfLife.Seconds())
	if messages <= 0 || flight <= 0 {
		return slower
	}
	return max(slower, min(messages/flight, 1000))
}

// age is how long before At the interval i ends, in seconds, for every interval,
// and at last how long before At the first begins.
func (f *Flow) ages() []float64 {
	ages := make([]float64, len(f.Came)+1)
	age := 0.0
	for i := len(f.Came) - 1; i >= 0; i-- {
		ages[i] = age
		age += f.Came[i].Seconds
	}
	ages[len(f.Came)] = age
	return ages
}

// thin merges and forgets intervals until there are no more than flowIntervals.
// Those are merged whose merging moves the messages between them least, in
// proportion to their age. A minute that CloudWatch may still correct keeps its
// ends.
func (f *Flow) thin() {
	ends := f.ends()
	for len(f.Came) > flowIntervals {
		best, least, age := 0, math.Inf(1), 0.0
		for i := len(f.Came) - 2; i >= 0; i-- {
			a, b := f.Came[i], f.Came[i+1]
			age += b.Seconds // before At a ended
			if !ends.mergeable(age) {
				continue
			}
			moved := 0.0
			if both := a.Messages + b.Messages; both > 0 {
				moved = math.Abs(a.Seconds - (a.Seconds+b.Seconds)*(a.Messages/both))
			}
			if cost := moved / (age + 5); cost <= least && cost < math.Inf(1) {
				best, least = i, cost
			}
		}
		a, b := f.Came[best], f.Came[best+1]
		f.Came[best] = Interval{Seconds: a.Seconds + b.Seconds, Messages: a.Messages + b.Messages, Done: a.Done + b.Done}
		f.Came = slices.Delete(f.Came, best+1, best+2)
		if best == 0 {
			f.Assumed = false
		}
	}
}

// ends are where intervals end that must not be merged, in nanoseconds since 1970.
type ends struct {
	at     int64 // of the flow
	oldest int64 // of the first minute that matters, and a little before
}

func (f *Flow) ends() ends {
	e := ends{at: f.At.UnixNano(), oldest: math.MinInt64}
	if len(f.Minutes) > 0 {
		e.oldest = f.Minutes[0].Start.Add(-time.Second).UnixNano()
	}
	return e
}

// mergeable reports whether the interval that ended age seconds before the flow may be
// merged with the next: no minute begins between them, or none that matters.
func (e ends) mergeable(age float64) bool {
	ended := e.at - int64(age*float64(time.Second))
	if ended < e.oldest {
		return true
	}
	since := time.Duration(ended) % flowMinute // since a minute of the clock began
	return min(since, flowMinute-since) > time.Millisecond
}
