package cloudwatch

import (
	"math"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// history is what was published of one queue, by the minute's start in UTC.
type history map[time.Time]metrics.Minute

// merge notes a value of the minute in which start lies. What is no number or
// below 0 is not a value. It reports whether it changed anything.
func (h history) merge(m metric, start time.Time, value float64) bool {
	if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
		return false
	}
	start = start.UTC().Truncate(time.Minute)
	minute := h[start]
	field := m.of(&minute)
	if *field != nil && **field == value {
		return false
	}
	minute.Start, *field = start, &value // a new one: the old may have been handed out
	h[start] = minute
	return true
}

// forget drops the minutes outside of [from, to): those that are too old, and
// those that a clock that was set back puts into the future.
func (h history) forget(from, to time.Time) {
	for start := range h {
		if start.Before(from) || !start.Before(to) {
			delete(h, start)
		}
	}
}

// points returns the minutes in order. They stay as they are whatever is merged
// later.
func (h history) points() metrics.Points {
	minutes := make([]metrics.Minute, 0, len(h))
	for _, m := range h {
		minutes = append(minutes, m)
	}
	slices.SortFunc(minutes, func(a, b metrics.Minute) int { return a.Start.Compare(b.Start) })
	return metrics.Points{Minutes: minutes}
}
