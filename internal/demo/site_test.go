package demo

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/internal/worker"
)

// leftovers are what the demo has made on a server and not dropped.
func leftovers(t *testing.T, server *pgserver.Server) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.SuperuserDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closeConn(conn); err != nil {
			t.Error(err)
		}
	}()
	err = conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE 'headroom%')
		+ (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'headroom%')`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// On somebody's server: a database with a limit of its own, and nothing left
// behind, by a superuser and by a role that may only create.
func TestLentServer(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, nil)
	pgtest.Exec(t, server, "CREATE ROLE lender LOGIN CREATEROLE CREATEDB")
	s := standard()
	s.maxConnections, s.superuserReserved = 9, 3
	for name, dsn := range map[string]string{
		"superuser, as a URL":          server.SuperuserDSN(),
		"creator, keywords and values": "host=127.0.0.1 port=" + server.Addr()[strings.LastIndex(server.Addr(), ":")+1:] + " user=lender dbname=postgres sslmode=disable",
	} {
		t.Run(name, func(t *testing.T) {
			at, err := lentSite(t.Context(), s, dsn)
			if err != nil {
				t.Fatal(err)
			}
			closed := false
			defer func() {
				if !closed {
					_ = at.close() // the test has failed already
				}
			}()
			if !at.addresses || at.byLog || at.watcher != 0 || at.usable != 6 {
				t.Errorf("%+v: expected addresses, no log, no slot for the watcher, 6 usable", at)
			}
			table, err := at.prepare(t.Context(), "demo_test")
			if err != nil {
				t.Fatal(err)
			}
			session, err := pgx.Connect(t.Context(), at.worker.dsn)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := session.Exec(t.Context(), "INSERT INTO "+table+" (message) VALUES ('1'), ('1'), ('2')"); err != nil {
				t.Error(err)
			}
			if n, err := at.handled(t.Context(), table); n != 2 || err != nil {
				t.Errorf("%d different messages, %v; want 2", n, err)
			}
			// Fill it up: the limit is the database's, and nobody else's.
			conns := []*pgx.Conn{session}
			for range 5 {
				conn, err := pgx.Connect(t.Context(), at.other.dsn)
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, conn)
			}
			if _, err := pgx.Connect(t.Context(), at.monitor.dsn); worker.Refusals(err) != 1 {
				t.Errorf("one connection too many: %v, want a refusal", err)
			}
			if u, err := at.sample(t.Context()); err != nil || u != (used{workers: 1, other: 5}) {
				t.Errorf("%+v, %v; want 1 of the workers and 5 of the other application", u, err)
			}
			for _, conn := range conns {
				if err := closeConn(conn); err != nil {
					t.Error(err)
				}
			}
			if err := at.quiet(t.Context()); err != nil {
				t.Error(err)
			}
			closed = true
			if err := at.close(); err != nil {
				t.Error(err)
			}
			if n := leftovers(t, server); n != 0 {
				t.Errorf("%d databases and roles were left", n)
			}
		})
	}

	t.Run("too small", func(t *testing.T) {
		_, err := lentSite(t.Context(), standard(), server.SuperuserDSN()+"&application_name=x")
		if err != nil {
			t.Errorf("100 connections are enough: %v", err)
		}
		large := standard()
		large.maxConnections = 200
		if _, err := lentSite(t.Context(), large, server.SuperuserDSN()); err == nil || !strings.Contains(err.Error(), "accepts 9") {
			t.Errorf("197 of 97: %v", err)
		}
	})
	t.Run("not allowed", func(t *testing.T) {
		pgtest.Exec(t, server, "CREATE ROLE nobody LOGIN")
		_, err := lentSite(t.Context(), s, server.DSN("nobody", "postgres"))
		if err == nil || !strings.Contains(err.Error(), "CREATEROLE and CREATEDB") {
			t.Errorf("a role without any right: %v", err)
		}
	})
}

// Nothing shows a DSN, whatever is wrong with it.
func TestDSNStaysSecret(t *testing.T) {
	for _, dsn := range []string{
		"postgres://root:hunter2@127.0.0.1:1/x?sslmode=disable",
		"postgres://root:hunter2@127.0.0.1:port/x",
		"host=127.0.0.1 port=1 password=hunter2 user=",
		"hunter2",
	} {
		_, err := lentSite(context.Background(), standard(), dsn)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func TestRewriteDSN(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://root:secret@db.example:5433/app?sslmode=require&user=x&password=y": "postgres://w:p@db.example:5433/demo?sslmode=require",
		"host=db.example user=root": "host=db.example user=root user='w' password='p' dbname='demo'",
	} {
		got, err := rewriteDSN(in, "w", "p", "demo")
		if err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		config, err := pgx.ParseConfig(got)
		if err != nil {
			t.Fatal(err)
		}
		if config.User != "w" || config.Password != "p" || config.Database != "demo" || config.Host != "db.example" {
			t.Errorf("%q is read as %s@%s/%s", got, config.User, config.Host, config.Database)
		}
	}
}
