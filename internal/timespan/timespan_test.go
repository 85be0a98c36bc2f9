package timespan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/timespan"
)

func TestParse(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		from, to   string
		begin, end time.Time
		wrong      string
	}{
		{"", "", time.Time{}, time.Time{}, ""},
		{"2026-03-01T12:00:00Z", "", noon, time.Time{}, ""},
		{"", "2026-03-01T13:00:00+01:00", time.Time{}, noon, ""},
		{"2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z", noon, noon.Add(time.Second), ""},
		{"noon", "", time.Time{}, time.Time{}, `--from: expected a time such as 2026-03-01T12:00:00Z, found "noon"`},
		{"", "-1h", time.Time{}, time.Time{}, "--to: expected a time"},
		{"2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", time.Time{}, time.Time{}, "expected --from before --to"},
	} {
		begin, end, err := timespan.Parse(c.from, c.to)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%q, %q: found %v, want %q", c.from, c.to, err, c.wrong)
			}
			continue
		}
		if err != nil || !begin.Equal(c.begin) || !end.Equal(c.end) {
			t.Errorf("%q, %q: found %s, %s, %v", c.from, c.to, begin, end, err)
		}
	}
}
