package serve

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/policy"
)

// These tests hold the service to the design's failure table, against real
// servers. Each outage begins in a quiet shop: 25 messages ask for 3 workers of
// the 5 that the database carries, and those 3 run.

// outage runs one part of a test, from the quiet on.
func (s *shop) outage(name string, test func()) {
	all := s.t
	if all.Failed() {
		return // the shop is not as the next one expects it
	}
	all.Run(name, func(t *testing.T) {
		s.t = t
		defer func() { s.t = all }()
		s.depth(25)
		s.scale(3)
		s.tells("a quiet queue", 3)
		s.sees("a quiet shop", func(p seen) bool {
			return p.Reason == policy.Demand && p.Target == 3 && p.Replicas == 3 && p.Gated == 0 && p.database.Unknown == ""
		})
		test()
	})
}

// busy lets the workers open their sessions, and waits until they are seen and
// everything else is forgotten.
func (s *shop) busy() {
	s.t.Helper()
	s.work()
	s.sees("workers at work", func(p seen) bool {
		return p.Uses[0].Observed == sessionsPerWorker*len(s.workers) && p.server().Budget == 17
	})
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// Database unreachable, slow: ceilings freeze at present grants.
func TestTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	hasty := patient
	hasty.maxReadingAge = "3s"
	s := newShop(t, hasty)
	s.open()

	s.outage("killed", func() {
		s.busy()
		before := s.sees("a database", func(p seen) bool { return p.database.Server != "" }).database.Server
		s.must(s.postgres.Kill())
		s.sees("the database is away", unknown("last read"))
		s.lacks("headroom_database_connections_")
		listening := s.listen()

		// However the backlog grows, nobody scales out.
		s.depth(80)
		s.decided(s.sees("a larger backlog", asks(8)), 3, policy.DatabaseUnknown)
		s.tells("frozen", 3)
		s.limitedBy(policy.DatabaseUnknown)
		// Scaling in is safe, and what runs may come back.
		s.depth(15)
		s.decided(s.sees("a smaller backlog", asks(2)), 2, policy.Demand)
		s.tells("a smaller backlog", 2)
		s.depth(80)
		s.tells("frozen again", 3)
		s.heard(listening(), 2, 3)

		// Observe holds whatever others make of it, and says what would have been.
		s.change(func(on *terms) { on.mode = "Observe" })
		s.sees("mode Observe", func(p seen) bool { return p.Mode == policy.Observe })
		s.scale(8)
		s.tells("what another trigger wants", 8)
		s.decided(s.sees("8 replicas", func(p seen) bool { return p.Replicas == 8 }), 3, policy.DatabaseUnknown)
		s.scale(3)
		s.tells("what another trigger wants", 3)
		s.change(func(on *terms) { on.mode = "Target" })
		s.sees("mode Target", func(p seen) bool { return p.Mode == policy.Target })

		// Nothing is activated.
		s.scale(0)
		s.sees("no replicas", func(p seen) bool { return p.Replicas == 0 })
		listening = s.listen()
		s.depth(100)
		s.decided(s.sees("a backlog and no replicas", asks(10)), 0, policy.DatabaseUnknown)
		s.active(false)
		h := listening()
		s.heard(h, 0, 0)
		if h.awoken {
			s.t.Error("a workload without replicas was active while its database was away")
		}

		// It comes back as another server, which has to be confirmed.
		from := time.Now()
		s.must(s.postgres.Start(s.t.Context()))
		s.tells("the database is back", 5)
		s.active(true)
		s.trusts(from, before, 0)
		s.limitedBy(policy.ConnectionBudget)
	})

	s.outage("hangs", func() {
		s.busy()
		before := s.sees("a database", func(p seen) bool { return p.database.Server != "" }).database.Server
		s.must(s.postgres.Pause(s.t.Context()))
		s.t.Cleanup(func() { _ = s.postgres.Resume() })
		s.sees("the database hangs", unknown("no answer"))
		listening := s.listen()
		s.depth(80)
		s.decided(s.sees("a larger backlog", asks(8)), 3, policy.DatabaseUnknown)
		s.tells("frozen", 3)
		s.lacks("headroom_database_connections_")
		h := listening()
		s.heard(h, 3, 3)
		// A read of the database takes its whole timeout of a second.
		if h.median > 100*time.Millisecond {
			s.t.Errorf("half of KEDA's calls took more than %s: they must be answered from memory", h.median)
		}
		s.must(s.postgres.Resume())
		s.tells("the database goes on", 5)
		if p := s.sees("a database", func(p seen) bool { return p.database.Unknown == "" }); p.database.Server != before {
			s.t.Errorf("after a pause the server is %q, before it was %q", p.database.Server, before)
		}
	})

	// Replacements one for one, up to the grants of the last good reading; no other
	// gate opens.
	s.outage("killed, with a gate", func() {
		s.change(func(on *terms) { on.mode = "Gate" })
		s.busy()
		s.sees("mode Gate", func(p seen) bool { return p.Mode == policy.Gate && p.Target == 3 })
		s.depth(80)
		s.tells("room for 5", 5)
		from := s.sees("3 workers", func(p seen) bool { return p.Target == 5 && p.Uses[0].Granted == 9 }).at
		s.must(s.postgres.Kill())
		s.sees("the database is away", unknown("last read"))
		s.hire(2, true) // the HPA still acts on what KEDA was told before
		s.publish()
		p := s.sees("two pods wait", func(p seen) bool { return p.Gated == 2 })
		if len(p.Admissions) > 0 {
			s.t.Errorf("the gate opened with the database away: %v", p.Admissions)
		}
		s.decided(p, 5, policy.DatabaseUnknown)

		s.dismiss(0)
		s.hire(1, true)
		s.publish()
		p = s.sees("a worker is replaced", func(p seen) bool { return p.Gated == 3 && len(p.Admissions) > 0 })
		if a := p.Admissions[0]; a.UID != s.workers[2].pod.UID || a.Grant["shop/orders-db"] != 3 {
			s.t.Errorf("admitted %v, want the oldest, %s, with 3 connections", a, s.workers[2].pod.UID)
		}
		s.must(s.postgres.Start(s.t.Context()))
		s.sees("all may pass", func(p seen) bool { return len(p.Admissions) == 3 })
		replaced := 0
		for _, r := range s.history(from) {
			if o := r.Outcomes[orders]; o.Reason == policy.DatabaseUnknown {
				replaced = max(replaced, o.Admitted)
			}
		}
		if replaced != 1 {
			s.t.Errorf("%d pods were let through while the database was away, want the one that replaces another", replaced)
		}
	})
}

// Database refuses us: that is a reading.
func TestTheDatabaseIsFullOrSmaller(t *testing.T) {
	t.Parallel()
	hasty := patient
	hasty.maxReadingAge = "3s"
	s := newShop(t, hasty)
	s.open()
	const refusals = `headroom_database_refusals_total{database="orders-db",database_namespace="shop"}`

	s.outage("filled to its last slot", func() {
		s.busy()
		s.depth(80)
		s.tells("an empty server", 5)
		// 20 slots, 9 are the workers' and one ours.
		disperse := s.crowd(10)
		listening := s.listen()
		// 20 less 2 in reserve, less 11 others: 7 carry 2 pods of 3.
		s.tells("a full server", 2)
		p := s.sees("a full server", func(p seen) bool { return p.server().Used == 20 })
		s.decided(p, 2, policy.ConnectionBudget)
		if c := p.server(); c.Others != 11 || c.Budget != 7 || c.Free != -2 {
			s.t.Errorf("a full server's account is %+v", c)
		}
		s.limitedBy(policy.ConnectionBudget)
		s.lacks(refusals) // our own session sees it all
		disperse()
		s.tells("free slots", 5)
		s.heard(listening(), 2, 5)
	})

	s.outage("filled to its last slot, ours too", func() {
		s.busy()
		s.depth(80)
		s.tells("an empty server", 5)
		s.must(s.name.Refuse())
		pgtest.Exec(s.t, s.postgres, "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'headroom'")
		disperse := s.crowd(11)
		s.must(s.name.SetTarget(s.postgres.Addr()))
		s.counts(refusals, 0)
		p := s.sees("a server that refuses us", func(p seen) bool { return p.server().Used == 20 && p.server().Others == 11 })
		s.decided(p, 2, policy.ConnectionBudget)
		s.tells("a server that refuses us", 2)
		listening := s.listen()
		s.depth(100)
		s.decided(s.sees("a larger backlog", asks(10)), 2, policy.ConnectionBudget)
		s.shows(`headroom_database_connections_used{constraint="server",database="orders-db",database_namespace="shop"} 20`)

		// The gate stays shut.
		s.change(func(on *terms) { on.mode = "Gate" })
		s.hire(1, true)
		s.publish()
		p = s.sees("a pod waits", func(p seen) bool {
			return p.Mode == policy.Gate && p.Gated == 1 && p.database.Unknown == ""
		})
		if len(p.Admissions) > 0 || p.server().Free >= 0 {
			s.t.Errorf("with %d free, admitted %v to a full server", p.server().Free, p.Admissions)
		}
		s.tells("a full server", 2)
		s.heard(listening(), 2, 2)

		disperse()
		s.tells("free slots", 5)
		s.sees("the pod may pass", func(p seen) bool { return len(p.Admissions) == 1 })
		s.change(func(on *terms) { on.mode = "Target" })
	})

	s.outage("restarted with half the connections", func() {
		s.depth(80)
		s.tells("a large server", 5)
		p := s.sees("a large server", func(p seen) bool { return p.server().Limit == 20 })
		from := time.Now()
		s.must(s.postgres.Restart(s.t.Context(), map[string]string{"max_connections": "11"}))
		// Half of 23 is 11, 8 for anybody, less 2 in reserve, less ours: 5 carry 1 pod of 3.
		s.tells("a small server", 1)
		s.trusts(from, p.database.Server, 3)
		p = s.sees("a small server", func(p seen) bool { return p.server().Limit == 8 })
		s.decided(p, 1, policy.ConnectionBudget)
		s.shows(`headroom_database_connections_limit{constraint="server",database="orders-db",database_namespace="shop"} 8`)
		s.must(s.postgres.Restart(s.t.Context(), map[string]string{"max_connections": "23"}))
		s.tells("a large server again", 5)
	})
}

// Connected to another server, or a role change: unknown until a reconnect reads
// the new writer.
func TestTheNameLeadsElsewhere(t *testing.T) {
	t.Parallel()
	s := newShop(t, patient)
	s.options.SessionAge = 200 * time.Millisecond
	s.open()
	// 32 for anybody, less 2 in reserve, less ours: 29 carry 9 pods of 3.
	first, second := s.postgres, startDatabase(t, "35")
	identity := func() string {
		s.t.Helper()
		return s.sees("a database", func(p seen) bool { return p.database.Unknown == "" }).database.Server
	}

	s.outage("and our session is cut", func() {
		s.depth(100)
		s.tells("the first server", 5)
		before, from := identity(), time.Now()
		s.must(s.name.SetTarget(second.Addr()))
		s.name.DropConnections()
		s.tells("the second server", 9)
		s.trusts(from, before, 3)
		s.shows(`headroom_database_connections_limit{constraint="server",database="orders-db",database_namespace="shop"} 32`)
	})

	s.outage("and our session goes on", func() {
		s.depth(100)
		s.tells("the second server", 9)
		before, from := identity(), time.Now()
		s.must(s.name.SetTarget(first.Addr()))
		s.tells("the first server", 5)
		s.trusts(from, before, 3)
	})

	s.outage("because the writer was demoted", func() {
		s.depth(90)
		s.tells("the first server", 5)
		before, from := identity(), time.Now()
		s.must(first.Demote(s.t.Context()))
		s.sees("a server in recovery", unknown("in recovery"))
		listening := s.listen()
		s.depth(100)
		s.decided(s.sees("a larger backlog", asks(10)), 3, policy.DatabaseUnknown)
		s.tells("frozen", 3)
		s.limitedBy(policy.DatabaseUnknown)
		s.lacks("headroom_database_connections_")
		s.heard(listening(), 3, 3)
		s.must(s.name.SetTarget(second.Addr()))
		s.tells("the new writer", 9)
		s.trusts(from, before, 3)
		pgtest.Exec(s.t, first, "SELECT pg_promote()")
	})

	s.outage("while another name of the server can't be read", func() {
		s.must(s.name.SetTarget(first.Addr()))
		alias := nameFor(s.t, first)
		dsn := filepath.Join(filepath.Dir(s.policy), "alias")
		replace(s.t, dsn, []byte(pgserver.DSN(alias.Addr(), "monitor", "postgres")))
		s.change(func(on *terms) {
			on.databases = fmt.Sprintf("- name: orders-alias\n  postgresql: {dsn: {file: %s}}\n  reserve: 2\n"+
				"  othersWindow: 3s\n  pollInterval: 100ms\n  maxReadingAge: 1m\n", dsn)
		})
		one := func(p seen) bool {
			return len(p.databases) == 2 && p.databases[0].Server != "" && p.databases[0].Server == p.databases[1].Server &&
				p.databases[0].Unknown == "" && p.databases[1].Unknown == ""
		}
		before := s.sees("two names of one server", one).database.Server
		s.depth(90)
		s.tells("the first server", 5)
		s.must(alias.Hang())
		from := time.Now()
		s.must(s.name.SetTarget(second.Addr()))
		s.name.DropConnections()
		// Both names might have moved, and count one server twice.
		s.sees("a second server", unknown("every name it had"))
		listening := s.listen()
		s.depth(100)
		s.decided(s.sees("a larger backlog", asks(10)), 3, policy.DatabaseUnknown)
		s.tells("frozen", 3)
		s.heard(listening(), 3, 3)
		s.must(alias.SetTarget(first.Addr()))
		s.tells("only one name has moved", 9)
		s.trusts(from, before, 3)
		s.change(func(on *terms) { on.databases = "" })
	})
}

// Queue unreachable: last demand until stale, then present replicas, then an error
// so that KEDA's fallback applies.
func TestTheQueueIsAway(t *testing.T) {
	t.Parallel()
	hasty := patient
	hasty.staleAfter, hasty.errorAfter = "1s", "3s"
	s := newShop(t, hasty)
	s.open()
	address := s.aws.URL()[len("http://"):]

	for _, way := range []struct {
		name     string
		replicas int // that there are; the queue asks for 1
		fail     func() (heal func())
		result   string
	}{
		{"killed", 3, func() func() {
			s.aws.Close()
			return func() {
				_, err := s.aws.Start(address)
				s.must(err)
			}
		}, "unreachable"},
		{"denied", 3, func() func() {
			heal := s.aws.Inject(fakeaws.AccessDenied("GetQueueAttributes"))
			s.depth(0) // nobody may scale in on what nobody may know
			return func() {
				s.depth(5)
				heal()
			}
		}, "denied"},
		{"hangs", 0, func() func() { return s.aws.Inject(fakeaws.Fault{Hang: true}) }, "timeout"},
	} {
		s.outage(way.name, func() {
			s.depth(5)
			s.scale(way.replicas)
			s.tells("5 messages", 1)
			s.sees("5 messages", func(p seen) bool { return p.Replicas == way.replicas && p.Demand.Backlog == 1 })
			from, there := time.Now(), way.replicas
			listening := s.listen()
			heal := way.fail()
			s.sees("an unknown queue", func(p seen) bool { return !p.Demand.Known })
			s.active(there > 0)
			s.limitedBy(policy.QueueUnknown)
			s.lacks("headroom_workload_demand_replicas{")
			s.lacks("headroom_workload_messages{")
			s.fails(orders.String())
			s.active(there > 0)
			s.counts(fmt.Sprintf(`headroom_aws_requests_total{operation="GetQueueAttributes",result=%q,service="sqs"}`, way.result), 0)
			s.heard(listening(), min(1, float64(there)), max(1, float64(there)))

			listening = s.listen()
			s.waned(from, there)
			s.fails(orders.String())
			if h := listening(); h.most > 0 || h.awoken != (there > 0) {
				s.t.Errorf("long after the last reading KEDA heard of %v, and active %t", h.most, h.awoken)
			}
			heal()
			s.tells("the queue is back", 1)
			s.active(true)
		})
	}
}

// waned holds the recording against what is told of a queue that can't be read:
// staleAfter 1s, errorAfter 3s.
func (s *shop) waned(from time.Time, there int) {
	s.t.Helper()
	eventually(s.t, s.log, "a record of the error", func() (string, bool) {
		records := s.history(from)
		for _, r := range records {
			age, o := r.At.Sub(r.Snapshot.Queues[orders].Began()), r.Outcomes[orders]
			if o.Reason != policy.QueueUnknown {
				continue
			}
			if age <= time.Second || o.Target != there || o.Value != float64(there) || o.Active != (there > 0) {
				s.t.Errorf("with the queue's last reading %s old, told %+v; %d replicas are there", age, o, there)
			}
			if o.Failure {
				if age < 3*time.Second {
					s.t.Errorf("an error with the queue's last reading %s old", age)
				}
				return "", true
			}
		}
		return fmt.Sprintf("%d records", len(records)), false
	})
}

// Kubernetes API unreachable: last known pods stay counted. Headroom restarts:
// nothing is promised until others were watched, and KEDA hears present replicas.
func TestThePodsAreUnknownAndAFreshStart(t *testing.T) {
	t.Parallel()
	s := newShop(t, patient)
	s.open()

	s.outage("the pods can't be read", func() {
		s.depth(80)
		s.tells("3 workers", 5)
		s.scale(5)
		s.work()
		s.sees("5 workers at work", func(p seen) bool { return p.Uses[0].Observed == 15 && p.Replicas == 5 })
		s.unpublish()
		s.counts(`headroom_reads_total{result="error",source="fleets"}`, 0)
		listening := s.listen()
		for _, w := range s.workers { // who knows whether they are gone?
			w.leave()
		}
		s.depth(100)
		p := s.sees("a larger backlog", func(p seen) bool { return p.Uses[0].Observed == 0 && p.Demand.Backlog == 10 })
		if p.Holding != 5 || p.Uses[0].Granted != 15 || p.server().Free > 2 {
			s.t.Errorf("%d pods with %d connections are counted, want 5 with 15; free: %d", p.Holding, p.Uses[0].Granted, p.server().Free)
		}
		s.decided(p, 5, policy.ConnectionBudget)
		s.heard(listening(), 5, 5)
		s.publish()
		s.tells("the pods are back", 5)
	})

	s.outage("Headroom restarts", func() {
		s.depth(80)
		s.tells("before", 5) // and 3 workers run
		s.change(func(on *terms) { on.othersWindow = "10m" })
		s.must(s.stop())
		s.unpublish()
		s.must(s.name.Refuse())
		s.open()
		listening := s.listen()
		s.fails("never read")

		// Present replicas, whatever else is unknown.
		s.publish()
		p := s.sees("pods without a database", func(p seen) bool {
			return p.Replicas == 3 && p.Demand.Known && unknown("connection refused")(p)
		})
		s.decided(p, 3, policy.DatabaseUnknown)
		s.tells("the present", 3)
		s.must(s.name.SetTarget(s.postgres.Addr()))
		s.sees("a database", func(p seen) bool { return p.database.Starting != "" })
		s.depth(100)
		s.decided(s.sees("a larger backlog", asks(10)), 3, policy.Starting)
		s.tells("the present", 3)
		s.limitedBy(policy.Starting)

		// Nor does the gate open for more.
		s.change(func(on *terms) { on.mode = "Gate" })
		s.sees("mode Gate", func(p seen) bool { return p.Mode == policy.Gate })
		s.heard(listening(), 3, 3)
		s.hire(2, true)
		s.publish()
		if p := s.sees("two pods wait", func(p seen) bool { return p.Gated == 2 }); len(p.Admissions) > 0 {
			s.t.Errorf("admitted %v though others were not watched yet", p.Admissions)
		}

		s.change(func(on *terms) { on.othersWindow = "3s" })
		s.sees("both may pass", func(p seen) bool { return len(p.Admissions) == 2 && p.database.Starting == "" })
		s.change(func(on *terms) { on.mode = "Target" })
		s.scale(3)
		s.tells("others were watched", 5)
	})
}
