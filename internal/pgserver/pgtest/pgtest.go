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
		if err := s.Stop(); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return s
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
