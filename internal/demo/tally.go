package demo

import (
	"sync"
	"time"

	"github.com/keda-headroom/headroom/internal/worker"
)

// tally counts what one party's clients tell.
type tally struct {
	mu       sync.Mutex
	refusals []refusal
	total    int // of refusals
	done     int
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
	case worker.Ready: // the fleet keeps that
	case worker.Done:
		t.done++
	case worker.Refused:
		t.refusals = append(t.refusals, refusal{e.At, e.Count})
		t.total += e.Count
	case worker.Failed:
		if t.failures++; t.failures == 1 {
			t.failure = e.Text
		}
	}
}

// count is a tally at one moment.
type count struct {
	refusals, done, failures int
	failure                  string
}

func (t *tally) now() count {
	t.mu.Lock()
	defer t.mu.Unlock()
	return count{t.total, t.done, t.failures, t.failure}
}

// before returns how many connections were refused before at.
func (t *tally) before(at time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, r := range t.refusals {
		if r.at.Before(at) {
			n += r.count
		}
	}
	return n
}
