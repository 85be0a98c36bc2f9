package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/metrics"
)

// TestAMinuteIsFound by its start, and no other, whichever others are missing.
func TestAMinuteIsFound(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var points metrics.Points
		at := map[time.Time]float64{}
		for i, there := range rapid.SliceOfN(rapid.Bool(), 0, 20).Draw(t, "minutes that are published") {
			if there {
				sent := float64(i)
				m := metrics.Minute{Start: noon.Add(time.Duration(i) * time.Minute), Sent: &sent}
				points.Minutes, at[m.Start] = append(points.Minutes, m), sent
			}
		}
		start := noon.Add(time.Duration(rapid.IntRange(-3, 23).Draw(t, "minute")) * time.Minute)
		if rapid.Bool().Draw(t, "no whole one") {
			start = start.Add(time.Second)
		}
		found := minuteOf(points, start)
		if sent, ok := at[start]; ok != (found != nil) || ok && *found.Sent != sent {
			t.Fatalf("of %v in %v: found %v", start, at, found)
		}
	})
}
