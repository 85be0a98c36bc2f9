// Package postgres reads the connections of a PostgreSQL server: its limits, who
// meets which of them, and the sessions that occupy slots.
//
// A [Source] keeps one session open, named "headroom" in pg_stat_activity, so
// that it can still see a server that is full. It asks for everything in one
// round trip, in one read-only transaction, and leaves nothing behind in the
// session: poolers in transaction mode are fine.
//
// What the server counts, and who is refused by what:
//
//   - Only client backends use max_connections; walsenders, parallel workers and
//     the server's own processes do not. A monitor role without
//     pg_read_all_stats can't see the kind of other roles' sessions, nor their
//     addresses. It then counts every session that has a user and a database,
//     which is never too few.
//   - "server" is max_connections less superuser_reserved_connections and
//     reserved_connections (and their namesakes on RDS). Roles that may use
//     reserved_connections are refused by "server/reserved", superusers by
//     "server/superuser", and by nothing else.
//   - "role/NAME" and "database/NAME" are CONNECTION LIMITs. A role's counts its
//     sessions in all databases, a database's those of all roles. Neither
//     refuses a superuser, though both count its sessions.
//
// A connection that is still authenticating holds a slot and is not visible
// before PostgreSQL 18, so the server may hold more than is counted here.
//
// The password in a DSN never gets into an error: errors are worded here, out of
// what is safe, and wrap nothing of the driver's.
package postgres
