package postgres_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/postgres"
)

// One server, seen by a monitor that may see all and by one that may not.
func TestWhatOccupiesSlots(t *testing.T) {
	server := shopServer(t, map[string]string{
		"max_connections": "30", "wal_level": "logical", "max_worker_processes": "4",
		"max_parallel_workers": "4", "max_parallel_workers_per_gather": "2", "rds.rds_reserved_connections": "2",
	})
	sees := open(t, postgres.Options{DSN: fixed(server.DSN("monitor", "shop"))})
	blind := open(t, postgres.Options{DSN: fixed(server.DSN("bystander", "audit"))})
	referee := connect(t, server.SuperuserDSN(), "127.1.9.9", "referee")
	read(t, sees)
	read(t, blind)

	t.Run("sessions are told apart by address, user, database and application", func(t *testing.T) {
		long := strings.Repeat("orders-", 12) // 84 bytes
		connect(t, server.DSN("worker", "shop"), "127.1.0.1", long)
		connect(t, server.DSN("worker", "shop"), "127.1.0.2", "orders")
		connect(t, server.DSN("worker", "shop"), "127.1.0.2", "orders")
		connect(t, server.DSN("web", "audit"), "127.1.0.2", "api")

		d := read(t, sees)
		if d.Attribution != metrics.ByAddress || d.Name != "shop" || d.ReadOnly || d.Full {
			t.Errorf("attribution %s, database %s, read-only %t, full %t", d.Attribution, d.Name, d.ReadOnly, d.Full)
		}
		want := []metrics.Sessions{
			{User: "bystander", Database: "audit", Address: "127.0.0.1", Application: "headroom", Count: 1},
			{User: "monitor", Database: "shop", Address: "127.0.0.1", Application: "headroom", Count: 1},
			{User: "postgres", Database: "postgres", Address: "127.1.9.9", Application: "referee", Count: 1},
			{User: "web", Database: "audit", Address: "127.1.0.2", Application: "api", Count: 1},
			// PostgreSQL cuts application_name at 63 bytes.
			{User: "worker", Database: "shop", Address: "127.1.0.1", Application: long[:63], Count: 1},
			{User: "worker", Database: "shop", Address: "127.1.0.2", Application: "orders", Count: 2},
		}
		if !slices.Equal(d.Sessions, want) {
			t.Errorf("sessions\n%+v\nexpected\n%+v", d.Sessions, want)
		}

		// A monitor without privilege sees the same sessions but for the
		// addresses, even the address of its own.
		for i := range want {
			want[i].Address = ""
		}
		want[4], want[5] = want[5], want[4]
		d = read(t, blind)
		if d.Attribution != metrics.ByLogin || d.Name != "audit" {
			t.Errorf("attribution %s, database %s", d.Attribution, d.Name)
		}
		if !slices.Equal(d.Sessions, want) {
			t.Errorf("without privilege: sessions\n%+v\nexpected\n%+v", d.Sessions, want)
		}
	})

	t.Run("both names of one server give one identity", func(t *testing.T) {
		otherName := strings.Replace(server.DSN("worker", "postgres"), "127.0.0.1", "localhost", 1)
		other := open(t, postgres.Options{DSN: fixed(otherName)})
		a, b := read(t, sees).Server, read(t, other).Server
		if a != b || a == "" {
			t.Errorf("identities %q and %q, expected the same", a, b)
		}
	})

	t.Run("a role that may not ask for the system identifier still gets an identity", func(t *testing.T) {
		referee.exec(t, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
		defer referee.exec(t, "GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
		plain := open(t, postgres.Options{DSN: fixed(server.DSN("web", "postgres"))})
		first, again := read(t, plain), read(t, plain)
		if first.Server == "" || first.Server != again.Server {
			t.Errorf("identities %q and %q, expected the same", first.Server, again.Server)
		}
	})

	t.Run("walsenders and parallel workers use no slot", func(t *testing.T) {
		visible := func(kind string) int {
			return referee.number(t, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = $1", kind)
		}
		slots := func(d metrics.Database) int { c, _ := d.Constraint("server"); return d.Used(c) }
		const clients = 3 // ours and the referee's
		until(t, "the sessions of the tests before are gone", func() bool { return visible("client backend") == clients })

		for _, replication := range []string{"true", "database"} {
			config, err := pgconn.ParseConfig(server.DSN("boss", "shop"))
			if err != nil {
				t.Fatal(err)
			}
			config.RuntimeParams["replication"] = replication
			walsender, err := pgconn.ConnectConfig(deadline(t), config)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = walsender.Close(context.Background()) }()
		}
		if n := visible("walsender"); n != 2 {
			t.Fatalf("%d walsenders, expected 2", n)
		}

		busy := connect(t, server.DSN("worker", "shop"), "127.1.0.3", "parallel")
		force := "force_parallel_mode"
		if server.Major() >= 16 {
			force = "debug_parallel_query"
		}
		busy.exec(t, "CREATE TEMP TABLE one AS SELECT 1 AS i", "SET "+force+" = on")
		asleep := make(chan error, 1)
		go func() {
			// A function that may run in a worker, so the whole plan does.
			_, err := busy.Exec(context.Background(), "SELECT pg_sleep(600) FROM pg_class LIMIT 1", pgx.QueryExecModeSimpleProtocol)
			asleep <- err
		}()
		until(t, "a parallel worker runs", func() bool { return visible("parallel worker") > 0 })

		if n := slots(read(t, sees)); n != clients+1 {
			t.Errorf("%d slots used, expected the %d from before and the session of the parallel query", n, clients)
		}
		// Who may not see the kind counts them too, but never the walsender that
		// is in no database: too many rather than too few.
		if n, most := slots(read(t, blind)), clients+1+1+visible("parallel worker"); n < clients+1 || n > most {
			t.Errorf("without privilege %d slots used, expected %d to %d", n, clients+1, most)
		}
		referee.number(t, "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE application_name = 'parallel'")
		if err := <-asleep; err == nil {
			t.Error("the sleep ended by itself")
		}
	})

	t.Run("limits and logins", func(t *testing.T) {
		referee.exec(t,
			"ALTER ROLE web CONNECTION LIMIT 4", "ALTER ROLE boss CONNECTION LIMIT 1",
			"ALTER DATABASE shop CONNECTION LIMIT 9", "CREATE ROLE idle NOLOGIN", "CREATE DATABASE closed ALLOW_CONNECTIONS false",
			"CREATE DATABASE private", "REVOKE CONNECT ON DATABASE private FROM PUBLIC",
			`CREATE ROLE "Robert'; --" LOGIN CONNECTION LIMIT 2`,
			"CREATE ROLE rds_superuser", "CREATE ROLE admin LOGIN", "GRANT rds_superuser TO admin")
		sees.SetLogins([]postgres.Login{
			{User: "worker"}, {User: "worker", Database: "shop"}, {User: "worker", Database: "audit"}, {User: "worker", Database: "audit"},
			{User: "web", Database: "shop"}, {User: "boss", Database: "shop"}, {User: "admin", Database: "postgres"},
			{User: `Robert'; --`, Database: "postgres"},
			{User: "idle", Database: "shop"}, {User: "worker", Database: "closed"}, {User: "worker", Database: "private"},
			{User: "boss", Database: "closed"}, {User: "boss", Database: "private"},
			{User: "worker", Database: "gone"}, {User: "gone", Database: "shop"}, {User: "", Database: "shop"},
			{User: "nul\x00", Database: "\xff"},
		})
		d := read(t, sees)

		// 30 − 3 for superusers − 2 for RDS, as a placeholder that nobody enforces
		// here.
		wantLimits := map[string]int{
			"server": 25, "server/reserved": 25, "server/superuser": 30,
			"database/shop": 9, "role/web": 4, `role/Robert'; --`: 2,
		}
		if got := limits(d); !maps.Equal(got, wantLimits) {
			t.Errorf("limits %v, expected %v", got, wantLimits)
		}
		meets := map[string]string{}
		for _, login := range d.Logins {
			meets[login.User+" in "+login.Database] = strings.Join(login.Constraints, " ") + login.Refused
		}
		wantMeets := map[string]string{
			"worker in shop":          "server database/shop",
			"worker in audit":         "server",
			"web in shop":             "server database/shop role/web",
			"boss in shop":            "server/superuser",
			"admin in postgres":       "server/reserved",
			"boss in private":         "server/superuser",
			`Robert'; -- in postgres`: `server role/Robert'; --`,
			"idle in shop":            `role "idle" may not log in: ALTER ROLE … LOGIN`,
			"worker in closed":        `database "closed" accepts no connections: ALTER DATABASE … ALLOW_CONNECTIONS true`,
			"boss in closed":          `database "closed" accepts no connections: ALTER DATABASE … ALLOW_CONNECTIONS true`,
			"worker in private":       `role "worker" has no CONNECT privilege on database "private": GRANT CONNECT ON DATABASE … TO …`,
			"worker in gone":          `there is no database "gone"`,
			"gone in shop":            `there is no role "gone"`,
			" in shop":                `there is no role ""`,
			"nul\x00 in " + "\xff":    `there is no role "nul\x00"`,
		}
		if !maps.Equal(meets, wantMeets) {
			t.Errorf("logins\n%q\nexpected\n%q", meets, wantMeets)
		}
		if !slices.IsSortedFunc(d.Constraints, func(a, b metrics.Constraint) int { return strings.Compare(order(a.Name), order(b.Name)) }) {
			t.Errorf("constraints out of order: %+v", d.Constraints)
		}
	})

	t.Run("functions and settings of others change nothing", func(t *testing.T) {
		referee.exec(t, "CREATE ROLE curious LOGIN",
			"CREATE FUNCTION public.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true'",
			"ALTER ROLE curious SET search_path = public, pg_catalog")
		source := open(t, postgres.Options{DSN: fixed(server.DSN("curious", "postgres"))})
		if d := read(t, source); d.ReadOnly {
			t.Error("a function in the schema public answered for the server's own")
		}
		// Nothing idles in a transaction, which would hold back vacuum.
		if n := referee.number(t, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headroom' AND state <> 'idle'"); n != 0 {
			t.Errorf("%d sessions of ours are not idle", n)
		}
	})

	t.Run("a catalog that is locked makes the server end our query", func(t *testing.T) {
		source := open(t, postgres.Options{DSN: fixed(server.DSN("monitor", "shop")), Timeout: 500 * time.Millisecond})
		read(t, source)
		referee.exec(t, "BEGIN", "LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE")
		_, err := source.Read(deadline(t))
		referee.exec(t, "ROLLBACK")
		if err == nil || !strings.Contains(err.Error(), "took too long") && !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("error %v, expected one about a query that took too long", err)
		}
		read(t, source)
	})

	t.Run("the DSN's own application_name and driver settings do not matter", func(t *testing.T) {
		dsn := server.DSN("monitor", "shop") + "&application_name=boast&pool_max_conns=9&default_query_exec_mode=cache_statement&keepalives=1"
		d := read(t, open(t, postgres.Options{DSN: fixed(dsn)}))
		for _, s := range d.Sessions {
			if s.Application == "boast" {
				t.Errorf("found %+v", s)
			}
		}
	})

	t.Run("logins of many workloads and concurrent readers", func(t *testing.T) {
		var logins []postgres.Login
		for n := range 300 {
			logins = append(logins, postgres.Login{User: fmt.Sprintf("user-%d", n), Database: "shop"})
		}
		results := make(chan error)
		const readers = 4
		for range readers {
			go func() {
				sees.SetLogins(logins)
				d, err := sees.Read(context.Background())
				if err == nil && len(d.Logins) != len(logins) {
					err = fmt.Errorf("%d logins, expected %d", len(d.Logins), len(logins))
				}
				results <- err
			}()
		}
		for range readers {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

// order is the documented order of constraints: the server's own, then
// databases, then roles.
func order(name string) string {
	if strings.HasPrefix(name, "server") {
		return "0" + name
	}
	return name
}
