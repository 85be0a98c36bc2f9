package metrics_test

import (
	"testing"

	"github.com/keda-headroom/headroom/metrics"
)

// shop is a server of 20 slots, 3 of them for superusers: 9 sessions are open, so
// 8 are left for ordinary roles. The worker may have 6 in all databases together,
// the database orders takes 7 of anybody.
func shop() metrics.Database {
	return metrics.Database{
		Name: "orders",
		Constraints: []metrics.Constraint{
			{Name: "server", Limit: 17},
			{Name: "server/superuser", Limit: 20},
			{Name: "role/worker", Limit: 6, User: "worker"},
			{Name: "database/orders", Limit: 7, Database: "orders"},
		},
		Logins: []metrics.Login{
			{User: "worker", Database: "orders", Constraints: []string{"server", "role/worker", "database/orders"}},
			{User: "worker", Database: "audit", Constraints: []string{"server", "role/worker"}},
			{User: "web", Database: "orders", Constraints: []string{"server", "database/orders"}},
			{User: "web", Database: "audit", Constraints: []string{"server"}},
			{User: "root", Database: "orders", Constraints: []string{"server/superuser"}},
			{User: "gone", Database: "orders", Refused: "there is no role gone"},
			{User: "nothing", Database: "orders"},
			{User: "dangling", Database: "orders", Constraints: []string{"server", "role/dangling"}},
		},
		Sessions: []metrics.Sessions{
			{User: "worker", Database: "orders", Address: "10.0.0.1", Count: 2},
			{User: "worker", Database: "audit", Address: "10.0.0.1", Count: 1},
			{User: "web", Database: "orders", Address: "10.0.0.2", Count: 3},
			{User: "web", Database: "audit", Address: "10.0.0.2", Count: 2},
			{Count: 1}, // a session that is still starting has neither user nor database yet
		},
	}
}

func TestFreeIsTheLeastThatAnyConstraintLeaves(t *testing.T) {
	full := metrics.Database{Full: true}
	over := shop()
	over.Constraints[0].Limit = 4 // the limit was lowered below what is open

	for _, c := range []struct {
		name           string
		server         metrics.Database
		user, database string
		want           int
		ok             bool
	}{
		{"the database has 7 - 5, the role 6 - 3, the server 17 - 9", shop(), "worker", "orders", 2, true},
		{"in another database the role's own limit is the least", shop(), "worker", "audit", 3, true},
		{"no database means the one the reading was taken in", shop(), "worker", "", 2, true},
		{"another user meets the same database limit", shop(), "web", "orders", 2, true},
		{"and elsewhere only the server's", shop(), "web", "audit", 8, true},
		{"a superuser is refused by the last slot alone", shop(), "root", "orders", 11, true},
		{"a login that is refused anyway has nothing", shop(), "gone", "orders", 0, true},
		{"a full server has nothing for anybody", full, "worker", "orders", 0, true},
		{"over the limit is 0 and not negative", over, "web", "audit", 0, true},
		{"not asked about", shop(), "stranger", "orders", 0, false},
		{"not asked about in this database", shop(), "gone", "audit", 0, false},
		{"no constraint at all is not unlimited", shop(), "nothing", "orders", 0, false},
		{"a constraint the reading lacks", shop(), "dangling", "orders", 0, false},
		{"an empty reading", metrics.Database{}, "worker", "orders", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			free, ok := c.server.Free(c.user, c.database)
			if free != c.want || ok != c.ok {
				t.Errorf("Free(%q, %q) = %d, %t; expected %d, %t", c.user, c.database, free, ok, c.want, c.ok)
			}
		})
	}
}

func TestUsedCountsWhatTheConstraintCounts(t *testing.T) {
	server := shop()
	for name, want := range map[string]int{"server": 9, "server/superuser": 9, "role/worker": 3, "database/orders": 5} {
		constraint, ok := server.Constraint(name)
		if !ok {
			t.Fatalf("no constraint %s", name)
		}
		if used := server.Used(constraint); used != want {
			t.Errorf("Used(%s) = %d, expected %d", name, used, want)
		}
	}
	if _, ok := server.Constraint("role/web"); ok {
		t.Error("found a constraint role/web, expected none")
	}
}
