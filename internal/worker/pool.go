package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// open makes the pool; it opens no connection yet.
func (w *worker) open() (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(w.config.DSN)
	if err != nil {
		return nil, errors.New("worker: the DSN it was given can't be read") // the error would quote it
	}
	config.MaxConns = int32(w.config.Connections)
	config.ConnConfig.RuntimeParams["application_name"] = w.config.Application
	if w.config.Address != "" {
		config.ConnConfig.DialFunc = DialFrom(w.config.Address)
	}
	config.ConnConfig.Tracer = LoginTracer{Failed: w.refused}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("worker: its pool: %w", err)
	}
	return pool, nil
}

// close ends the pool: idle connections at once, the others as they come back. Not
// before the logins that are on their way have been answered: one that is cut off
// may or may not be in the server's log as refused. Each ends soon by itself.
func (w *worker) close() {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for late := time.Now().Add(acquireTimeout); w.pool.Stat().ConstructingConns() > 0 && time.Now().Before(late); {
		<-again.C
	}
	w.pool.Close()
}

// refused is told of every login that failed.
func (w *worker) refused(err error) {
	w.mu.Lock()
	w.failed++
	w.mu.Unlock()
	w.fail(err)
}

func (w *worker) acquire() (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), acquireTimeout)
	defer cancel()
	return w.pool.Acquire(ctx)
}

// openAll opens one connection after the other until the pool is full or one is
// refused, and begins again while it has none. What was refused is opened when a
// message needs it, after a while.
func (w *worker) openAll(ctx context.Context) {
	for ctx.Err() == nil {
		var opened []*pgxpool.Conn
		for len(opened) < w.config.Connections {
			conn, err := w.acquire()
			if err != nil {
				break
			}
			opened = append(opened, conn)
		}
		for _, conn := range opened {
			conn.Release()
			w.free <- struct{}{}
		}
		if missing := w.config.Connections - len(opened); len(opened) > 0 {
			for range missing {
				go func() {
					w.backOff(ctx)
					w.free <- struct{}{} // there is room for all
				}()
			}
			return
		}
		w.backOff(ctx)
	}
}

// hold keeps one connection beside the pool until ctx ends, and tries again
// while it is refused.
func (w *worker) hold(ctx context.Context) {
	config := w.pool.Config().ConnConfig
	for ctx.Err() == nil {
		// Not ctx: an attempt that is cut off may or may not be in the server's log
		// as refused. This one ends soon by itself.
		attempt, cancel := context.WithTimeout(context.Background(), 2*acquireTimeout)
		conn, err := pgx.ConnectConfig(attempt, config)
		cancel()
		if err != nil { // the tracer has told of it
			w.backOff(ctx)
			continue
		}
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_ = conn.Close(last) // it is gone either way
		cancel()
	}
}
