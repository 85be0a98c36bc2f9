package delta

import (
	"testing"
	"time"
)

// After the clock was set back by an hour, a reading of two seconds ago is still
// two seconds old. While nobody sets it, the wall clock's time is kept exactly,
// although the two clocks are never read at the same nanosecond.
func TestAClockThatWasSet(t *testing.T) {
	for _, c := range []struct{ wall, monotonic, want time.Duration }{
		{-time.Hour + 2*time.Second, 2 * time.Second, 2 * time.Second},
		{time.Hour, 2 * time.Second, 2 * time.Second},
		{2*time.Second + 57, 2 * time.Second, 2*time.Second + 57},
	} {
		if got := trusted(c.wall, c.monotonic); got != c.want {
			t.Errorf("%s by the wall clock and %s by the monotonic one are %s, expected %s", c.wall, c.monotonic, got, c.want)
		}
	}
	now := time.Now()
	if got := Distance(now, now.Add(time.Minute)); got != time.Minute {
		t.Errorf("found %s, expected 1m", got)
	}
}
