package fakeaws

import "time"

const (
	minute = time.Minute
	// pointsKept is how long CloudWatch keeps one-minute points.
	pointsKept = 15 * 24 * time.Hour
	// activeFor is how long an empty queue that nobody touches still sends
	// metrics, and wakeDelay how long a queue that stopped takes to come back:
	// "up to six hours" and "up to 15 minutes" in the SQS Developer Guide,
	// here always the longest.
	activeFor = 6 * time.Hour
	wakeDelay = 15 * time.Minute
)

// gauges are a queue's levels at one moment.
type gauges struct {
	visible, inFlight, delayed, groupsInFlight int
	oldestAge                                  time.Duration
}

// totals count what happened since the queue was made.
type totals struct {
	sent, received, deleted, emptyReceives, expired, redriven uint64
}

// point is what one minute leaves behind.
type point struct {
	start time.Time
	gauges
	during totals // only what happened in this minute
}

// series collects a queue's one-minute points. Levels are measured once in
// the minute, at its start plus the offset.
type series struct {
	offset  time.Duration
	start   time.Time // of the open minute
	sampled bool
	level   gauges
	before  totals // at the open minute's start
	points  []point

	lastUse     time.Time // by any request
	asleep      bool
	silentUntil time.Time
}

// newSeries starts with the minute of a queue's creation: a measurement that
// this minute would have had earlier found nothing.
func newSeries(offset time.Duration, created time.Time) series {
	start := created.Truncate(minute)
	return series{offset: offset, start: start, sampled: start.Add(offset).Before(created), lastUse: created}
}

// next is when the series next needs sample or, once sampled, close.
func (s *series) next() time.Time {
	if !s.sampled {
		return s.start.Add(s.offset)
	}
	return s.start.Add(minute)
}

func (s *series) sample(level gauges) { s.level, s.sampled = level, true }

// close ends the open minute.
func (s *series) close(now totals, holdsMessages bool) {
	end := s.start.Add(minute)
	s.asleep = !holdsMessages && end.Sub(s.lastUse) > activeFor
	if !s.asleep && !s.start.Before(s.silentUntil) {
		s.points = append(s.points, point{start: s.start, gauges: s.level, during: totals{
			sent:          now.sent - s.before.sent,
			received:      now.received - s.before.received,
			deleted:       now.deleted - s.before.deleted,
			emptyReceives: now.emptyReceives - s.before.emptyReceives,
		}})
	}
	// Twice the number, so that trimming is rare.
	if most := int(pointsKept / minute); len(s.points) >= 2*most {
		s.points = append([]point(nil), s.points[len(s.points)-most:]...)
	}
	s.start, s.sampled, s.before = end, false, now
}

// touch notes a request for the queue.
func (s *series) touch(now time.Time) {
	s.lastUse = now
	if s.asleep {
		s.asleep, s.silentUntil = false, now.Add(wakeDelay)
	}
}

// gauges measures the queue's levels; advance has brought it to now.
func (q *queue) gauges(now time.Time) gauges {
	g := gauges{
		visible:        q.kept.Len() - q.delayedCount - q.flightCount,
		inFlight:       q.flightCount,
		delayed:        q.delayedCount,
		groupsInFlight: q.groupFlights,
	}
	for e := q.kept.Front(); e != nil; e = e.Next() {
		if m := e.Value.(*message); q.fifo || m.receives < poisonReceives {
			g.oldestAge = now.Sub(m.entered)
			break
		}
	}
	return g
}

// queueMetrics are the metrics of namespace AWS/SQS that the stand-in has.
var queueMetrics = map[string]func(point) float64{
	"ApproximateAgeOfOldestMessage":                 func(p point) float64 { return float64(int64(p.oldestAge / time.Second)) },
	"ApproximateNumberOfMessagesVisible":            func(p point) float64 { return float64(p.visible) },
	"ApproximateNumberOfMessagesNotVisible":         func(p point) float64 { return float64(p.inFlight) },
	"ApproximateNumberOfMessagesDelayed":            func(p point) float64 { return float64(p.delayed) },
	"ApproximateNumberOfGroupsWithInflightMessages": func(p point) float64 { return float64(p.groupsInFlight) },
	"NumberOfMessagesSent":                          func(p point) float64 { return float64(p.during.sent) },
	"NumberOfMessagesReceived":                      func(p point) float64 { return float64(p.during.received) },
	"NumberOfMessagesDeleted":                       func(p point) float64 { return float64(p.during.deleted) },
	"NumberOfEmptyReceives":                         func(p point) float64 { return float64(p.during.emptyReceives) },
}
