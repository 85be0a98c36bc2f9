package bench

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/keda-headroom/headroom/internal/worker"
)

// tally counts what clients of one kind tell.
type tally struct {
	mu       sync.Mutex
	refused  []refusal
	failures int
	failure  string // the first one's text
}

// refusal is a number of connections refused at one moment.
type refusal struct {
	at    time.Time
	count int
}

func (t *tally) add(e worker.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case worker.Ready, worker.Done: // the node and the queue know that
	case worker.Refused:
		t.refused = append(t.refused, refusal{e.At, e.Count})
	case worker.Failed:
		if t.failures++; t.failures == 1 {
			t.failure = e.Text
		}
	}
}

// line takes what a worker's process wrote; anything else is passed over.
func (t *tally) line(text []byte) {
	var e worker.Event
	if json.Unmarshal(text, &e) == nil {
		t.add(e)
	}
}

// between returns the moments of refusals from one moment to another, one for
// each refused connection, counted from the first.
func (t *tally) between(from, until time.Time) []time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []time.Duration
	for _, r := range t.refused {
		if r.at.Before(from) || r.at.After(until) {
			continue
		}
		for range r.count {
			out = append(out, r.at.Sub(from))
		}
	}
	return out
}

// total is how many connections were ever refused.
func (t *tally) total() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, r := range t.refused {
		n += r.count
	}
	return n
}

// otherErrors returns how many errors were no refusals, and the first one.
func (t *tally) otherErrors() (n int, first string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures, t.failure
}
