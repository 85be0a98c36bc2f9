package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/internal/tcpforward"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/postgres"
)

// failed reads in vain, and returns what the error says.
func failed(t testing.TB, source *postgres.Source) string {
	t.Helper()
	d, err := source.Read(deadline(t))
	if err == nil {
		t.Fatalf("expected an error, read %+v", d)
	}
	return err.Error()
}

func expectWords(t testing.TB, message string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(message, word) {
			t.Errorf("expected %q in the error %q", word, message)
		}
	}
}

func TestAFullServerIsAReading(t *testing.T) {
	server := shopServer(t, map[string]string{"max_connections": "8", "superuser_reserved_connections": "2"})
	referee := connect(t, server.SuperuserDSN(), "", "")
	kept := open(t, postgres.Options{DSN: fixed(server.DSN("monitor", "shop")), Logins: []postgres.Login{{User: "worker"}}, Renew: time.Nanosecond})
	if free, ok := read(t, kept).Free("worker", ""); free != 4 || !ok {
		t.Fatalf("free %d, %t; expected 6 - our session - the referee's", free, ok)
	}

	var crowd []client
	ctx := deadline(t)
	for len(crowd) < 4 {
		c, err := dialAs(ctx, server.DSN("worker", "shop"), "", "")
		if isFull(err) {
			continue // a session that ended is still letting go of its slot
		}
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
	}
	if _, err := dialAs(ctx, server.DSN("worker", "shop"), "", ""); !isFull(err) {
		t.Fatalf("expected a full server, found %v", err)
	}
	late := open(t, postgres.Options{DSN: fixed(server.DSN("monitor", "shop")), Logins: []postgres.Login{{User: "worker"}}})
	d := read(t, late)
	if !d.Full || d.Server != "" || d.Name != "" || len(d.Constraints)+len(d.Logins)+len(d.Sessions) != 0 {
		t.Errorf("a source that comes to a full server read %+v, expected Full alone", d)
	}
	if free, ok := d.Free("worker", "shop"); free != 0 || !ok {
		t.Errorf("free %d, %t; expected 0", free, ok)
	}

	// The session that was there before still sees who holds what. It is not
	// renewed though its time has come: that would take a slot.
	d = read(t, kept)
	if free, ok := d.Free("worker", ""); d.Full || free != 0 || !ok {
		t.Errorf("free %d, %t, full %t; expected 0 and not full", free, ok, d.Full)
	}
	if c, _ := d.Constraint("server"); d.Used(c) != 6 {
		t.Errorf("%d slots used, expected 6", d.Used(c))
	}

	// The same over a DSN that tries TLS first, which this server does not do.
	prefer := open(t, postgres.Options{DSN: fixed(strings.Replace(server.DSN("monitor", "shop"), "sslmode=disable", "sslmode=prefer", 1))})
	if d := read(t, prefer); !d.Full {
		t.Errorf("with sslmode=prefer read %+v, expected Full", d)
	}
	// A role's limit can be what refuses us.
	for _, c := range crowd {
		c.leave()
	}
	referee.exec(t, "ALTER ROLE bystander CONNECTION LIMIT 0")
	if d := read(t, open(t, postgres.Options{DSN: fixed(server.DSN("bystander", "shop"))})); !d.Full {
		t.Errorf("beyond its own role's limit the source read %+v, expected Full", d)
	}
	if d := read(t, late); d.Full || len(d.Sessions) == 0 {
		t.Errorf("after the crowd has left read %+v", d)
	}
}

func TestARestartGivesNewLimitsAndANewIdentity(t *testing.T) {
	server := shopServer(t, map[string]string{"max_connections": "20"})
	source := open(t, postgres.Options{DSN: fixed(server.DSN("monitor", "shop"))})
	before := read(t, source)
	if err := server.Restart(deadline(t), map[string]string{"max_connections": "10"}); err != nil {
		t.Fatal(err)
	}
	after := read(t, source) // at once: the session that broke is replaced within the read
	if before.Server == after.Server || limits(before)["server"] != 17 || limits(after)["server"] != 7 {
		t.Errorf("limits %v then %v, identities %q then %q; expected 17 then 7 and two identities",
			limits(before), limits(after), before.Server, after.Server)
	}

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	expectWords(t, failed(t, source), server.Addr(), `user "monitor"`, `database "shop"`, "connection refused")
	if err := server.Start(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if again := read(t, source); again.Server == after.Server || limits(again)["server"] != 7 {
		t.Errorf("after a crash: %+v", again)
	}

	// Somebody terminates our session.
	pgtest.Exec(t, server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headroom'")
	read(t, source)
}

func TestAServerThatHangs(t *testing.T) {
	server := shopServer(t, nil)
	dsn := fixed(server.DSN("monitor", "shop"))
	const short = 300 * time.Millisecond
	kept := open(t, postgres.Options{DSN: dsn})
	patient := open(t, postgres.Options{DSN: dsn})
	hasty := open(t, postgres.Options{DSN: dsn, Timeout: short})
	read(t, kept)
	read(t, patient)
	read(t, hasty)
	if err := server.Pause(deadline(t)); err != nil {
		t.Fatal(err)
	}

	// The context of a read ends it.
	ctx, cancel := context.WithTimeout(deadline(t), short)
	defer cancel()
	if _, err := kept.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, expected one that wraps DeadlineExceeded", err)
	} else {
		expectWords(t, err.Error(), "cannot read PostgreSQL at "+server.Addr(), "no answer in time")
	}
	// So do the timeouts of the source: of a query, and of a connection.
	expectWords(t, failed(t, hasty), "cannot read PostgreSQL at "+server.Addr(), "no answer in time")
	fresh := open(t, postgres.Options{DSN: dsn, ConnectTimeout: short})
	expectWords(t, failed(t, fresh), "cannot connect to PostgreSQL at "+server.Addr(), "no answer in time")

	// And so does Close, which leaves nothing running.
	ended := make(chan error, 1)
	go func() {
		_, err := patient.Read(context.Background())
		ended <- err
	}()
	closed := time.Now()
	_ = patient.Close()
	if err := <-ended; !errors.Is(err, postgres.ErrClosed) {
		t.Errorf("error %v, expected ErrClosed", err)
	}
	if took := time.Since(closed); took > 5*time.Second {
		t.Errorf("Close took %s though the server hangs", took)
	}
	if _, err := patient.Read(deadline(t)); !errors.Is(err, postgres.ErrClosed) {
		t.Errorf("after Close: %v, expected ErrClosed", err)
	}

	// A read that waits for another one gives up in its own time.
	slow := make(chan error, 1)
	go func() {
		_, err := fresh.Read(context.Background())
		slow <- err
	}()
	if _, err := fresh.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, expected one that wraps DeadlineExceeded", err)
	}
	if err := <-slow; err == nil {
		t.Error("expected an error of a server that hangs")
	}

	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	read(t, kept)
	read(t, hasty)
}

func TestANameThatLeadsToAnotherServer(t *testing.T) {
	old, next := shopServer(t, map[string]string{"max_connections": "20"}), shopServer(t, map[string]string{"max_connections": "30"})
	name, err := tcpforward.Listen(old.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = name.Close() })
	dsn := fixed(pgserver.DSN(name.Addr(), "monitor", "shop"))
	source := open(t, postgres.Options{DSN: dsn, Renew: time.Nanosecond})
	lazy := open(t, postgres.Options{DSN: dsn, Renew: -1})
	direct := read(t, open(t, postgres.Options{DSN: fixed(old.DSN("monitor", "shop"))}))
	first := read(t, source)
	read(t, lazy)
	if first.Server != direct.Server {
		t.Errorf("identity %q by the name and %q directly, expected the same", first.Server, direct.Server)
	}
	point := func(to *pgserver.Server) {
		t.Helper()
		if err := name.SetTarget(to.Addr()); err != nil {
			t.Fatal(err)
		}
	}

	// The old server still runs and our session on it is fine; only a new session
	// can tell that the name has moved.
	point(next)
	moved := read(t, source)
	if moved.Server == first.Server || limits(moved)["server"] != 27 {
		t.Errorf("identity %q, limits %v; expected the new server's", moved.Server, limits(moved))
	}
	if d := read(t, lazy); d.Server != first.Server {
		t.Errorf("a source that never renews read %q, expected the old server %q", d.Server, first.Server)
	}

	// A server that was demoted is reported, and the next read goes by the name.
	point(old)
	if err := old.Demote(deadline(t)); err != nil {
		t.Fatal(err)
	}
	demoted := read(t, lazy)
	if !demoted.ReadOnly {
		t.Errorf("read %+v of a server in recovery, expected ReadOnly", demoted)
	}
	point(next)
	if d := read(t, lazy); d.ReadOnly || d.Server != moved.Server {
		t.Errorf("read %q, read-only %t; expected the new server %q", d.Server, d.ReadOnly, moved.Server)
	}
	// With target_session_attrs a server in recovery is never read.
	picky := open(t, postgres.Options{DSN: fixed(old.DSN("monitor", "shop") + "&target_session_attrs=read-write")})
	expectWords(t, failed(t, picky), "cannot connect to PostgreSQL at "+old.Addr(), "read only")
	both := strings.Replace(old.DSN("monitor", "shop"), old.Addr(), old.Addr()+","+next.Addr(), 1) + "&target_session_attrs=read-write"
	if d := read(t, open(t, postgres.Options{DSN: fixed(both)})); d.Server != moved.Server {
		t.Errorf("of two hosts read %q, expected the one that can be written to, %q", d.Server, moved.Server)
	}
	pgtest.Exec(t, old, "SELECT pg_promote()")

	// While the name leads nowhere, the readings of the old session are not
	// believed, but the session is kept.
	read(t, source)
	if err := name.Refuse(); err != nil {
		t.Fatal(err)
	}
	expectWords(t, failed(t, source), "connection refused")
	point(next)
	if d := read(t, source); d.Server != moved.Server {
		t.Errorf("read %q, expected %q", d.Server, moved.Server)
	}

	// The name moves to a server that is full: the old one's free slots are not
	// what the workers will find.
	pgtest.Exec(t, old, "ALTER ROLE monitor CONNECTION LIMIT 0")
	point(old)
	if d := read(t, source); !d.Full {
		t.Errorf("read %+v, expected Full", d)
	}
}

func TestReadInTheZeroReading(t *testing.T) {
	source := postgres.Open(postgres.Options{DSN: fixed("postgres://monitor@127.0.0.1:1/shop")})
	canceled, cancel := context.WithCancel(deadline(t))
	cancel()
	if d, err := source.Read(canceled); !errors.Is(err, context.Canceled) || d.Server != "" || len(d.Constraints) != 0 {
		t.Errorf("read %+v, %v; expected nothing and Canceled", d, err)
	}
	_ = source.Close()
	_ = source.Close()
	if _, err := source.Read(deadline(t)); !errors.Is(err, postgres.ErrClosed) {
		t.Errorf("error %v, expected ErrClosed", err)
	}
	var _ interface {
		Read(context.Context) (metrics.Database, error)
		Close() error
	} = source
}
