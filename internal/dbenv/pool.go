package dbenv

import (
	"strconv"
	"strings"
)

// poolVariables hold the size of a container's pool, the most telling first.
var poolVariables = []string{
	"SPRING_DATASOURCE_HIKARI_MAXIMUM_POOL_SIZE", "SPRING_DATASOURCE_HIKARI_MAXIMUMPOOLSIZE", "HIKARI_MAXIMUM_POOL_SIZE",
	"QUARKUS_DATASOURCE_JDBC_MAX_SIZE",
	"DB_POOL_SIZE", "DB_POOL_MAX", "DB_MAX_POOL_SIZE", "DB_POOL_MAX_SIZE", "DB_POOL", "DB_MAX_CONNECTIONS", "DB_MAX_OPEN_CONNS", "DB_MAX_OPEN_CONNECTIONS", "DB_CONNECTION_LIMIT",
	"DATABASE_POOL_SIZE", "DATABASE_POOL_MAX", "DATABASE_POOL", "DATABASE_MAX_CONNECTIONS", "DATABASE_CONNECTION_LIMIT",
	"POSTGRES_POOL_SIZE", "POSTGRES_POOL_MAX", "POSTGRES_MAX_CONNECTIONS", "PG_POOL_SIZE", "PG_POOL_MAX", "PGPOOL_SIZE", "PGPOOL_MAX", "PGPOOLSIZE", "PGMAXCONNECTIONS",
	"MYSQL_POOL_SIZE", "MYSQL_CONNECTION_LIMIT", "POOL_SIZE",
}

// pool returns how many connections the environment gives a container, and which
// variables say so; 0 where none does.
func pool(variables map[string]Variable) (size int, from string) {
	if n := number(variables, "SQLALCHEMY_POOL_SIZE"); n > 0 {
		// SQLAlchemy opens max_overflow on top, 10 where nothing is said.
		if more, said := variables["SQLALCHEMY_MAX_OVERFLOW"]; said && strings.TrimSpace(more.Value) == "0" {
			return n, "SQLALCHEMY_POOL_SIZE"
		}
		if more := number(variables, "SQLALCHEMY_MAX_OVERFLOW"); more > 0 {
			return n + more, "SQLALCHEMY_POOL_SIZE + SQLALCHEMY_MAX_OVERFLOW"
		}
		return n + 10, "SQLALCHEMY_POOL_SIZE + 10"
	}
	for _, name := range poolVariables {
		if n := number(variables, name); n > 0 {
			return n, name
		}
	}
	if n := number(variables, "RAILS_MAX_THREADS"); n > 0 {
		// Every worker process has a pool of its own.
		if workers := number(variables, "WEB_CONCURRENCY"); workers > 1 {
			return n * workers, "RAILS_MAX_THREADS x WEB_CONCURRENCY"
		}
		return n, "RAILS_MAX_THREADS"
	}
	return 0, ""
}

// maxPool is far more than any pool has.
const maxPool = 1_000_000

// number returns a whole number of 1 or more, 0 for anything else. What comes
// from a Secret is not looked at.
func number(variables map[string]Variable, name string) int {
	v, ok := variables[name]
	if !ok || v.Secret {
		return 0
	}
	return size(v.Value)
}

func size(text string) int {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > maxPool {
		return 0
	}
	return n
}
