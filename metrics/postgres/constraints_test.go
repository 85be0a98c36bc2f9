package postgres

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/metrics"
)

// Reserved slots for roles came with PostgreSQL 16, and RDS has its own names
// for both kinds. 100 connections: 3 for superusers, 2 for RDS itself, 4 and 1
// for roles in reserve.
func TestReservedSlots(t *testing.T) {
	f := facts{server: serverFacts{maxConnections: 100, reservedForSuperuser: 3 + 2, reservedForRoles: 4 + 1, exact: true}}
	login := func(user string) loginFacts {
		return loginFacts{user: user, database: "shop", roleExists: true, mayLogIn: true, roleLimit: -1,
			databaseExists: true, acceptsLogins: true, databaseLimit: -1, mayConnect: true}
	}
	worker, vip, boss := login("worker"), login("vip"), login("boss")
	vip.inReserve, boss.inReserve = true, true
	boss.superuser, boss.roleLimit, boss.databaseLimit = true, 0, 0
	f.sessions = []metrics.Sessions{{User: "worker", Database: "shop", Count: 88}}

	d := f.reading([]loginFacts{worker, vip, boss, worker})
	got := map[string]int{}
	for _, c := range d.Constraints {
		got[c.Name] = c.Limit
	}
	if want := map[string]int{"server": 90, "server/reserved": 95, "server/superuser": 100}; !maps.Equal(got, want) {
		t.Errorf("limits %v, expected %v", got, want)
	}
	for user, want := range map[string]int{"worker": 2, "vip": 7, "boss": 12} {
		if free, ok := d.Free(user, "shop"); free != want || !ok {
			t.Errorf("free for %s: %d, %t; expected %d", user, free, ok, want)
		}
	}
	if len(d.Logins) != 3 {
		t.Errorf("%d logins, expected the one that was named twice once: %+v", len(d.Logins), d.Logins)
	}
}

func TestConstraintsAreInAStableOrder(t *testing.T) {
	var logins []loginFacts
	for _, user := range []string{"b", "a", "c"} {
		for _, database := range []string{"y", "x"} {
			logins = append(logins, loginFacts{user: user, database: database, roleExists: true, mayLogIn: true, roleLimit: 5,
				databaseExists: true, acceptsLogins: true, databaseLimit: 7, mayConnect: true, inReserve: user == "c"})
		}
	}
	f := facts{server: serverFacts{maxConnections: 2, reservedForSuperuser: 3}}
	for range 3 {
		var names []string
		for _, c := range f.reading(logins).Constraints {
			names = append(names, c.Name)
			if c.Limit < 0 {
				t.Errorf("%s has limit %d, expected 0 or more", c.Name, c.Limit)
			}
		}
		got := strings.Join(names, " ")
		if want := "server server/reserved database/x database/y role/a role/b role/c"; got != want {
			t.Errorf("constraints %s, expected %s", got, want)
		}
		slices.Reverse(logins)
	}
}
