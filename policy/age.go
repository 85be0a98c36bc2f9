package policy

import (
	"math"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// AgePlan is how old the oldest message of a queue is, estimated between
// CloudWatch's points.
//
// Messages are done about in the order in which they came. So of N messages in the
// queue the oldest is the one that came N messages ago, whatever was done since:
// the estimate is where the latest arrivals, counted backwards, reach N. What
// came in a minute CloudWatch tells minutes later. Until then it is what the depth
// grew by, plus what was done: the messages in flight divided by the time that one is
// in flight (Little's law).
type AgePlan struct {
	// Known is false where nothing tells: messages that were in the queue before
	// anybody looked, and no point of CloudWatch.
	Known bool `json:"known"`
	// Seconds is the estimate at the time of the decision. Messages that CloudWatch's
	// ApproximateAgeOfOldestMessage leaves out are left out: on a standard queue
	// those received three times or more.
	Seconds float64 `json:"seconds"`
	// Uncertainty is by how many seconds it may be wrong, 19 times out of 20, by the
	// estimate's own account.
	Uncertainty float64 `json:"uncertainty"`
	// DataAge is how many seconds ago the latest minute ended that CloudWatch has
	// published something of; 0 where there is none (DataKnown is false then).
	DataAge   float64 `json:"dataAge,omitempty"`
	DataKnown bool    `json:"dataKnown,omitempty"`
	// Poison is about how many of the messages CloudWatch leaves out.
	Poison float64 `json:"poison,omitempty"`
}

// How far what is done may be off, as a share, where the time in flight is measured
// (at least), stated by the policy, or guessed from the depth alone.
const (
	ageMeasured = 0.05
	ageStated   = 0.2
	ageGuessed  = 0.5
)

// ageRounding is what share of the messages may be one too many, so that the oldest
// of a burst is not looked for in the quiet before it.
const ageRounding = 0.01

// ageTolerance is by how many seconds a point and the estimate may differ and
// still say the same: CloudWatch cuts fractions off, and doesn't say when in the
// minute it looked.
const ageTolerance = 2.5

// age estimates how old the oldest of the messages is at now. q is the latest
// reading of the depth.
func (f *Flow) age(now time.Time, q metrics.Queue, points metrics.Points, perMessage float64) AgePlan {
	out := AgePlan{}
	out.DataAge, out.DataKnown = dataAge(now, points)
	n := depth(q)
	if n == 0 {
		out.Known = true
		return out
	}
	told := f.compare(points, q.FIFO)
	out.Poison = min(told.poison, n)
	late := max(0, now.Sub(f.At).Seconds())
	n -= out.Poison
	if n < 1 {
		out.Known, out.Uncertainty = true, late
		return out // nothing that counts
	}
	n = max(0.5, n*(1-ageRounding)-0.5-late*inFlight(q)*f.completions(perMessage))
	age, slope, reached := f.back(n)
	if !reached {
		return f.ageByPoints(now, points, out)
	}
	out.Known = true
	out.Seconds = age + told.behind + late
	if !f.EmptyAt.IsZero() {
		out.Seconds = min(out.Seconds, max(0, now.Sub(f.EmptyAt).Seconds()))
	}
	out.Uncertainty = f.uncertainty(out.Seconds, slope, points, perMessage) + told.behind/2 + 2*told.spread
	return out
}

// uncertainty is how far the estimate may be off: by half the time between two
// readings, and by what was only guessed to have come since.
func (f *Flow) uncertainty(age, slope float64, points metrics.Points, perMessage float64) float64 {
	error, between := f.doubt(perMessage), 0.0
	guessed, back := 0.0, 0.0
	published := 0.0
	if d, ok := dataAge(f.At, points); ok {
		published = d
	} else {
		published = age
	}
	for i := len(f.Came) - 1; i >= 0 && back < min(age, published); i-- {
		guessed += f.Came[i].Done
		back += f.Came[i].Seconds
		between = max(between, min(f.Came[i].Seconds, 60))
	}
	if f.Service == 0 && perMessage == 0 {
		return between + 1 + age // nothing tells messages that came and went from none
	}
	return min(between/2+1+2*error*guessed*slope, between+1+age)
}

// dataAge is how long before t the latest minute ended of which something is
// published.
func dataAge(t time.Time, points metrics.Points) (float64, bool) {
	for _, m := range slices.Backward(points.Minutes) {
		if finite(m.Sent) != nil || finite(m.Deleted) != nil || finite(m.OldestAge) != nil {
			return max(0, t.Sub(m.Start.Add(flowMinute)).Seconds()), true
		}
	}
	return 0, false
}

// disagreement is what CloudWatch's latest points say beside what the flow says of
// the same minutes.
type disagreement struct {
	// poison is how many messages are older than CloudWatch's oldest: it leaves them
	// out.
	poison float64
	// behind is by how many seconds its oldest is older than the order in which
	// messages came makes it: work on it takes longer than on those after it.
	behind float64
	// spread is how far points are apart in that, in seconds.
	spread float64
}

// disagreementPoints is of how many of the latest points the middle one speaks.
const disagreementPoints = 6

// compare compares CloudWatch's latest points with the flow. CloudWatch does not say
// when in the minute it looks; whichever of three moments makes the points agree
// best among themselves is taken for it.
func (f *Flow) compare(points metrics.Points, fifo bool) disagreement {
	type look struct {
		past
		oldest  float64
		reached bool
		minute  int // that begins there; 0 before the first look
	}
	at := func(i int) look {
		l := look{past: f.until(f.Minutes[i].Start), minute: i}
		l.oldest, l.reached = l.oldestOf(f.Minutes[i].Left)
		return l
	}
	var moments [3][disagreementPoints]float64
	var missing [disagreementPoints]float64
	n := 0
	var last look
	for i := len(f.Minutes) - 2; i >= 0 && n < disagreementPoints; i-- {
		m, next := f.Minutes[i], f.Minutes[i+1]
		p := minuteOf(points, m.Start)
		if p == nil || finite(p.OldestAge) == nil || m.Covered < 0.9*flowMinute.Seconds() || m.Left < 1 || next.Left < 1 {
			continue
		}
		if last.minute != i+1 {
			last = at(i + 1)
		}
		before, after := at(i), last
		last = before
		if !before.reached || !after.reached {
			continue
		}
		half := *p.OldestAge + 0.5 // fractions are cut off
		moments[0][n] = half - before.oldest
		moments[1][n] = half - (before.oldest+after.oldest)/2
		moments[2][n] = half - after.oldest
		if slack := ageTolerance + half/20; half < min(before.oldest, after.oldest)-slack && !fifo {
			missing[n] = max(0, min(m.Left-before.cameIn(half+1), next.Left-after.cameIn(half+1)))
		}
		n++
	}
	var best []float64
	spread := math.Inf(1)
	for i := range moments {
		if s := apart(moments[i][:n]); s < spread-0.5 {
			best, spread = moments[i][:n], s
		}
	}
	if n == 0 {
		return disagreement{}
	}
	return disagreement{poison: math.Floor(median(missing[:n])), behind: max(0, median(best)-2*spread), spread: spread}
}

// apart is how far values are from their median, half of them.
func apart(values []float64) float64 {
	middle := median(values)
	var few [disagreementPoints]float64
	away := few[:0]
	for _, v := range values {
		away = append(away, math.Abs(v-middle))
	}
	return median(away)
}

// ageByPoints is the estimate where the oldest messages came before anybody
// looked: the oldest message of CloudWatch's latest point grew older since, unless
// it was done as fast as those before.
func (f *Flow) ageByPoints(now time.Time, points metrics.Points, out AgePlan) AgePlan {
	var heads, at []float64 // when the oldest message came and when that was seen, in seconds before now
	for _, m := range slices.Backward(points.Minutes) {
		if age := finite(m.OldestAge); age != nil && len(heads) < 2 {
			seen := now.Sub(m.Start).Seconds()
			heads, at = append(heads, seen+*age), append(at, seen)
		}
	}
	watched := f.ages()[len(f.Came)]
	if len(heads) == 0 {
		out.Seconds = watched + max(0, now.Sub(f.At).Seconds())
		out.Uncertainty = out.Seconds
		return out
	}
	speed := 0.5
	if len(heads) == 2 && at[1] > at[0] {
		speed = min(max((heads[1]-heads[0])/(at[1]-at[0]), 0), 1)
	}
	out.Known = true
	out.Seconds = max(heads[0]-speed*at[0], 0)
	out.Uncertainty = at[0]/2 + 30
	return out
}

// median is the middle one, of an even number the smaller of the two in the
// middle; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	var few [ratesKept]float64
	sorted := append(few[:0], values...)
	slices.Sort(sorted)
	return sorted[(len(sorted)-1)/2]
}
