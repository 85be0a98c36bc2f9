package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/worker"
)

// site is the PostgreSQL that the demo runs against: a private server, or a
// database of its own on a server that was lent to it.
type site struct {
	about    string // for the report, without any secret
	database string
	worker   login
	other    login
	monitor  login
	// usable is how many connections ordinary roles can hold.
	usable int
	// watcher is 1 where the watching session takes one of them.
	watcher int
	// addresses is true where clients may connect from addresses of their own
	// in 127.0.0.0/8, and the server sees them.
	addresses bool
	// byLog is true where the server's log can be read.
	byLog bool

	// watching is a session that is opened before anything fills up and kept.
	mu       sync.Mutex // a session serves one at a time
	watching *pgx.Conn
	sampling string // the query that counts

	server  *pgserver.Server // nil where it was lent
	cleanup []string         // statements, for a server that was lent
}

// login is a role and how it reaches the site's database.
type login struct{ role, dsn string }

// Where clients connect from, each from an address of its own.
const otherAddress = "127.2.0.1"

func podAddress(run, index int) string {
	return fmt.Sprintf("127.1.%d.%d", run*4+index/250, index%250+1)
}

// privateSite starts a server of our own.
func privateSite(ctx context.Context, s scenario) (*site, error) {
	server, err := pgserver.Start(ctx, pgserver.Options{Settings: map[string]string{
		"max_connections":                strconv.Itoa(s.maxConnections),
		"superuser_reserved_connections": strconv.Itoa(s.superuserReserved),
	}})
	if err != nil {
		return nil, err
	}
	const database = "shop"
	at := &site{
		about:    fmt.Sprintf("a private PostgreSQL %d with max_connections %d, %d of them for superusers", server.Major(), s.maxConnections, s.superuserReserved),
		database: database, usable: s.usable(), watcher: 1, addresses: true, byLog: true, server: server,
		worker:  login{"worker", server.DSN("worker", database)},
		other:   login{"web", server.DSN("web", database)},
		monitor: login{"headroom_monitor", server.DSN("headroom_monitor", database)},
		sampling: `SELECT count(*) FILTER (WHERE usename = $1), count(*) FILTER (WHERE usename = $2), count(*)
			FROM pg_stat_activity WHERE backend_type = 'client backend'`,
	}
	err = server.Exec(ctx, "CREATE DATABASE "+database,
		"CREATE ROLE worker LOGIN", "CREATE ROLE web LOGIN", "CREATE ROLE headroom_monitor LOGIN", "GRANT pg_monitor TO headroom_monitor")
	if err == nil {
		// A superuser: reserved slots let it in, whatever happens.
		at.watching, err = pgx.Connect(ctx, server.DSN(pgserver.Superuser, database))
	}
	if err != nil {
		return nil, errors.Join(err, at.close())
	}
	return at, nil
}

// lentSite makes a database and roles of our own on somebody's server. The
// database gets a CONNECTION LIMIT, so that filling it takes nothing from
// anybody.
func lentSite(ctx context.Context, s scenario, dsn string) (at *site, err error) {
	admin, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("connect with --dsn: %w", hideDSN(err, dsn))
	}
	defer func() { err = errors.Join(err, closeConn(admin)) }()
	free, err := freeOn(ctx, admin)
	if err != nil {
		return nil, err
	}
	if wanted := s.usable() + 5; free < wanted {
		return nil, fmt.Errorf("the server of --dsn accepts %d more connections, the demo fills up to %d and leaves a few: raise max_connections, or let the demo start a server of its own", free, s.usable())
	}
	suffix := strings.ToLower(rand.Text()[:8])
	at = &site{
		about: fmt.Sprintf("a database on the server of --dsn, with CONNECTION LIMIT %d", s.usable()), database: "headroom_demo_" + suffix,
		usable: s.usable(),
	}
	at.sampling = fmt.Sprintf(`SELECT count(*) FILTER (WHERE usename = $1), count(*) FILTER (WHERE usename = $2), count(*)
		FROM pg_stat_activity WHERE datname = '%s'`, at.database)
	database := pgx.Identifier{at.database}.Sanitize()
	failed := func(err error) (*site, error) { return nil, errors.Join(err, at.close()) }
	if at.watching, err = pgx.Connect(ctx, dsn); err != nil {
		return failed(hideDSN(err, dsn))
	}
	for _, l := range []struct {
		login *login
		name  string
	}{{&at.worker, "worker"}, {&at.other, "web"}, {&at.monitor, "monitor"}} {
		role, password := "headroom_demo_"+suffix+"_"+l.name, rand.Text()
		if l.login.dsn, err = rewriteDSN(dsn, role, password, at.database); err != nil {
			return failed(err)
		}
		l.login.role = role
		if _, err := admin.Exec(ctx, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", pgx.Identifier{role}.Sanitize(), password)); err != nil {
			return failed(fmt.Errorf("create a role with --dsn, which has to be a superuser's or one's with CREATEROLE and CREATEDB: %w", err))
		}
		at.cleanup = append(at.cleanup, "DROP ROLE "+pgx.Identifier{role}.Sanitize())
	}
	if _, err := admin.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s CONNECTION LIMIT %d", database, s.usable())); err != nil {
		return failed(fmt.Errorf("create a database with --dsn, which has to be a superuser's or one's with CREATEROLE and CREATEDB: %w", err))
	}
	at.cleanup = append([]string{"DROP DATABASE " + database}, at.cleanup...)
	if at.addresses, err = seesAddresses(ctx, at.other.dsn); err != nil {
		return failed(err)
	}
	if at.addresses {
		// Only who may see addresses can tell pods apart by them.
		if _, err := admin.Exec(ctx, "GRANT pg_monitor TO "+pgx.Identifier{at.monitor.role}.Sanitize()); err != nil {
			at.addresses = false
		}
	}
	return at, nil
}

// freeOn is how many more connections an ordinary role gets.
func freeOn(ctx context.Context, conn *pgx.Conn) (int, error) {
	var free int
	err := conn.QueryRow(ctx, `SELECT sum(CASE name WHEN 'max_connections' THEN v ELSE -v END)::int
			- (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL)::int
		FROM (SELECT n, COALESCE(NULLIF(current_setting(n, true), ''), '0')::int FROM unnest(ARRAY['max_connections',
			'superuser_reserved_connections', 'reserved_connections', 'rds.rds_reserved_connections', 'rds.rds_superuser_reserved_connections']) n) s(name, v)`).Scan(&free)
	if err != nil {
		return 0, fmt.Errorf("read the limits of the server of --dsn: %w", err)
	}
	return free, nil
}

// seesAddresses tries whether a client may come from an address of its own, and
// is seen under it: not through a proxy, and not where pg_hba.conf knows only
// 127.0.0.1.
func seesAddresses(ctx context.Context, dsn string) (bool, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return false, errors.New("the rewritten --dsn can't be read") // the error would quote it
	}
	const from = "127.1.255.1"
	config.DialFunc = worker.DialFrom(from)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, ctx.Err()
	}
	var seen string
	err = conn.QueryRow(ctx, "SELECT COALESCE(host(inet_client_addr()), '')").Scan(&seen)
	return seen == from, errors.Join(err, closeConn(conn))
}

// rewriteDSN is the DSN of another role for another database of the same server.
func rewriteDSN(dsn, role, password, database string) (string, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		// Keywords and values: the last of each counts.
		return fmt.Sprintf("%s user='%s' password='%s' dbname='%s'", dsn, role, password, database), nil
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return "", errors.New("--dsn is no URL that can be read") // the error would quote it
	}
	u.User, u.Path = url.UserPassword(role, password), "/"+database
	query := u.Query()
	for _, key := range []string{"user", "password", "dbname", "database"} {
		query.Del(key)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// hideDSN keeps an error that quotes a DSN from showing it.
func hideDSN(err error, dsn string) error {
	if strings.Contains(err.Error(), dsn) {
		return errors.New("it can't be read: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE or keywords and values")
	}
	return err
}

// prepare makes a fresh schema for one run, and returns the name of its table.
func (at *site) prepare(ctx context.Context, run string) (table string, err error) {
	table = pgx.Identifier{run, "handled"}.Sanitize()
	schema, role := pgx.Identifier{run}.Sanitize(), pgx.Identifier{at.worker.role}.Sanitize()
	statements := []string{
		"CREATE SCHEMA " + schema,
		"CREATE TABLE " + table + " (message text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())",
		"GRANT USAGE ON SCHEMA " + schema + " TO " + role,
		"GRANT INSERT ON " + table + " TO " + role,
	}
	return table, at.owner(ctx, func(conn *pgx.Conn) error {
		for _, sql := range statements {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("prepare a run: %s: %w", sql, err)
			}
		}
		return nil
	})
}

// handled returns how many different messages are in a run's table.
func (at *site) handled(ctx context.Context, table string) (n int, err error) {
	err = at.owner(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT count(DISTINCT message) FROM "+table).Scan(&n)
	})
	return n, err
}

// owner calls do with a session in the site's database, of whoever owns it.
func (at *site) owner(ctx context.Context, do func(*pgx.Conn) error) error {
	if at.server != nil { // it is there already
		at.mu.Lock()
		defer at.mu.Unlock()
		return do(at.watching)
	}
	config := at.watching.Config().Copy()
	config.Database = at.database
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), closeConn(conn))
}

// sample counts connections.
func (at *site) sample(ctx context.Context) (u used, err error) {
	at.mu.Lock()
	defer at.mu.Unlock()
	// A session whose query is cut off is lost: let it end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var all int
	err = at.watching.QueryRow(ctx, at.sampling, at.worker.role, at.other.role).Scan(&u.workers, &u.other, &all)
	u.rest = all - u.workers - u.other
	return u, err
}

// logged returns the refusals in the server's log from an offset on, by role.
func (at *site) logged(from int64) (byRole map[string]int, next int64, err error) {
	entries, next, err := at.server.ReadLog(from)
	byRole = map[string]int{}
	for _, e := range entries {
		if e.Refused() {
			byRole[e.User]++
		}
	}
	return byRole, next, err
}

// quiet returns once nobody of ours but those who watch is connected any more:
// a run must not begin with what the one before left behind.
func (at *site) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("connections of the run before are still open after a minute"))
	defer cancel()
	for {
		u, err := at.sample(ctx)
		if err != nil || u.total() <= at.watcher {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(samplePeriod):
		}
	}
}

// close leaves nothing behind. (DROP DATABASE waits some seconds for sessions
// that are just ending.)
func (at *site) close() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.watching != nil {
		for _, sql := range at.cleanup {
			if _, err := at.watching.Exec(ctx, sql); err != nil {
				errs = append(errs, fmt.Errorf("clean up: %s: %w", sql, err))
			}
		}
		errs = append(errs, closeConn(at.watching))
	}
	if at.server != nil {
		errs = append(errs, at.server.Stop())
	}
	return errors.Join(errs...)
}

func closeConn(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return conn.Close(ctx)
}
