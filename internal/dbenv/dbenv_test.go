package dbenv_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/internal/dbenv"
)

func vars(pairs ...string) map[string]dbenv.Variable {
	out := map[string]dbenv.Variable{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = dbenv.Variable{Value: pairs[i+1]}
	}
	return out
}

func TestFind(t *testing.T) {
	for name, c := range map[string]struct {
		in   map[string]dbenv.Variable
		want []dbenv.Use
	}{
		"a URL": {vars("DATABASE_URL", "postgres://worker:p@ss/w:rd@DB.example.com:5432/orders?sslmode=require", "DB_POOL_SIZE", "7"),
			[]dbenv.Use{{Host: "db.example.com", User: "worker", Database: "orders", From: "DATABASE_URL", Connections: 7, ConnectionsFrom: "DB_POOL_SIZE"}}},
		"a URL with a pool": {vars("ORDERS_DSN", "postgresql://worker@db:5433/orders?pool_max_conns=4", "DB_POOL_SIZE", "7"),
			[]dbenv.Use{{Host: "db", Port: "5433", User: "worker", Database: "orders", From: "ORDERS_DSN", Connections: 4, ConnectionsFrom: "ORDERS_DSN"}}},
		"Prisma": {vars("DATABASE_URL", "mysql://u:p@db:3306/orders?connection_limit=3"),
			[]dbenv.Use{{Host: "db", User: "u", Database: "orders", From: "DATABASE_URL", Connections: 3, ConnectionsFrom: "DATABASE_URL"}}},
		"SQLAlchemy": {vars("SQLALCHEMY_DATABASE_URI", "postgresql+psycopg2://u:p@db/x", "SQLALCHEMY_POOL_SIZE", "5", "SQLALCHEMY_MAX_OVERFLOW", "2"),
			[]dbenv.Use{{Host: "db", User: "u", Database: "x", From: "SQLALCHEMY_DATABASE_URI", Connections: 7, ConnectionsFrom: "SQLALCHEMY_POOL_SIZE + SQLALCHEMY_MAX_OVERFLOW"}}},
		"SQLAlchemy's own overflow": {vars("U", "postgresql://db/x", "SQLALCHEMY_POOL_SIZE", "5"),
			[]dbenv.Use{{Host: "db", Database: "x", From: "U", Connections: 15, ConnectionsFrom: "SQLALCHEMY_POOL_SIZE + 10"}}},
		"SQLAlchemy without overflow": {vars("U", "postgresql://db/x", "SQLALCHEMY_POOL_SIZE", "5", "SQLALCHEMY_MAX_OVERFLOW", "0"),
			[]dbenv.Use{{Host: "db", Database: "x", From: "U", Connections: 5, ConnectionsFrom: "SQLALCHEMY_POOL_SIZE"}}},
		"Spring": {vars("SPRING_DATASOURCE_URL", "jdbc:postgresql://db.shop.svc:5432/orders?user=worker", "SPRING_DATASOURCE_HIKARI_MAXIMUM_POOL_SIZE", "12"),
			[]dbenv.Use{{Host: "db.shop.svc", User: "worker", Database: "orders", From: "SPRING_DATASOURCE_URL", Connections: 12, ConnectionsFrom: "SPRING_DATASOURCE_HIKARI_MAXIMUM_POOL_SIZE"}}},
		".NET": {vars("ConnectionStrings__Orders", "Host=db;Port=5433;Username=worker;Password=a=b;Database=orders;Maximum Pool Size=20"),
			[]dbenv.Use{{Host: "db", Port: "5433", User: "worker", Database: "orders", From: "ConnectionStrings__Orders", Connections: 20, ConnectionsFrom: "ConnectionStrings__Orders"}}},
		"libpq": {vars("DSN", "host=db user='worker' password=secret dbname=orders"),
			[]dbenv.Use{{Host: "db", User: "worker", Database: "orders", From: "DSN"}}},
		"PGHOST": {vars("PGHOST", "db", "PGPORT", "5433", "PGUSER", "worker", "PGDATABASE", "orders"),
			[]dbenv.Use{{Host: "db", Port: "5433", User: "worker", Database: "orders", From: "PGHOST"}}},
		"Rails": {vars("ORDERS_DB_HOST", "db:5432", "RAILS_MAX_THREADS", "5", "WEB_CONCURRENCY", "3"),
			[]dbenv.Use{{Host: "db", From: "ORDERS_DB_HOST", Connections: 15, ConnectionsFrom: "RAILS_MAX_THREADS x WEB_CONCURRENCY"}}},
		"two servers": {vars("A_URL", "postgres://a/x", "B_URL", "postgres://b,c/x", "DB_HOST", "a"),
			[]dbenv.Use{{Host: "a", Database: "x", From: "A_URL"}, {Host: "b", Database: "x", From: "B_URL"}}},
		"IPv6": {vars("U", "postgres://u@[2001:DB8::1]:6543/x"), []dbenv.Use{{Host: "2001:db8::1", Port: "6543", User: "u", Database: "x", From: "U"}}},
		"none": {vars("SENTRY_DSN", "https://key@sentry.example/1", "REDIS_URL", "redis://cache:6379", "DB_HOST", "/var/run/postgresql",
			"HOST", "0.0.0.0", "REDIS_HOST", "cache", "DATABASE_URL", "postgres:///orders", "GHOST", "boo", "ARGS", "host=web retries=3", "DB_POOL_SIZE", "many",
			"A_URL", "postgres://u:p?w@db/x", "B_URL", "postgres://u:pa?w@b@db/x", "C_URL", "postgres://u:secret",
			"D_URL", "postgres://[ 0", "E_URL", "postgres://[::1", "F_URL", "postgres://[::1]5432", "G_URL", "postgres://[db]", "H_URL", "postgres://a!b/x",
			"I_URL", "postgres://a:b:c/x"), nil},
		"only the host of a secret": {map[string]dbenv.Variable{"DATABASE_URL": {Value: "postgres://worker:hunter2@db:5433/orders?pool_max_conns=9", Secret: true}, "POOL_SIZE": {Value: "9", Secret: true}},
			[]dbenv.Use{{Host: "db", Port: "5433", From: "DATABASE_URL"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, dbenv.Find(c.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"postgres://u:p@h:1/d?pool_max_conns=3", "jdbc:postgresql://h", "host=h user=u", "Host=h;Username=u", "postgres://[::", "postgres://[ 0", "a://b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, ok := dbenv.Parse(text)
		if ok && (u.Host == "" || strings.ContainsAny(u.Host, "@/ []$")) || u.Connections < 0 {
			t.Errorf("%q: found %+v", text, u)
		}
	})
}
