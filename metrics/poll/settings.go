package poll

import "time"

// Defaults of [Settings].
const (
	// DefaultInterval is how often a source is read where nobody says.
	DefaultInterval = 15 * time.Second
	// MinDefaultTimeout and MaxDefaultTimeout bound the timeout where nobody
	// gives one: it is the interval, inside these.
	MinDefaultTimeout = time.Second
	MaxDefaultTimeout = 10 * time.Second
	// DefaultBackoffFactor times the interval is the longest wait after a
	// failure where nobody gives one, MaxDefaultBackoff at most: targets are
	// frozen while a source is away, so it has to be found again soon.
	DefaultBackoffFactor = 5
	MaxDefaultBackoff    = 30 * time.Second
)

// jitter is the share of a wait by which it is made longer or shorter at random,
// so that sources that were started together don't go on asking together.
const jitter = 0.1

// Settings say how one user wants a source polled. Zero and negative values
// stand for the defaults.
//
// Where several users share a source, it is polled at the shortest intervals and
// the shortest backoff that anybody wants, and a read may take the longest
// timeout: nobody's reading is older, or cut off sooner, than they asked for.
type Settings struct {
	// Interval is from the beginning of one read to the beginning of the next.
	// A read that takes longer than three quarters of it is followed by a pause
	// of a quarter, so that a slow source is not asked without rest.
	Interval time.Duration
	// IdleInterval is the same while nothing happens at the source, which only the
	// source can tell: see [Paced]. Below Interval it is Interval.
	IdleInterval time.Duration
	// Timeout is how long one read may take.
	Timeout time.Duration
	// MaxBackoff is the longest wait after a failure. The first failure waits
	// Interval, each further one twice as long as the one before. A MaxBackoff
	// below Interval makes a failing source be tried more often than a good one.
	MaxBackoff time.Duration
}

// withDefaults returns settings with no zero or negative value.
func (s Settings) withDefaults() Settings {
	if s.Interval <= 0 {
		s.Interval = DefaultInterval
	}
	s.IdleInterval = max(s.IdleInterval, s.Interval)
	if s.Timeout <= 0 {
		s.Timeout = min(max(s.Interval, MinDefaultTimeout), MaxDefaultTimeout)
	}
	if s.MaxBackoff <= 0 {
		s.MaxBackoff = MaxDefaultBackoff
		if s.Interval < MaxDefaultBackoff/DefaultBackoffFactor {
			s.MaxBackoff = DefaultBackoffFactor * s.Interval
		}
	}
	return s
}

// with returns the settings that serve both users.
func (s Settings) with(other Settings) Settings {
	return Settings{
		Interval:     min(s.Interval, other.Interval),
		IdleInterval: min(s.IdleInterval, other.IdleInterval),
		Timeout:      max(s.Timeout, other.Timeout),
		MaxBackoff:   min(s.MaxBackoff, other.MaxBackoff),
	}
}

// delay returns how long after the beginning of a read the next begins, after
// this many failures in a row.
func (s Settings) delay(failures int) time.Duration {
	if failures == 0 {
		return s.Interval
	}
	delay := min(s.Interval, s.MaxBackoff)
	for range failures - 1 {
		if delay > s.MaxBackoff/2 { // doubling would pass the longest, or overflow
			return s.MaxBackoff
		}
		delay *= 2
	}
	return delay
}

// Attempt is the latest attempt to read a source.
type Attempt struct {
	Began, Ended time.Time
	Failures     int     // attempts that failed in a row, this one included
	Random       float64 // in [0, 1): where in its jitter the next read is placed
}

// Due returns when the read after this attempt is to begin.
func (s Settings) Due(last Attempt) time.Time {
	delay := s.delay(last.Failures)
	due := last.Began.Add(time.Duration(float64(delay) * (1 + jitter*(2*last.Random-1))))
	if rested := last.Ended.Add(delay / 4); rested.After(due) {
		return rested
	}
	return due
}
