package poll

import (
	"context"
	"sync"
	"time"
)

// script is a source that answers from a function and remembers when it was
// asked. It fails the process (as a race) if it is ever read twice at a time.
type script struct {
	answer func(ctx context.Context, nth int) (int, error)

	mu     sync.Mutex
	began  []time.Time
	closed int
	busy   int // not guarded on purpose: the race detector sees overlapping reads
}

func (s *script) Read(ctx context.Context) (int, error) {
	s.busy++
	defer func() { s.busy-- }()
	s.mu.Lock()
	s.began = append(s.began, time.Now())
	nth := len(s.began)
	s.mu.Unlock()
	if s.answer == nil {
		return nth, nil
	}
	return s.answer(ctx, nth)
}

func (s *script) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

func (s *script) reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.began)
}

func (s *script) closes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// gaps are the times from the beginning of each read to that of the next.
func (s *script) gaps() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gaps []time.Duration
	for i := 1; i < len(s.began); i++ {
		gaps = append(gaps, s.began[i].Sub(s.began[i-1]))
	}
	return gaps
}

// open returns the source, as Acquire wants it.
func (s *script) open() (Source[int], error) { return s, nil }

// noJitter places every read in the middle of its jitter.
func noJitter() float64 { return 0.5 }
