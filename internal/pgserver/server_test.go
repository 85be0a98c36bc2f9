package pgserver_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/internal/steadyport"
)

// patience is for machines slower than this test's author can imagine.
const patience = 2 * time.Minute

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(deadline(t), dsn)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may be gone
	return conn
}

func ask(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var answer string
	if err := conn.QueryRow(deadline(t), sql).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

// refusedConnect tries to connect from a local address, and returns the
// SQLSTATE of the refusal.
func refusedConnect(t *testing.T, dsn, from string) string {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.DialFunc = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext
	conn, err := pgx.ConnectConfig(deadline(t), config)
	if err == nil {
		_ = conn.Close(deadline(t))
		t.Fatalf("%s from %s: connected, expected a refusal", dsn, from)
	}
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		t.Fatalf("%s from %s: expected a refusal by PostgreSQL, got %v", dsn, from, err)
	}
	return refusal.Code
}

// occupy holds a connection until the end of the test. It tries until it gets
// one, and returns how often it was refused: a refused session still has a
// slot when its client knows already.
func occupy(t *testing.T, dsn string) (refusals int) {
	t.Helper()
	eventually(t, "there is a slot", func() bool {
		conn, err := pgx.Connect(deadline(t), dsn)
		if err != nil {
			refusals++
			return false
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return true
	})
	return refusals
}

// A server's whole life: work, a restart with half the connections, a crash,
// a hang, the end.
func TestLife(t *testing.T) {
	t.Parallel()
	dir := parentDir(t)
	s, err := pgserver.Start(t.Context(), pgserver.Options{
		Dir:      dir,
		Settings: map[string]string{"max_connections": "20", "rds.rds_reserved_connections": "2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	addr := s.Addr()
	pgtest.Exec(t, s, "CREATE ROLE worker LOGIN", "CREATE DATABASE orders", "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")

	conn := connect(t, s.DSN("worker", "orders"))
	for setting, want := range map[string]string{
		"max_connections": "20", "rds.rds_reserved_connections": "2", "autovacuum": "off",
		"timezone": "UTC", "fsync": "off", "lc_collate": "C", "server_encoding": "UTF8",
	} {
		if setting == "lc_collate" && s.Major() >= 16 {
			continue // a property of the database since 16
		}
		if got := ask(t, conn, "SELECT current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got, want := ask(t, conn, "SELECT current_setting('server_version_num')::int/10000 || ''"), fmt.Sprint(s.Major()); got != want {
		t.Errorf("Major is %s, the server says %s", want, got)
	}

	// Half the connections. Sessions are cut off; data and port stay.
	if err := s.Restart(deadline(t), map[string]string{"max_connections": "10"}); err != nil {
		t.Fatal(err)
	}
	var cut *pgconn.PgError
	if _, err := conn.Exec(deadline(t), "SELECT 1"); err == nil {
		t.Error("the session survived a restart")
	} else if errors.As(err, &cut) && cut.Code != "57P01" {
		t.Errorf("the session ended with SQLSTATE %s, want 57P01 (admin_shutdown)", cut.Code)
	}
	conn = connect(t, s.SuperuserDSN())
	if got := ask(t, conn, "SHOW max_connections"); got != "10" {
		t.Errorf("max_connections is %s after the restart, want 10", got)
	}

	// A crash: connections are refused by the kernel, and after a new start the
	// overrides of the restart still hold.
	if _, err := conn.Exec(deadline(t), "UPDATE kept SET n = 8"); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil { // right after the commit, which outlives it
		t.Fatal(err)
	}
	if _, err := conn.Exec(deadline(t), "SELECT 1"); err == nil {
		t.Error("the session survived a crash")
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Error("a killed server accepts connections")
	}
	if err := s.Start(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(deadline(t)); err != nil {
		t.Errorf("start of a running server: %v", err)
	}
	if s.Addr() != addr {
		t.Errorf("address changed from %s to %s", addr, s.Addr())
	}
	conn = connect(t, s.SuperuserDSN())
	if got := ask(t, conn, "SHOW max_connections"); got != "10" {
		t.Errorf("max_connections is %s after the crash, want 10", got)
	}
	if got := ask(t, conn, "SELECT n::text FROM kept"); got != "8" {
		t.Errorf("the table holds %s, want 8", got)
	}

	// A hang: nothing answers, old sessions and new ones alike, until Resume.
	if err := s.Pause(deadline(t)); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := conn.Exec(deadline(t), "SELECT 1")
		answered <- err
	}()
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if c, err := pgx.Connect(short, s.SuperuserDSN()); err == nil {
		_ = c.Close(deadline(t))
		t.Error("a paused server let somebody in")
	}
	select {
	case err := <-answered:
		t.Errorf("a paused server answered: %v", err)
	default:
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("after Resume: %v", err)
	}

	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("Stop left %v (%v)", left, err)
	}
	for name, err := range map[string]error{
		"Start": s.Start(deadline(t)), "Restart": s.Restart(deadline(t), nil),
	} {
		if !errors.Is(err, pgserver.ErrStopped) {
			t.Errorf("%s after Stop: %v, want ErrStopped", name, err)
		}
	}
}

// parentDir is a directory that the user postgres can enter, unlike t.TempDir.
func parentDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pgserver-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Every kind of "full" is counted by user, with the address of who was
// refused.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, map[string]string{"max_connections": "6", "superuser_reserved_connections": "2"})
	pgtest.Exec(t, s,
		"CREATE ROLE holder LOGIN", "CREATE ROLE worker LOGIN", "CREATE ROLE web LOGIN",
		"CREATE ROLE few LOGIN CONNECTION LIMIT 0", "CREATE DATABASE small CONNECTION LIMIT 0")
	if got, err := s.Refusals(); err != nil || len(got) != 0 {
		t.Fatalf("refusals of a new server: %v, %v", got, err)
	}
	_, offset, err := s.ReadLog(0)
	if err != nil {
		t.Fatal(err)
	}

	refuse := func(user, database, from string) {
		t.Helper()
		if code := refusedConnect(t, s.DSN(user, database), from); code != pgserver.TooManyConnections {
			t.Errorf("%s@%s: SQLSTATE %s, want 53300", user, database, code)
		}
	}
	refuse("few", "postgres", "127.1.0.1")
	refuse("web", "small", "127.1.0.2")
	early := map[string]int{} // refusals on the way to a full server
	for range 4 {
		early["holder"] += occupy(t, s.DSN("holder", "postgres"))
	}
	refuse("worker", "postgres", "127.1.0.3") // into the reserved slots
	for range 2 {
		early["postgres"] += occupy(t, s.SuperuserDSN())
	}
	refuse("worker", "postgres", "127.1.2.4") // no slot at all
	refuse("postgres", "postgres", "127.1.2.5")
	// Not a matter of room.
	if code := refusedConnect(t, s.DSN("web", "absent"), "127.0.0.1"); code != pgserver.TooManyConnections {
		t.Errorf("absent database on a full server: SQLSTATE %s, want 53300", code)
	}

	got, err := s.Refusals()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"few": 1, "web": 2, "worker": 2, "postgres": 1 + early["postgres"]}
	if n := early["holder"]; n > 0 {
		want["holder"] = n
	}
	if !maps.Equal(got, want) {
		t.Errorf("refusals %v, want %v", got, want)
	}

	entries, next, err := s.ReadLog(offset)
	if err != nil {
		t.Fatal(err)
	}
	var from []string
	for _, e := range entries {
		if !e.Refused() || e.User == pgserver.Superuser || e.User == "holder" {
			continue
		}
		from = append(from, e.User+"@"+e.Database+" "+e.Client.Addr().String())
		if age := time.Since(e.Time); age < -time.Second || age > patience {
			t.Errorf("%+v: logged %v ago", e, age)
		}
		if e.Message == "" || e.Client.Port() == 0 || e.Application != "" {
			t.Errorf("%+v: expected a message, a port and no application", e)
		}
	}
	wantFrom := "few@postgres 127.1.0.1, web@small 127.1.0.2, worker@postgres 127.1.0.3, " +
		"worker@postgres 127.1.2.4, web@absent 127.0.0.1"
	if got := strings.Join(from, ", "); got != wantFrom {
		t.Errorf("refused\n%s, want\n%s", got, wantFrom)
	}
	if entries, again, err := s.ReadLog(next); err != nil || len(entries) != 0 || again != next {
		t.Errorf("nothing happened, but the log went on: %v, %d after %d, %v", entries, again, next, err)
	}
}

// A server that cannot start says why, in PostgreSQL's own words, and leaves
// nothing behind.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings map[string]string
		want     []string
	}{
		"refused by PostgreSQL": {map[string]string{"max_connections": "many"}, []string{`"max_connections"`, `"many"`}},
		"contradictory": {map[string]string{"max_connections": "5", "superuser_reserved_connections": "5"},
			[]string{"superuser_reserved_connections"}},
		"ours, no name and two lines": {map[string]string{"port": "1", "a b": "1", "work_mem": "1\nfsync = on"},
			[]string{"setting port: is set by pgserver", `setting "a b"`, "setting work_mem"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := parentDir(t)
			s, err := pgserver.Start(deadline(t), pgserver.Options{Dir: dir, Settings: c.settings})
			if err == nil {
				_ = s.Stop()
				t.Fatal("started")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error does not mention %q: %v", want, err)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
		})
	}
}

// After a restart that failed, Start brings the server back as it was.
func TestFailedRestart(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, map[string]string{"max_connections": "12"})
	if err := s.Restart(deadline(t), map[string]string{"max_connections": "-1"}); err == nil {
		t.Fatal("restarted with max_connections = -1")
	}
	if err := s.Pause(deadline(t)); err == nil {
		t.Error("paused a server that is down")
	}
	if err := s.Start(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, connect(t, s.SuperuserDSN()), "SHOW max_connections"); got != "12" {
		t.Errorf("max_connections is %s, want 12", got)
	}
}

// A demoted server is a standby until it is promoted.
func TestDemote(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, nil)
	inRecovery := func() string {
		return ask(t, connect(t, s.SuperuserDSN()), "SELECT pg_is_in_recovery()::text")
	}
	if got := inRecovery(); got != "false" {
		t.Errorf("a new server: in recovery is %s", got)
	}
	if err := s.Demote(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if got := inRecovery(); got != "true" {
		t.Errorf("demoted: in recovery is %s", got)
	}
	pgtest.Exec(t, s, "SELECT pg_promote()")
	if got := inRecovery(); got != "false" {
		t.Errorf("promoted: in recovery is %s", got)
	}
	if err := s.Restart(deadline(t), nil); err != nil {
		t.Fatal(err)
	}
	if got := inRecovery(); got != "false" {
		t.Errorf("promoted and restarted: in recovery is %s", got)
	}
}

// Two servers can be told apart by PostgreSQL's own means.
func TestIdentity(t *testing.T) {
	t.Parallel()
	const identity = "SELECT system_identifier::text FROM pg_control_system()"
	a, b := pgtest.Start(t, nil), pgtest.Start(t, nil)
	if a, b := ask(t, connect(t, a.SuperuserDSN()), identity), ask(t, connect(t, b.SuperuserDSN()), identity); a == b {
		t.Errorf("both servers are %s", a)
	}
}

// A port that is asked for is used, or the reason why not is given.
func TestPort(t *testing.T) {
	t.Parallel()
	port, err := steadyport.Port()
	if err != nil {
		t.Fatal(err)
	}
	s, err := pgserver.Start(deadline(t), pgserver.Options{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	if want := fmt.Sprintf("127.0.0.1:%d", port); s.Addr() != want {
		t.Errorf("address %s, want %s", s.Addr(), want)
	}
	if second, err := pgserver.Start(deadline(t), pgserver.Options{Port: port}); err == nil {
		_ = second.Stop()
		t.Error("two servers on one port")
	} else if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second server on one port: %v, want EADDRINUSE", err)
	}
}

// A server that dies by itself can be started again.
func TestDeath(t *testing.T) {
	t.Parallel()
	dir := parentDir(t)
	s, err := pgserver.Start(deadline(t), pgserver.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	files, err := filepath.Glob(filepath.Join(dir, "*", "data", "postmaster.pid"))
	if err != nil || len(files) != 1 {
		t.Fatalf("postmaster.pid: %v (%v)", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(data), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server runs again", func() bool {
		if err := s.Start(deadline(t)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(files[0])
		return err == nil && !strings.HasPrefix(string(data), first+"\n")
	})
	pgtest.Exec(t, s, "SELECT 1")
}

// The end of the context is the end of the server.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	dir := parentDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := pgserver.Start(ctx, pgserver.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	// Stop waits for the stop that the context began, or does it itself.
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	if s, err := pgserver.Start(ctx, pgserver.Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("start with an ended context: %v, %v", s, err)
	}
}
