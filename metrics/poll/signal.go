package poll

// Signal tells one listener that something changed since it last looked. Any
// number of changes before the listener comes round are one signal, so telling
// never waits and nothing queues up. One Signal may serve many sets.
type Signal struct{ pending chan struct{} }

// NewSignal returns a Signal with nothing pending.
func NewSignal() *Signal { return &Signal{pending: make(chan struct{}, 1)} }

// Notify marks that something changed. A nil Signal tells nobody.
func (s *Signal) Notify() {
	if s == nil {
		return
	}
	select {
	case s.pending <- struct{}{}:
	default: // a change is pending already; the listener will see this one too
	}
}

// C is received from once for all changes since the last time. What changed
// before the signal was sent is visible to whoever received it.
func (s *Signal) C() <-chan struct{} { return s.pending }
