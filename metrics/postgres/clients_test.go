package postgres_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/postgres"
)

// patience is for a slow and busy machine; nothing here waits that long unless
// it fails.
const patience = time.Minute

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// until waits for a condition.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx := deadline(t)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-ticker.C:
		}
	}
}

// client is a session of somebody else: a worker, another application.
type client struct{ *pgx.Conn }

// dialAs opens a session from its own address, as every pod has one ("" for any).
// When the session is closed, or refused, the server has let go of its slot.
func dialAs(ctx context.Context, dsn, address, application string, change ...func(*pgx.ConnConfig)) (client, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return client{}, err
	}
	if application != "" {
		config.RuntimeParams["application_name"] = application
	}
	for _, change := range change {
		change(config)
	}
	config.DialFunc = func(ctx context.Context, network, to string) (net.Conn, error) {
		var dialer net.Dialer
		if address != "" {
			dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(address)}
		}
		conn, err := dialer.DialContext(ctx, network, to)
		if err != nil {
			return nil, err
		}
		return farewell{conn}, nil
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	return client{conn}, err
}

// farewell is closed only when the server has closed its end. The kernel does
// that when the backend has ended, and then its slot is free: a backend that
// refuses a client holds one a little longer than the client is told.
type farewell struct{ net.Conn }

func (c farewell) Close() error {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, c.Conn)
	return c.Conn.Close()
}

// connect is dialAs for a session that must succeed; it ends with the test.
func connect(t testing.TB, dsn, address, application string, change ...func(*pgx.ConnConfig)) client {
	t.Helper()
	c, err := dialAs(deadline(t), dsn, address, application, change...)
	if err != nil {
		t.Fatalf("open a session of another client: %v", err)
	}
	t.Cleanup(func() { c.leave() })
	return c
}

func (c client) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = c.Close(ctx) // it may have been killed with its server
}

func (c client) exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := c.Exec(deadline(t), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func (c client) number(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	if err := c.QueryRow(deadline(t), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (c client) text(t testing.TB, query string, args ...any) (text string) {
	t.Helper()
	if err := c.QueryRow(deadline(t), query, args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

// isFull reports whether a session was refused because a limit was reached.
func isFull(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && answer.Code == pgserver.TooManyConnections
}

// fixed is a DSN that does not change.
func fixed(text string) postgres.DSN {
	return postgres.DSN{Origin: "the test", Read: func(context.Context) (string, error) { return text, nil }}
}

// open opens a source that ends with the test.
func open(t testing.TB, options postgres.Options) *postgres.Source {
	t.Helper()
	source := postgres.Open(options)
	t.Cleanup(func() { _ = source.Close() })
	return source
}

func read(t testing.TB, source *postgres.Source) metrics.Database {
	t.Helper()
	d, err := source.Read(deadline(t))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return d
}

// limits returns the constraints' limits by name.
func limits(d metrics.Database) map[string]int {
	all := map[string]int{}
	for _, c := range d.Constraints {
		all[c.Name] = c.Limit
	}
	return all
}

// shopServer is a server with a monitor that may see all and one that may not,
// two roles of applications, and their databases.
func shopServer(t testing.TB, settings map[string]string) *pgserver.Server {
	t.Helper()
	server := pgtest.Start(t, settings)
	pgtest.Exec(t, server, shop...)
	return server
}

var shop = []string{
	"CREATE ROLE monitor LOGIN", "GRANT pg_monitor TO monitor", "CREATE ROLE bystander LOGIN",
	"CREATE ROLE worker LOGIN", "CREATE ROLE web LOGIN", "CREATE ROLE boss LOGIN SUPERUSER",
	"CREATE DATABASE shop", "CREATE DATABASE audit",
}

// file writes a file of the test's own.
func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dsn")
	replace(t, path, content)
	return path
}

func replace(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
