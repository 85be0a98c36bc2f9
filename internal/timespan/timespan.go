// Package timespan reads the stretch of time that the flags --from and --to name.
package timespan

import (
	"fmt"
	"time"
)

// Parse reads both, RFC 3339; "" is the zero time, which stands for the beginning or
// the end of whatever there is.
func Parse(from, to string) (begin, end time.Time, err error) {
	for _, t := range []struct {
		flag, text string
		into       *time.Time
	}{{"--from", from, &begin}, {"--to", to, &end}} {
		if t.text == "" {
			continue
		}
		if *t.into, err = time.Parse(time.RFC3339, t.text); err != nil {
			return begin, end, fmt.Errorf("%s: expected a time such as 2026-03-01T12:00:00Z, found %q", t.flag, t.text)
		}
	}
	if !begin.IsZero() && !end.IsZero() && !begin.Before(end) {
		return begin, end, fmt.Errorf("expected --from before --to, found %s and %s", from, to)
	}
	return begin, end, nil
}
