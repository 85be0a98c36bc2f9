// Package pgtest gives a test a private PostgreSQL server that ends with it.
package pgtest

import (
	"context"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/pgserver"
)

// Start starts a server with the given settings (nil for the usual ones) and
// stops it when the test ends. The test fails if the machine has no
// PostgreSQL: it is never skipped.
func Start(t testing.TB, settings map[string]string) *pgserver.Server {
	t.Helper()
	// Not t.Context: it ends before the cleanups that may still need the server.
	s, err := pgserver.Start(context.Background(), pgserver.Options{Settings: settings})
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			showLog(t, s)
		}
		if err := s.Stop(); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return s
}

// showLog helps to understand a failed test.
func showLog(t testing.TB, s *pgserver.Server) {
	t.Helper()
	const most = 30
	entries, _, err := s.ReadLog(0)
	if err != nil {
		return // the test has stopped the server itself
	}
	for _, e := range entries[max(0, len(entries)-most):] {
		t.Logf("PostgreSQL: %s %s %s user=%s database=%s client=%v %s",
			e.Time.Format("15:04:05.000"), e.Severity, e.SQLState, e.User, e.Database, e.Client, e.Message)
	}
}

// Exec runs SQL statements as the superuser in the database postgres.
func Exec(t testing.TB, s *pgserver.Server, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Exec(ctx, statements...); err != nil {
		t.Fatalf("prepare PostgreSQL: %v", err)
	}
}
