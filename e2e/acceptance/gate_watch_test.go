package acceptance

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keda-headroom/headroom/internal/pgserver"
)

// watch is what a site's server held, as a superuser saw it several times a second.
type watch struct {
	mu   sync.Mutex
	seen []held
}

// held is what was open at one moment: all sessions of clients, and those of the
// role worker; usable is what everybody but superusers may open.
type held struct {
	at                    time.Time
	used, workers, usable int
}

func (h held) free() int { return h.usable - h.used }

const watchPeriod = 100 * time.Millisecond

const watching = `SELECT count(*)::int, count(*) FILTER (WHERE usename = 'worker')::int,
	current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
	FROM pg_stat_activity WHERE backend_type = 'client backend'`

// watch watches the site's server until the test ends. It takes a connection.
func (s *site) watch() *watch {
	w := &watch{}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { w.run(ctx, s.database.DSN(pgserver.Superuser, "postgres")) })
	s.t.Cleanup(func() { cancel(); ended.Wait() })
	return w
}

func (w *watch) run(ctx context.Context, dsn string) {
	ticker := time.NewTicker(watchPeriod)
	defer ticker.Stop()
	var conn *pgx.Conn
	leave := func() {
		if conn != nil {
			last, cancel := context.WithTimeout(context.Background(), time.Second)
			_ = conn.Close(last) // it is gone either way
			cancel()
			conn = nil
		}
	}
	defer leave()
	for {
		h, err := w.look(&conn, dsn)
		if err != nil {
			leave() // the server is away: another session will do
		} else {
			w.mu.Lock()
			w.seen = append(w.seen, h)
			w.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look opens a session where there is none.
func (w *watch) look(conn **pgx.Conn, dsn string) (h held, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if *conn == nil {
		if *conn, err = pgx.Connect(ctx, dsn); err != nil {
			*conn = nil
			return held{}, err
		}
	}
	err = (*conn).QueryRow(ctx, watching).Scan(&h.used, &h.workers, &h.usable)
	h.at = time.Now()
	return h, err
}

// since are the moments from one on.
func (w *watch) since(from time.Time) []held {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []held
	for _, h := range w.seen {
		if !h.at.Before(from) {
			out = append(out, h)
		}
	}
	return out
}

// now is the latest.
func (w *watch) now() (held, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) == 0 {
		return held{}, fmt.Errorf("the server was not looked at yet")
	}
	return w.seen[len(w.seen)-1], nil
}

// most has the most that each was.
func (w *watch) most() (most held) {
	for _, h := range w.since(time.Time{}) {
		most.used, most.workers, most.usable = max(most.used, h.used), max(most.workers, h.workers), max(most.usable, h.usable)
	}
	return most
}
