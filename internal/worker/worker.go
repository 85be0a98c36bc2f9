package worker

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// Handlers that got no connection wait before they take a message again.
	firstBackoff, longestBackoff = 500 * time.Millisecond, 4 * time.Second
	acquireTimeout               = 5 * time.Second
	// mostMessages is what SQS gives at a time.
	mostMessages = 10
)

type worker struct {
	config Config
	events func(Event)
	queue  queue
	pool   *pgxpool.Pool
	// free holds a token for each message more that may be worked on.
	free chan struct{}

	mu     sync.Mutex
	failed int // connections refused or failed since the last success
}

// Run consumes until ctx ends, and then finishes what was begun and closes all
// connections. It tells events one at a time; they must not block for long. An
// error means that it could not begin.
func Run(ctx context.Context, config Config, events func(Event)) error {
	if err := config.check(); err != nil {
		return err
	}
	w := &worker{config: config, free: make(chan struct{}, config.Connections)}
	var telling sync.Mutex
	w.events = func(e Event) {
		telling.Lock()
		defer telling.Unlock()
		events(e)
	}
	w.queue = newQueue(config, w.fail)
	var err error
	if w.pool, err = w.open(); err != nil {
		return err
	}
	w.run(ctx)
	return nil
}

func (w *worker) tell(k Kind)    { w.events(Event{Kind: k, At: time.Now()}) }
func (w *worker) fail(err error) { w.events(Failure(err)) }

func (w *worker) run(ctx context.Context) {
	ctx, finish := context.WithCancel(ctx) // when stopped, or when a Job's worker is done
	defer finish()
	closing, closeNow := context.WithCancel(context.Background())
	defer closeNow()
	context.AfterFunc(ctx, func() {
		time.AfterFunc(w.config.Drain, closeNow)
	})
	var closed sync.WaitGroup
	defer closed.Wait()
	closed.Go(func() {
		<-closing.Done()
		w.close()
	})
	for range w.config.Extra {
		closed.Go(func() { w.hold(closing) })
	}

	if w.config.OpenEagerly {
		w.openAll(ctx)
	} else {
		for range w.config.Connections {
			w.free <- struct{}{}
		}
	}
	if ctx.Err() == nil {
		w.tell(Ready)
	}
	var handlers sync.WaitGroup
	w.consume(ctx, &handlers)
	handlers.Wait()
	finish()
}

// consume receives until ctx ends, or until a Job's worker has had enough.
func (w *worker) consume(ctx context.Context, handlers *sync.WaitGroup) {
	left := w.config.Messages
	for ctx.Err() == nil {
		most := mostMessages
		if w.config.Messages > 0 {
			if most = min(most, left); most == 0 {
				return
			}
		}
		slots := w.takeSlots(ctx, most)
		if slots == 0 {
			return
		}
		messages, err := w.queue.receive(ctx, slots)
		for range slots - len(messages) {
			w.free <- struct{}{}
		}
		switch {
		case err != nil:
			w.backOff(ctx)
		case len(messages) == 0 && w.config.Messages > 0:
			return
		}
		left -= len(messages)
		for _, m := range messages {
			handlers.Go(func() {
				if !w.handle(ctx, m) {
					w.backOff(ctx)
				}
				w.free <- struct{}{}
			})
		}
	}
}

// takeSlots waits until another message may be worked on, and returns how many
// more, at most so many; 0 when ctx ends first.
func (w *worker) takeSlots(ctx context.Context, most int) int {
	select {
	case <-w.free:
	case <-ctx.Done():
		return 0
	}
	for slots := 1; ; slots++ {
		if slots == most {
			return slots
		}
		select {
		case <-w.free:
		default:
			return slots
		}
	}
}

// handle works on one message, or puts it back and returns false.
func (w *worker) handle(stop context.Context, m message) bool {
	ctx, cancel := context.WithTimeout(context.Background(), w.config.Work+20*time.Second)
	defer cancel()
	if stop.Err() != nil {
		w.queue.putBack(ctx, m)
		return true
	}
	conn, err := w.acquire()
	if err != nil { // the tracer has told of it
		w.queue.putBack(ctx, m)
		return false
	}
	// The work holds its connection all the while, as a transaction would.
	if w.config.Table == "" {
		_, err = conn.Exec(ctx, "SELECT pg_sleep($1)", w.config.Work.Seconds())
	} else {
		_, err = conn.Exec(ctx, "INSERT INTO "+w.config.Table+" (message) SELECT $1 FROM pg_sleep($2)", m.body, w.config.Work.Seconds())
	}
	conn.Release()
	if err != nil {
		w.fail(err)
		w.queue.putBack(ctx, m)
		return false
	}
	w.mu.Lock()
	w.failed = 0
	w.mu.Unlock()
	if w.queue.delete(ctx, m) { // else it comes again when its visibility times out
		w.tell(Done)
	}
	return true
}

// backOff waits longer the more logins have failed in a row, with jitter.
func (w *worker) backOff(ctx context.Context) {
	w.mu.Lock()
	wait := min(firstBackoff<<min(w.failed/w.config.Connections, 5), longestBackoff)
	w.mu.Unlock()
	timer := time.NewTimer(wait/2 + rand.N(wait))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
