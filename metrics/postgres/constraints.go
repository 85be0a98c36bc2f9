package postgres

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/keda-headroom/headroom/metrics"
)

// The names of the limits that the server as a whole has.
const (
	serverConstraint    = "server"
	reservedConstraint  = "server/reserved"
	superuserConstraint = "server/superuser"
)

// reading makes of the facts what the server does with them, for these logins.
func (f facts) reading(logins []loginFacts) metrics.Database {
	d := metrics.Database{
		Server:      f.server.identity,
		Name:        f.server.database,
		ReadOnly:    f.server.recovering,
		Attribution: metrics.ByLogin,
		Constraints: []metrics.Constraint{f.server.constraint(serverConstraint)},
		Sessions:    slices.SortedFunc(slices.Values(f.sessions), compareSessions),
	}
	if f.server.exact {
		d.Attribution = metrics.ByAddress
	}
	for _, login := range logins {
		d.Logins = append(d.Logins, login.meets(f.server, &d.Constraints))
	}
	slices.SortFunc(d.Constraints, func(a, b metrics.Constraint) int { return cmp.Compare(rank(a), rank(b)) })
	slices.SortFunc(d.Logins, func(a, b metrics.Login) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Database, b.Database))
	})
	// A login was asked about by its database's name and without.
	d.Logins = slices.CompactFunc(d.Logins, func(a, b metrics.Login) bool { return a.User == b.User && a.Database == b.Database })
	return d
}

// constraint returns one of the limits of the server as a whole. Superusers are
// refused by the last slot alone; roles in reserve before the slots of
// superusers are touched; all others before any reserved slot is.
func (s serverFacts) constraint(name string) metrics.Constraint {
	limit := s.maxConnections
	switch name {
	case reservedConstraint:
		limit -= s.reservedForSuperuser
	case serverConstraint:
		limit -= s.reservedForSuperuser + s.reservedForRoles
	}
	return metrics.Constraint{Name: name, Limit: max(0, limit)}
}

// meets says which constraints refuse the login, and adds those that are new to
// all. The order is that of the server's own checks.
func (l loginFacts) meets(server serverFacts, all *[]metrics.Constraint) metrics.Login {
	login := metrics.Login{User: l.user, Database: l.database, Refused: l.refused()}
	if login.Refused != "" {
		return login
	}
	meet := func(c metrics.Constraint) {
		login.Constraints = append(login.Constraints, c.Name)
		if !slices.ContainsFunc(*all, func(known metrics.Constraint) bool { return known.Name == c.Name }) {
			*all = append(*all, c)
		}
	}
	switch {
	case l.superuser:
		meet(server.constraint(superuserConstraint))
		return login
	case l.inReserve:
		meet(server.constraint(reservedConstraint))
	default:
		meet(server.constraint(serverConstraint))
	}
	if l.databaseLimit >= 0 {
		meet(metrics.Constraint{Name: "database/" + l.database, Limit: l.databaseLimit, Database: l.database})
	}
	if l.roleLimit >= 0 {
		meet(metrics.Constraint{Name: "role/" + l.user, Limit: l.roleLimit, User: l.user})
	}
	return login
}

// invalidDatabase is the CONNECTION LIMIT of a database whose DROP DATABASE was
// interrupted.
const invalidDatabase = -2

// refused says why the login is refused whatever is free, superusers included;
// "" where it is not.
func (l loginFacts) refused() string {
	switch {
	case !l.roleExists:
		return fmt.Sprintf("there is no role %q", l.user)
	case !l.mayLogIn:
		return fmt.Sprintf("role %q may not log in: ALTER ROLE … LOGIN", l.user)
	case !l.databaseExists:
		return fmt.Sprintf("there is no database %q", l.database)
	case l.databaseLimit == invalidDatabase:
		return fmt.Sprintf("database %q is invalid, its DROP DATABASE was interrupted: drop it again", l.database)
	case !l.acceptsLogins:
		return fmt.Sprintf("database %q accepts no connections: ALTER DATABASE … ALLOW_CONNECTIONS true", l.database)
	case !l.mayConnect:
		return fmt.Sprintf("role %q has no CONNECT privilege on database %q: GRANT CONNECT ON DATABASE … TO …", l.user, l.database)
	}
	return ""
}

// rank orders constraints: the server's, then databases and roles by name.
func rank(c metrics.Constraint) string {
	switch c.Name {
	case serverConstraint:
		return "0"
	case reservedConstraint:
		return "1"
	case superuserConstraint:
		return "2"
	}
	return "3" + c.Name
}

func compareSessions(a, b metrics.Sessions) int {
	return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Database, b.Database),
		cmp.Compare(a.Address, b.Address), cmp.Compare(a.Application, b.Application))
}
