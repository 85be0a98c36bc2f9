package scaler

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/policy"
)

// systems are sources that a test opens and watches.
type systems struct {
	mu     sync.Mutex
	opened []string
	closed []string
	logged []string  // by a test
	logins [][]Login // asked about, by reading
	full   bool
	refuse error // to open a queue
	fleets Fleets
}

type reads[T any] func() (T, error)

func (r reads[T]) Read(context.Context) (T, error) { return r() }

type closing[T any] struct {
	reads[T]
	close func()
}

func (c closing[T]) Close() error {
	c.close()
	return nil
}

func (s *systems) open() Open {
	return Open{
		Database: func(d policy.Database, logins func() []Login) (poll.Source[metrics.Database], error) {
			s.note(&s.opened, d.ID.String()+" by "+d.PostgreSQL.DSN.Env)
			return closing[metrics.Database]{func() (metrics.Database, error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.logins = append(s.logins, logins())
				if s.full {
					return metrics.Database{Full: true}, nil
				}
				return server(), nil
			}, func() { s.note(&s.closed, d.ID.String()+" by "+d.PostgreSQL.DSN.Env) }}, nil
		},
		Queue: func(q policy.SQS) (poll.Source[metrics.Queue], error) {
			if s.refuse != nil {
				return nil, s.refuse
			}
			s.note(&s.opened, q.QueueName)
			return closing[metrics.Queue]{func() (metrics.Queue, error) { return metrics.Queue{Visible: 7}, nil },
				func() { s.note(&s.closed, q.QueueName) }}, nil
		},
		Fleets: func() (poll.Source[Fleets], error) {
			s.note(&s.opened, "fleets")
			return reads[Fleets](func() (Fleets, error) { return s.fleets, nil }), nil
		},
	}
}

func (s *systems) note(where *[]string, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*where = append(*where, what)
}

func (s *systems) take(from *[]string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := *from
	*from = nil
	slices.Sort(out)
	return out
}

func group(set policy.Set) policy.Group {
	return policy.Group{Databases: set.Databases, Workloads: set.Workloads}
}

func TestWhatIsSharedIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := &systems{fleets: Fleets{
			Fleets:  map[metrics.ID]metrics.Fleet{orders: {SpecReplicas: 3}},
			Missing: map[metrics.ID]string{invoices: "ScaledObject shop/invoice-workers not found"},
		}}
		refused := 0
		s := NewSources(SourcesOptions{Open: sys.open(), Refused: func(id metrics.ID) {
			if id == ordersDB {
				refused++
			}
		}})
		defer s.Close()
		want := func(what string, from *[]string, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := sys.take(from); !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}

		// Two workloads on one queue and one database.
		set := shop(invoices, orders)
		set.Workloads[0].SQS.QueueName = "shared"
		set.Workloads[1].SQS.QueueName = "shared"
		s.Use(set)
		want("opened", &sys.opened, "fleets", "platform/orders-db by ORDERS_DSN", "shared")
		snapshot := s.Snapshot(group(set))
		for _, id := range []metrics.ID{orders, invoices} {
			if q, ok := snapshot.Queues[id].Last(); !ok || q.Visible != 7 {
				t.Errorf("the queue of %s: %v, %v", id, q, ok)
			}
		}
		if d, ok := snapshot.Databases[ordersDB].Last(); !ok || d.Server != "one" {
			t.Errorf("the database: %v, %v", d, ok)
		}
		if f, ok := snapshot.Fleets[orders].Last(); !ok || f.SpecReplicas != 3 {
			t.Errorf("the fleet: %v, %v", f, ok)
		}
		if problem := snapshot.Fleets[invoices].Problem(); problem != "ScaledObject shop/invoice-workers not found" {
			t.Errorf("a fleet that nobody knows: %q", problem)
		}
		if n := len(s.ReadingTimes()); n != 3 {
			t.Errorf("%d sources, want 3", n)
		}
		select {
		case <-s.Changed():
		default:
			t.Error("nobody hears of the readings")
		}

		// A new login on the same database: asked about at once, by the same source.
		set = shop(invoices, orders)
		set.Workloads[0].Databases[0].User = "invoicer"
		sys.mu.Lock()
		sys.logins = nil
		sys.mu.Unlock()
		s.Use(set)
		want("opened", &sys.opened, "invoice-workers", "order-workers")
		want("closed", &sys.closed, "shared")
		sys.mu.Lock()
		if len(sys.logins) != 1 || !slices.Equal(sys.logins[0], []Login{{User: "invoicer"}, {User: "worker"}}) {
			t.Errorf("asked about %v", sys.logins)
		}
		sys.full = true
		sys.mu.Unlock()

		// Full is a reading, and counted.
		time.Sleep(1500 * time.Millisecond)
		if d, ok := s.Snapshot(group(set)).Databases[ordersDB].Last(); !ok || !d.Full || refused != 1 {
			t.Errorf("a full database: %+v, %v, counted %d times", d, ok, refused)
		}

		// The monitor's DSN moves: that is another source.
		set.Databases[0].PostgreSQL = &policy.PostgreSQL{DSN: policy.DSN{Env: "OTHER_DSN"}}
		s.Use(set)
		want("opened", &sys.opened, "platform/orders-db by OTHER_DSN")
		want("closed", &sys.closed, "platform/orders-db by ORDERS_DSN")

		s.Use(policy.Set{})
		want("closed", &sys.closed, "invoice-workers", "order-workers", "platform/orders-db by OTHER_DSN")
		if n := len(s.ReadingTimes()); n != 0 {
			t.Errorf("%d sources of nothing", n)
		}
	})
}

func TestASourceThatCanNotBeOpenedSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := &systems{refuse: errors.New("the queue's URL is not one")}
		s := NewSources(SourcesOptions{Open: sys.open()})
		defer s.Close()
		set := shop(orders)
		s.Use(set)
		synctest.Wait()
		snapshot := s.Snapshot(group(set))
		if got := snapshot.Queues[orders].Problem(); got != "the queue's URL is not one" {
			t.Errorf("got %q", got)
		}
		if _, ok := snapshot.Databases[ordersDB].Last(); !ok {
			t.Error("the database is not read")
		}
	})
}

func TestAFleetThatChangedIsReadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := &systems{}
		count := 0
		open := sys.open()
		open.Fleets = func() (poll.Source[Fleets], error) {
			return reads[Fleets](func() (Fleets, error) {
				count++
				return Fleets{}, nil
			}), nil
		}
		changed := poll.NewSignal()
		changed.Notify() // before anybody reads fleets
		s := NewSources(SourcesOptions{Open: open, FleetInterval: time.Hour, FleetsChanged: changed.C()})
		defer s.Close()
		synctest.Wait()
		time.Sleep(fleetPause)
		s.Use(shop(orders))
		synctest.Wait()
		if count != 1 {
			t.Fatalf("fleets were read %d times at first, want once", count)
		}
		changed.Notify()
		synctest.Wait()
		if count != 2 {
			t.Errorf("after a change fleets were read %d times, want twice", count)
		}

		// A stream of changes is read in steps, and the last one is not lost.
		for range 10 {
			changed.Notify()
			time.Sleep(fleetPause / 10)
		}
		time.Sleep(fleetPause)
		synctest.Wait()
		if count != 3 {
			t.Errorf("after a stream of changes fleets were read %d times, want three times", count)
		}
	})
}

// A term is in a snapshot where this process led before the readings were looked
// at, and where the fleets were read after everything was known.
func TestTheTermOfASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := &systems{fleets: Fleets{Fleets: map[metrics.ID]metrics.Fleet{orders: {SpecReplicas: 3}}}}
		leads, since := false, time.Now()
		s := NewSources(SourcesOptions{Open: sys.open(), FleetInterval: time.Second, Epoch: func() (string, time.Time, bool) {
			return "headroom-1_00000000", since, leads
		}})
		defer s.Close()
		set := shop(orders)
		wants := func(what, want string) {
			t.Helper()
			if got := s.Snapshot(group(set)).Epoch; got != want {
				t.Errorf("%s: the term is %q, want %q", what, got, want)
			}
		}
		leads = true
		wants("before any reading", "")
		s.Use(set)
		synctest.Wait()
		wants("read while it leads", "headroom-1_00000000")
		leads = false
		wants("it doesn't lead", "")
		leads = true
		since = time.Now().Add(time.Millisecond)
		wants("read before its takeover was done", "")
		again := time.NewTimer(2 * time.Second)
		<-again.C
		synctest.Wait()
		wants("read after it", "headroom-1_00000000")
	})
}
