package recording

import (
	"slices"
	"strconv"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/scaler/recording/delta"
)

// published are a queue's minutes by their start, in nanoseconds since 1970 and to
// the base 36. With each minute the window of points moves on by one: of a map only
// what came and what went is written, where a slice would be written anew.
type published map[string]values

// values are a minute without its start.
type values struct {
	Sent      *float64 `json:"sent"`
	Received  *float64 `json:"received"`
	Deleted   *float64 `json:"deleted"`
	OldestAge *float64 `json:"oldestAge"`
	Groups    *float64 `json:"groups"`
}

const base = 36

func openedPoints(r metrics.Reading[metrics.Points]) reading[published] {
	points, known := r.Last()
	out := reading[published]{Known: known, Began: r.Began(), Problem: r.Problem()}
	if len(points.Minutes) > 0 {
		out.Value = make(published, len(points.Minutes))
	}
	for _, m := range points.Minutes {
		out.Value[strconv.FormatInt(m.Start.UnixNano(), base)] = values{m.Sent, m.Received, m.Deleted, m.OldestAge, m.Groups}
	}
	return out
}

// closedPoints leaves out what is no minute.
func closedPoints(in reading[published]) metrics.Reading[metrics.Points] {
	var minutes []metrics.Minute
	if len(in.Value) > 0 {
		minutes = make([]metrics.Minute, 0, len(in.Value))
	}
	for text, v := range in.Value {
		start, err := strconv.ParseInt(text, base, 64)
		if err != nil {
			continue
		}
		minutes = append(minutes, metrics.Minute{
			Start: time.Unix(0, start).UTC(), Sent: v.Sent, Received: v.Received, Deleted: v.Deleted, OldestAge: v.OldestAge, Groups: v.Groups,
		})
	}
	slices.SortFunc(minutes, func(a, b metrics.Minute) int { return a.Start.Compare(b.Start) })
	return closed(reading[metrics.Points]{Known: in.Known, Value: metrics.Points{Minutes: minutes}, Began: in.Began, Problem: in.Problem})
}

// writePoints appends what leads from one map of points to another.
func writePoints(w *delta.Writer, codec delta.Codec[reading[published]], old, new map[metrics.ID]metrics.Reading[metrics.Points]) {
	old, new = different(old, new)
	writeMap(w, codec, openedPoints, old, new)
}

// different leaves out of both maps the readings that are the same in both, their
// memory included: most are, for points are read once a minute.
func different(old, new map[metrics.ID]metrics.Reading[metrics.Points]) (a, b map[metrics.ID]metrics.Reading[metrics.Points]) {
	if old != nil {
		a = map[metrics.ID]metrics.Reading[metrics.Points]{}
	}
	if new != nil {
		b = map[metrics.ID]metrics.Reading[metrics.Points]{}
	}
	for id, r := range new {
		if before, ok := old[id]; !ok || !sameRead(before, r) {
			b[id] = r
		}
	}
	for id, r := range old {
		if after, ok := new[id]; !ok || !sameRead(r, after) {
			a[id] = r
		}
	}
	return a, b
}

func sameRead(a, b metrics.Reading[metrics.Points]) bool {
	before, was := a.Last()
	after, is := b.Last()
	return was == is && a.Began().Equal(b.Began()) && a.Problem() == b.Problem() && len(before.Minutes) == len(after.Minutes) &&
		(len(before.Minutes) == 0 || &before.Minutes[0] == &after.Minutes[0])
}
