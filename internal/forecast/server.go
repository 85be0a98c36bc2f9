package forecast

import "time"

// server is a database while a world is played.
type server struct {
	Server
	held    int // by pods and by the autoscaler
	others  int // held by others
	wanted  int // by others
	retries bool
	peak    int
	changed int // counts changes, for whoever keeps a reading

	refusedWorkers, refusedOthers int64
	full                          time.Duration // for how long it was
	since                         time.Duration // of the last change
}

func (v *server) used() int { return v.held + v.others }

// note counts the time that has gone by since the last change.
func (v *server) note(now time.Duration) {
	if v.used() >= v.Limit {
		v.full += now - v.since
	}
	v.since = now
	v.changed++
}

// open takes up to n connections and returns how many there were.
func (v *server) open(now time.Duration, n int) int {
	got := max(0, min(n, v.Limit-v.used()))
	if got > 0 {
		v.note(now)
		v.held += got
		v.peak = max(v.peak, v.used())
	}
	return got
}

func (v *server) close(now time.Duration, n int) {
	if n > 0 {
		v.note(now)
		v.held -= n
	}
}

// want lets others have so many, as far as there are.
func (v *server) want(now time.Duration, n int) {
	v.wanted = n
	v.note(now)
	v.others = min(v.others, n)
	got := max(0, min(n-v.others, v.Limit-v.used()))
	v.others += got
	v.refusedOthers += int64(v.wanted - v.others)
	v.peak = max(v.peak, v.used())
}
