package postgres

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/keda-headroom/headroom/metrics"
)

// facts are the server's answers, before anything is made of them.
type facts struct {
	server   serverFacts
	own      loginFacts   // the login of our own session
	logins   []loginFacts // as asked
	sessions []metrics.Sessions
}

type serverFacts struct {
	identity   string // of the running server: changes with a restart
	database   string // that our session is in
	recovering bool
	exact      bool // we see the kind and the address of all sessions

	maxConnections       int
	reservedForSuperuser int // for superusers alone
	reservedForRoles     int // for superusers and roles in reserve
}

// loginFacts are what the catalogs say of a user and a database. Limits below
// zero are none.
type loginFacts struct {
	user, database string

	roleExists bool
	mayLogIn   bool
	superuser  bool
	inReserve  bool // may use the slots reserved for roles
	roleLimit  int

	databaseExists bool
	acceptsLogins  bool // datallowconn
	databaseLimit  int

	mayConnect bool // has the CONNECT privilege
}

// identitySQL asks for what tells this run of this server from any other. A
// replica has its primary's system identifier, so that alone would not do.
const (
	startedSQL  = `to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
	identitySQL = `(SELECT system_identifier FROM pg_control_system()) || '/' || ` + startedSQL

	// mayIdentifySQL comes first: a function that we may not call fails even in
	// a branch of a query that is not taken. Everybody may, unless revoked.
	mayIdentifySQL = `SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')`

	// prepareSQL holds until the end of the batch's transaction. The search path
	// keeps functions that others made away from us.
	prepareSQL = `SELECT pg_catalog.set_config('search_path', 'pg_catalog', true),
		pg_catalog.set_config('statement_timeout', $1::pg_catalog.text, true),
		pg_catalog.set_config('transaction_read_only', 'on', true)`

	serverSQL = `SELECT %s, current_database()::text, pg_is_in_recovery(), pg_has_role('pg_read_all_stats', 'USAGE'),
		current_setting('max_connections'),
		COALESCE(current_setting('superuser_reserved_connections', true), ''),
		COALESCE(current_setting('rds.rds_reserved_connections', true), ''),
		COALESCE(current_setting('reserved_connections', true), ''),
		COALESCE(current_setting('rds.rds_superuser_reserved_connections', true), '')`

	// loginsSQL answers for each pair in $1 and $2; the first stands for
	// ourselves, whatever it says. No database means ours.
	loginsSQL = `SELECT a.usr, a.db,
			r.oid IS NOT NULL, COALESCE(r.rolcanlogin, false), COALESCE(r.rolsuper, false), COALESCE(r.rolconnlimit, -1),
			r.oid IS NOT NULL AND EXISTS (SELECT FROM pg_roles g
				WHERE g.rolname IN ('pg_use_reserved_connections', 'rds_superuser') AND pg_has_role(r.oid, g.oid, 'USAGE')),
			d.oid IS NOT NULL, COALESCE(d.datallowconn, false), COALESCE(d.datconnlimit, -1),
			COALESCE(has_database_privilege(r.oid, d.oid, 'CONNECT'), false)
		FROM (SELECT n, CASE WHEN n = 1 THEN session_user::text ELSE usr END AS usr,
				COALESCE(NULLIF(db, ''), current_database()::text) AS db
			FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked(usr, db, n)) a
		LEFT JOIN pg_roles r ON r.rolname::text = a.usr
		LEFT JOIN pg_database d ON d.datname::text = a.db
		ORDER BY a.n`

	// sessionsSQL counts what uses slots. Without pg_read_all_stats the kind and
	// the address of other roles' sessions are NULL; all addresses are left out
	// then, so that sessions that are alike stay in one group.
	sessionsSQL = `SELECT COALESCE(usename::text, ''), COALESCE(datname::text, ''),
			CASE WHEN exact THEN COALESCE(host(client_addr), '') ELSE '' END,
			COALESCE(application_name, ''), count(*)::int
		FROM pg_stat_activity, (SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS exact) AS privilege
		WHERE CASE WHEN exact THEN backend_type = 'client backend'
			ELSE datid IS NOT NULL AND usesysid IS NOT NULL AND COALESCE(backend_type, 'client backend') = 'client backend' END
		GROUP BY 1, 2, 3, 4
		ORDER BY 1, 2, 3, 4`
)

// ask reads everything in one round trip and one transaction.
func (s *session) ask(ctx context.Context, logins []Login) (facts, error) {
	users, databases := []string{""}, []string{""} // ourselves
	for _, login := range logins {
		users = append(users, askable(login.User))
		databases = append(databases, askable(login.Database))
	}
	identity := startedSQL
	if s.mayIdentify {
		identity = identitySQL
	}

	var f facts
	var batch pgx.Batch
	batch.Queue(prepareSQL, strconv.FormatInt(max(1, s.timeout.Milliseconds()), 10))
	batch.Queue(fmt.Sprintf(serverSQL, identity)).QueryRow(func(row pgx.Row) (err error) {
		f.server, err = scanServer(row)
		return err
	})
	batch.Queue(loginsSQL, users, databases).Query(func(rows pgx.Rows) error {
		all, err := pgx.CollectRows(rows, scanLogin)
		if err != nil {
			return err
		}
		if len(all) != len(users) {
			return fmt.Errorf("expected facts about %d logins, found %d", len(users), len(all))
		}
		f.own, f.logins = all[0], all[1:]
		for i, login := range logins { // as they were asked about, to the byte
			f.logins[i].user, f.logins[i].database = login.User, cmp.Or(login.Database, f.logins[i].database)
		}
		return nil
	})
	batch.Queue(sessionsSQL).Query(func(rows pgx.Rows) (err error) {
		f.sessions, err = pgx.CollectRows(rows, scanSessions)
		return err
	})
	// The server ends a query that is too slow; this ends one that a server which
	// hangs does not end.
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return f, s.conn.SendBatch(ctx, &batch).Close()
}

// askable turns what can't be the name of anything, and would make the whole
// query fail, into another text that isn't one.
func askable(name string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", "\uFFFD"), "\uFFFD")
}

func scanServer(row pgx.Row) (f serverFacts, err error) {
	var maximum, superuser, rdsAdmin, role, rdsSuperuser string
	if err := row.Scan(&f.identity, &f.database, &f.recovering, &f.exact, &maximum, &superuser, &rdsAdmin, &role, &rdsSuperuser); err != nil {
		return f, err
	}
	for _, setting := range []struct {
		name, value string
		into        *int
	}{
		{"max_connections", maximum, &f.maxConnections},
		{"superuser_reserved_connections", superuser, &f.reservedForSuperuser},
		{"rds.rds_reserved_connections", rdsAdmin, &f.reservedForSuperuser},
		{"reserved_connections", role, &f.reservedForRoles},
		{"rds.rds_superuser_reserved_connections", rdsSuperuser, &f.reservedForRoles},
	} {
		if setting.value == "" {
			continue // this server does not have it
		}
		value, err := strconv.Atoi(setting.value)
		if err != nil || value < 0 {
			return f, fmt.Errorf("setting %s: expected a number of connections, found %q", setting.name, setting.value)
		}
		*setting.into += value
	}
	return f, nil
}

func scanLogin(row pgx.CollectableRow) (f loginFacts, err error) {
	err = row.Scan(&f.user, &f.database, &f.roleExists, &f.mayLogIn, &f.superuser, &f.roleLimit, &f.inReserve,
		&f.databaseExists, &f.acceptsLogins, &f.databaseLimit, &f.mayConnect)
	return f, err
}

func scanSessions(row pgx.CollectableRow) (s metrics.Sessions, err error) {
	err = row.Scan(&s.User, &s.Database, &s.Address, &s.Application, &s.Count)
	// Databases in SQL_ASCII hand out any bytes as names.
	s.User, s.Database = strings.ToValidUTF8(s.User, "?"), strings.ToValidUTF8(s.Database, "?")
	s.Application = strings.ToValidUTF8(s.Application, "?")
	if address, parseErr := netip.ParseAddr(s.Address); parseErr == nil {
		s.Address = address.Unmap().WithZone("").String() // as Kubernetes writes it
	}
	return s, err
}
