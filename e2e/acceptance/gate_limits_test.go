package acceptance

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/policy"
)

// TestTwoNamesOfOneServerAreOneBudget has two fleets that name one server differently:
// together they get what it carries, and not each of them.
func TestTwoNamesOfOneServerAreOneBudget(t *testing.T) {
	t.Parallel()
	s := newGateSite(t)
	_, port, err := net.SplitHostPort(s.database.Addr())
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(s.database.DSN("headroom", "postgres"), s.database.Addr(), net.JoinHostPort("localhost", port), 1)
	if other == s.database.DSN("headroom", "postgres") {
		t.Fatalf("expected another name of the server than %s", other)
	}
	s.apply(s.fill(strings.Replace(databaseAccess, `stringData: {dsn: "$DSN"}`, `stringData: {dsn: "$DSN", other: "$OTHER"}`, 1), "OTHER", other))
	s.policy("other", strings.NewReplacer("name: database\n", "name: another\n", "key: dsn", "key: other", "workloads:\n", "").Replace(gatePolicy()))
	one := &gatedFleet{fleet: s.start(&fleet{name: "orders", min: 10, max: 100})}
	two := &gatedFleet{fleet: s.start(&fleet{name: "invoices", min: 10, max: 100})}
	s.policy("policy", gatePolicy(one.governed("Gate"), strings.Replace(two.governed("Gate"), "name: database,", "name: another,", 1)))
	s.deployGated(one)
	s.deployGated(two)
	s.wait("both together to have what the server carries", func(ctx context.Context) (bool, error) {
		orders, more, err := s.pods(ctx, "orders")
		if err != nil {
			return false, err
		}
		invoices, evenMore, err := s.pods(ctx, "invoices")
		h, _ := s.watch.now()
		return err == nil && len(orders)+len(invoices) == gateCapacity && len(orders) > 0 && len(invoices) > 0 && h.workers == gateCapacity*perPod,
			fmt.Errorf("%d and %d run, %d and %d wait: %w", len(orders), len(invoices), len(more), len(evenMore), err)
	})
	s.rollOut("orders", "second")
	s.rollOut("invoices", "second")
	s.wait("both to be of the new revision", func(ctx context.Context) (bool, error) {
		n := 0
		for _, fleet := range []string{"orders", "invoices"} {
			passed, _, err := s.pods(ctx, fleet)
			if err != nil {
				return false, err
			}
			for i := range passed {
				if passed[i].Labels["revision"] != "second" || !isReady(&passed[i]) {
					return false, fmt.Errorf("%s is not", passed[i].Name)
				}
				n++
			}
		}
		return n == gateCapacity, fmt.Errorf("%d run", n)
	})
	s.nobodyRefused(gateCapacity * perPod)
}

// TestTheLimitOfARoleHolds gives the workers' role less than the server has. Nothing of
// that is kept free for others, who have no use for it.
func TestTheLimitOfARoleHolds(t *testing.T) {
	t.Parallel()
	s := newGateSite(t)
	const pods = 3
	pgtest.Exec(t, s.database, fmt.Sprintf("ALTER ROLE worker CONNECTION LIMIT %d", pods*perPod+perPod-1))
	f := &gatedFleet{fleet: s.start(&fleet{name: "orders", min: 20, max: 100})}
	s.policy("policy", gatePolicy(f.governed("Gate")))
	s.deployGated(f)
	s.passed("orders", pods)
	s.planned("orders", "bound by the role", func(p policy.WorkloadPlan) bool {
		return p.Ceiling == pods && p.Holding == pods && p.Gated > 0 && strings.Contains(p.Binding, "role")
	})
	s.turnOver("orders", 3, pods)
	s.nobodyRefused(pods * perPod)
}

// TestAMonitorThatSeesNoAddresses has a login without pg_monitor: sessions can be told
// by user and name alone, and by that it is known who has gone.
func TestAMonitorThatSeesNoAddresses(t *testing.T) {
	t.Parallel()
	s := newGateSite(t)
	pgtest.Exec(t, s.database, "REVOKE pg_monitor FROM headroom")
	f := &gatedFleet{fleet: s.start(&fleet{name: "orders", min: 20, max: 100})}
	s.policy("policy", gatePolicy(f.governed("Gate")))
	s.deployGated(f)
	// What it can't see it reckons with: there may be fewer pods, and never more.
	p := s.planned("orders", "what the budget carries", func(p policy.WorkloadPlan) bool {
		return p.Holding >= gateCapacity-1 && p.Holding == p.Ceiling && p.Gated > 0
	})
	s.passed("orders", p.Holding)
	s.turnOver("orders", 3, p.Holding)
	s.nobodyRefused(gateCapacity * perPod)
}
