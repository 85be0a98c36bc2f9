package poll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// ErrClosed is returned by [Set.Acquire] after [Set.Close].
var ErrClosed = errors.New("pollers are closed: nothing more can be acquired")

// Source is something that can be read. Read is never called twice at a time. It
// has to return soon after ctx ends; until it does, the source is not read again.
// What its errors say is shown to people, so they must not carry secrets.
//
// A Source that is also an io.Closer is closed when nobody uses it any more,
// after its last Read has returned.
type Source[T any] interface {
	Read(ctx context.Context) (T, error)
}

// Paced is a [Source] that has a say in when it is read next. Due is called between
// reads, from their goroutine: after each one, and again when settings change or
// [Handle.Reconsider] is called. [Settings.Due] is what a source without a say gets.
type Paced interface {
	Due(settings Settings, last Attempt) time.Time
}

// Options of a [Set]. The zero value polls and tells nobody.
type Options[K comparable] struct {
	// Source names the kind of source, for logs and [Options.Observe]: "sqs".
	Source string
	// Name returns what a key is called in logs and metrics; it must not carry
	// secrets. nil prints the key as fmt.Sprint does.
	Name func(K) string
	// Changed is notified after every reading that was made or failed. nil
	// notifies nobody. It may be shared with other sets.
	Changed *Signal
	// Observe is told of every attempt to read, after its reading was published:
	// the kind of source, its name, when the attempt began, how long it took,
	// and what went wrong or nil. It is called from the pollers' goroutines,
	// several at a time. nil tells nobody.
	Observe func(source, name string, began time.Time, duration time.Duration, err error)
	// Log gets each read at debug, the first failure at warn and the recovery
	// at info. nil logs nothing.
	Log *slog.Logger

	// random returns a number in [0, 1) that places a read in its jitter; tests
	// set it.
	random func() float64
}

// Set polls sources of one kind. Make one with [NewSet].
type Set[K comparable, T any] struct {
	options Options[K]
	running sync.WaitGroup // every poller's goroutine, those that were released too

	mu      sync.Mutex
	pollers map[K]*poller[T]
	closed  bool
}

// NewSet returns a set that polls nothing yet.
func NewSet[K comparable, T any](options Options[K]) *Set[K, T] {
	if options.Name == nil {
		options.Name = func(key K) string { return fmt.Sprint(key) }
	}
	if options.Observe == nil {
		options.Observe = func(string, string, time.Time, time.Duration, error) {}
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.random == nil {
		options.random = rand.Float64
	}
	return &Set[K, T]{options: options, pollers: make(map[K]*poller[T])}
}

// Acquire returns a handle to the readings of key. Where nobody holds key yet,
// open makes its source, and the first read begins at once; otherwise open is
// not called. open must not wait for anything: what takes time belongs in Read.
//
// It fails where open fails, and after Close.
func (s *Set[K, T]) Acquire(key K, open func() (Source[T], error), settings Settings) (*Handle[T], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	p := s.pollers[key]
	if p == nil {
		source, err := open()
		if err != nil {
			return nil, err
		}
		p = s.start(s.options.Name(key), source, settings)
		s.pollers[key] = p
	}
	handle := &Handle[T]{poller: p}
	p.users[handle] = settings.withDefaults()
	p.agree()
	handle.release = sync.OnceFunc(func() { s.release(key, handle) })
	return handle, nil
}

// start begins to poll source.
func (s *Set[K, T]) start(name string, source Source[T], settings Settings) *poller[T] {
	ctx, stop := context.WithCancel(context.Background()) //nolint:gosec // the poller keeps stop
	p := &poller[T]{
		kind:    s.options.Source,
		name:    name,
		source:  source,
		changed: s.options.Changed,
		observe: s.options.Observe,
		random:  s.options.random,
		log:     s.options.Log.With("source", s.options.Source, "name", name),
		stop:    stop,
		users:   make(map[*Handle[T]]Settings),
		replan:  make(chan struct{}, 1),
		poked:   make(chan struct{}, 1),
	}
	p.reading.Store(new(metrics.Reading[T]))
	agreed := settings.withDefaults()
	p.settings.Store(&agreed)
	s.running.Go(func() { p.run(ctx) })
	return p
}

// release takes handle's wishes back, and stops the poller that nobody else uses.
func (s *Set[K, T]) release(key K, handle *Handle[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := handle.poller
	delete(p.users, handle)
	if len(p.users) > 0 {
		p.agree()
		return
	}
	p.stop()
	if s.pollers[key] == p { // not after Close
		delete(s.pollers, key)
	}
}

// Len returns how many distinct sources are polled.
func (s *Set[K, T]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pollers)
}

// Close stops every poller, cancels what they are reading, closes their sources
// and waits until all that is done. Handles keep their last reading. Closing
// again waits likewise.
func (s *Set[K, T]) Close() {
	s.mu.Lock()
	s.closed = true
	for _, p := range s.pollers {
		p.stop()
	}
	clear(s.pollers)
	s.mu.Unlock()
	s.running.Wait()
}
