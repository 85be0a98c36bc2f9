package bench

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keda-headroom/headroom/e2e/bench/result"
)

const (
	samplePeriod  = 250 * time.Millisecond
	sampleTimeout = 5 * time.Second
)

// watcher samples a lane: who holds connections, over a session that reserved
// slots let in, and what pods there are.
type watcher struct {
	database *database
	pods     func() int
	target   func() int
	left     func() int // messages

	mu        sync.Mutex
	samples   []result.Sample // At is from the watcher's own beginning
	began     time.Time
	drainedAt time.Time // when no message was left; zero where there are some
}

const sampling = `SELECT usename, count(*)::int, current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
	FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY usename`

// watch samples until ctx ends.
func (w *watcher) watch(ctx context.Context) {
	w.mu.Lock()
	w.began = time.Now()
	w.mu.Unlock()
	var conn *pgx.Conn
	defer func() { closeConn(conn) }()
	next := w.began
	for ctx.Err() == nil {
		at := time.Now()
		sample := result.Sample{At: at.Sub(w.began), Pods: w.pods(), Target: w.target()}
		reconnected := conn == nil
		conn = w.look(ctx, conn, &sample)
		if sample.Watched && !reconnected { // else the server kept us
			sample.Late = time.Since(next)
		}
		w.record(at, sample, w.left())
		if next = next.Add(samplePeriod); next.Before(time.Now()) {
			next = time.Now()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(next)):
		}
	}
}

// look counts connections. It returns the session to go on with, nil where a
// new one has to be opened.
func (w *watcher) look(ctx context.Context, conn *pgx.Conn, into *result.Sample) *pgx.Conn {
	// Not cut off with ctx: a session whose query is cut off is lost.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sampleTimeout)
	defer cancel()
	if conn == nil {
		var err error
		if conn, err = w.database.connect(ctx); err != nil {
			return nil
		}
	}
	rows, err := conn.Query(ctx, sampling)
	if err == nil {
		var role *string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&role, &n, &into.Usable}, func() error {
			into.Used += n
			if role != nil && slices.Contains(autoscalerRoles, *role) {
				into.Autoscaler += n
			}
			return nil
		})
	}
	if err != nil {
		closeConn(conn)
		into.Used, into.Autoscaler, into.Usable = 0, 0, 0
		return nil
	}
	into.Watched = true
	return conn
}

func (w *watcher) record(at time.Time, s result.Sample, left int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples = append(w.samples, s)
	switch {
	case left > 0:
		w.drainedAt = time.Time{}
	case w.drainedAt.IsZero():
		w.drainedAt = at
	}
}

// drained is since when no message has been left; the zero time where some are.
func (w *watcher) drained() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.drainedAt
}

// between returns the samples from one moment to another, counted from the
// first.
func (w *watcher) between(from, until time.Time) []result.Sample {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []result.Sample
	for _, s := range w.samples {
		at := w.began.Add(s.At)
		if !at.Before(from) && !at.After(until) {
			s.At = at.Sub(from)
			out = append(out, s)
		}
	}
	return out
}

func closeConn(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it is gone either way
}
