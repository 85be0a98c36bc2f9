package poll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// grace is how long a read that was cut off has to say in its own words why it
// failed, before its reading is given up without them.
const grace = 250 * time.Millisecond

// poller reads one source in one goroutine (run). Only run writes reading.
type poller[T any] struct {
	kind, name string
	source     Source[T]
	changed    *Signal
	observe    func(source, name string, began time.Time, duration time.Duration, err error)
	random     func() float64
	log        *slog.Logger
	stop       context.CancelFunc

	// users and their wishes; the set's lock guards it.
	users map[*Handle[T]]Settings

	reading  atomic.Pointer[metrics.Reading[T]]
	settings atomic.Pointer[Settings] // what serves all users
	replan   chan struct{}            // settings changed
	poked    chan struct{}
}

// notify marks channel, which has room for one, as having something pending.
func notify(channel chan<- struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

// agree makes the settings what serves all users, of which there is at least
// one. The caller holds the set's lock.
func (p *poller[T]) agree() {
	var agreed Settings
	first := true
	for _, wish := range p.users {
		if first {
			agreed, first = wish, false
			continue
		}
		agreed = agreed.with(wish)
	}
	if *p.settings.Load() != agreed {
		p.settings.Store(&agreed)
		notify(p.replan)
	}
}

// run reads until ctx ends, then closes the source.
func (p *poller[T]) run(ctx context.Context) {
	defer p.close()
	for failures := 0; ; {
		select {
		case <-p.poked: // the read that begins now answers it
		default:
		}
		began := time.Now()
		switch err := p.read(ctx, began); {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
		default:
			failures = 0
		}
		if !p.wait(ctx, Attempt{Began: began, Ended: time.Now(), Failures: failures, Random: p.random()}) {
			return
		}
	}
}

// read makes one attempt and publishes what came of it, unless ctx ended: who
// stopped the poller made the read fail, the source did not. It returns once the
// source's Read has. What a Read says after its timeout and grace is dropped: the
// attempt was published as failed.
func (p *poller[T]) read(ctx context.Context, began time.Time) error {
	timeout := p.settings.Load().Timeout
	reading, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	var value T
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		value, err = p.source.Read(reading)
	}()

	select {
	case <-done:
	case <-reading.Done():
		lastWords := time.NewTimer(grace)
		defer lastWords.Stop()
		select {
		case <-done:
		case <-lastWords.C:
			cutOff := fmt.Errorf("no answer within %s, and the read goes on though it was canceled", timeout)
			if ctx.Err() == nil {
				p.publish(p.reading.Load().Failed(cutOff.Error()), began, cutOff)
			}
			<-done // reads never overlap
			return cutOff
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		p.publish(metrics.Known(value, began), began, nil)
		return nil
	}
	if reading.Err() != nil {
		err = timedOut(timeout, err)
	}
	if err.Error() == "" {
		err = errors.New("failed without saying why") // "" would read as a success
	}
	p.publish(p.reading.Load().Failed(err.Error()), began, err)
	return err
}

// timedOut says that err came of the timeout. Where err says nothing but that, it
// is left out of the words.
func timedOut(timeout time.Duration, err error) error {
	if err == context.DeadlineExceeded || err == context.Canceled { //nolint:errorlint // the bare error, not one that wraps it
		return fmt.Errorf("no answer within %s", timeout)
	}
	return fmt.Errorf("no answer within %s: %w", timeout, err)
}

// publish makes reading the latest, then tells everybody.
func (p *poller[T]) publish(reading metrics.Reading[T], began time.Time, err error) {
	duration := time.Since(began)
	failedBefore := p.reading.Load().Problem() != ""
	p.reading.Store(&reading)
	p.changed.Notify()
	p.observe(p.kind, p.name, began, duration, err)

	level, what := slog.LevelDebug, "read"
	switch {
	case err != nil && !failedBefore:
		level, what = slog.LevelWarn, "reading fails"
	case err != nil:
		what = "reading still fails"
	case failedBefore:
		level, what = slog.LevelInfo, "reading works again"
	}
	attributes := []slog.Attr{slog.Duration("duration", duration)}
	if err != nil {
		attributes = append(attributes, slog.String("problem", err.Error()))
	}
	p.log.LogAttrs(context.Background(), level, what, attributes...)
}

// wait returns true when the next read is due, false when ctx has ended.
func (p *poller[T]) wait(ctx context.Context, last Attempt) bool {
	for {
		due := time.NewTimer(time.Until(p.due(last)))
		select {
		case <-ctx.Done():
			due.Stop()
			return false
		case <-due.C:
			return true
		case <-p.poked:
			due.Stop()
			return true
		case <-p.replan:
			due.Stop() // and find out anew when it is due
		}
	}
}

// due returns when the next read is to begin, by the settings and the source.
func (p *poller[T]) due(last Attempt) time.Time {
	settings := *p.settings.Load()
	if paced, ok := p.source.(Paced); ok {
		return paced.Due(settings, last)
	}
	return settings.Due(last)
}

// close closes the source if it can be closed.
func (p *poller[T]) close() {
	closer, ok := p.source.(io.Closer)
	if !ok {
		return
	}
	if err := closer.Close(); err != nil && !errors.Is(err, context.Canceled) {
		p.log.Warn("closing the source failed", "problem", err.Error())
	}
}
