package demo

import (
	"context"
	"sync"
	"time"
)

// samplePeriod is how often connections are counted.
const samplePeriod = 100 * time.Millisecond

// longestGap is the most that one sample speaks for: a server that did not
// answer for longer was not watched.
const longestGap = time.Second

// used is who holds connections at one moment.
type used struct{ workers, other, rest int }

func (u used) total() int { return u.workers + u.other + u.rest }

// occupancy watches who holds connections, over a session that was opened
// before anything filled up.
type occupancy struct {
	usable int
	sample func(context.Context) (used, error)

	mu       sync.Mutex
	last     used
	lastAt   time.Time
	peak     used
	full     time.Duration
	failures int
	failure  string
}

// watch samples until ctx ends.
func (o *occupancy) watch(ctx context.Context) {
	ticker := time.NewTicker(samplePeriod)
	defer ticker.Stop()
	for {
		began := time.Now()
		u, err := o.sample(ctx)
		if ctx.Err() != nil {
			return
		}
		o.record(began, u, err)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// record takes one sample. What was full at the last one counts as full until
// this one.
func (o *occupancy) record(at time.Time, u used, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		if o.failures++; o.failures == 1 {
			o.failure = err.Error()
		}
		return
	}
	if !o.lastAt.IsZero() && o.last.total() >= o.usable {
		o.full += min(at.Sub(o.lastAt), longestGap)
	}
	if u.total() > o.peak.total() {
		o.peak = u
	}
	o.last, o.lastAt = u, at
}

// reading is an occupancy at one moment.
type reading struct {
	last, peak used
	full       time.Duration
	failures   int
	failure    string
}

func (o *occupancy) now() reading {
	o.mu.Lock()
	defer o.mu.Unlock()
	return reading{o.last, o.peak, o.full, o.failures, o.failure}
}
