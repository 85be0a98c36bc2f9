package acceptance

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/otherapp"
	"github.com/keda-headroom/headroom/policy"
)

const (
	// reaction is how long it may take beyond the pods' own grace until half of the
	// reserve is free again. It holds on a machine with nothing else to do.
	reaction = 10 * time.Second
	// busy is how many times as long it may take on a machine that has.
	busy = 3
	// calmFor is how long half of the reserve has to be free to count as recovered.
	calmFor = 8 * time.Second
)

// trouble is something that takes connections which nobody could have reckoned with.
type trouble struct {
	name string
	// extra is how many connections a pod opens beyond what it declares.
	extra int
	// begin begins it, and returns what ends it.
	begin func(*gateSite) (end func())
	// after is how many pods there are at the end, when it is over.
	after int
}

// during runs something beside the test until it is ended.
func during(what func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { what(ctx) })
	return func() { cancel(); ended.Wait() }
}

var troubles = []trouble{
	{
		name: "spike", after: gateCapacity,
		begin: func(s *gateSite) func() {
			return during(func(ctx context.Context) { s.web.Spike(ctx, 20, time.Hour) })
		},
	},
	{
		name: "failover", after: 3, // of 37, 10 are reserved, and others hold 9 to 12
		begin: func(s *gateSite) func() {
			if err := s.database.Restart(context.WithoutCancel(s.t.Context()), serverOf(40)); err != nil {
				s.t.Fatal(err)
			}
			return func() {}
		},
	},
	{
		name: "leak", after: gateCapacity,
		begin: func(s *gateSite) func() {
			return during(func(ctx context.Context) { s.web.Leak(ctx, 500*time.Millisecond, 20) })
		},
	},
	{
		name: "leak of the workers' own role", after: gateCapacity,
		begin: func(s *gateSite) func() {
			script, err := otherapp.Start(context.WithoutCancel(s.t.Context()), otherapp.Options{
				DSN: s.database.DSN("worker", "postgres"), Address: "127.2.0.9", Name: "orders-by-hand",
			})
			if err != nil {
				s.t.Fatal(err)
			}
			s.t.Cleanup(script.Stop)
			return during(func(ctx context.Context) { script.Leak(ctx, 500*time.Millisecond, 20) })
		},
	},
	{
		name: "undeclared connections", extra: 2, after: 5,
		begin: func(*gateSite) func() { return func() {} },
	},
}

// TestShedFreesWhatNobodyCouldReckonWith takes connections away in mid-burst, in ways
// that can't be known beforehand. Half of the reserve is free again within seconds
// beyond the time that pods take to end, and from then on nobody is refused.
func TestShedFreesWhatNobodyCouldReckonWith(t *testing.T) {
	t.Parallel()
	var shed atomic.Int32
	t.Cleanup(func() {
		if !t.Failed() && shed.Load() == 0 {
			t.Error("no pod was evicted in any of the troubles")
		}
	})
	for _, of := range []struct{ grace, drain time.Duration }{{2 * time.Second, time.Second}, {30 * time.Second, 25 * time.Second}} {
		for _, trouble := range troubles {
			t.Run(fmt.Sprintf("%s with %s grace", trouble.name, of.grace), func(t *testing.T) {
				t.Parallel()
				if trouble.shed(t, of.grace, of.drain) {
					shed.Add(1)
				}
			})
		}
	}
}

// attentive is the gate's policy with the intervals that Headroom has by default.
func attentive(workloads ...string) string {
	p := gatePolicy(workloads...)
	for _, own := range []string{"  pollInterval: 300ms\n", "  maxReadingAge: 10s\n"} {
		p = strings.Replace(p, own, "", 1)
	}
	return p
}

// shed plays the trouble, and reports whether pods were evicted: where the HPA scales in
// before half of the reserve is gone, none has to be.
func (tr trouble) shed(t *testing.T, grace, drain time.Duration) (evicted bool) {
	s := newGateSite(t)
	f := &gatedFleet{
		fleet: s.start(&fleet{name: "orders", max: 100, works: true, work: time.Second}),
		grace: grace, drain: drain, extra: tr.extra,
	}
	s.policy("policy", attentive(f.governed("Gate", "shedding: {enabled: true, minReplicas: 1}")))
	begin := time.Now()
	s.send(f.queue, 3000)
	s.deployGated(f)
	if tr.extra == 0 {
		s.passed("orders", gateCapacity)
		s.wait("all connections of the workers to be open", func(context.Context) (bool, error) {
			h, err := s.watch.now()
			return err == nil && h.workers == gateCapacity*perPod, fmt.Errorf("%d are: %w", h.workers, err)
		})
		begin = time.Now()
	}
	end := tr.begin(s)
	defer end()
	least := gateReserve / 2
	s.wait("half of the reserve to be free, and to stay so", func(context.Context) (bool, error) {
		_, calm := lacked(s.watch.since(begin), least)
		h, err := s.watch.now()
		// The trouble has to have come first.
		came := time.Since(begin) > calmFor+15*time.Second
		return came && calm > calmFor, fmt.Errorf("%d of %d connections are used, %d of them by workers, and %d have been free for %s: %w", h.used, h.usable, h.workers, least, calm, err)
	})
	longest, calm := lacked(s.watch.since(begin), least)
	recovered := time.Now().Add(-calm)
	logged, workers, others := s.refusals()
	t.Logf("less than %d connections were free for %.1f s at a stretch, which may be %.0f s; PostgreSQL refused %v, workers counted %d, the other application %d",
		least, longest.Seconds(), (reaction + grace).Seconds(), logged, workers, others)
	if most := busy * (reaction + grace); longest > most {
		t.Errorf("less than %d connections were free for %s, want at most %s even on a machine that is busy", least, longest, most)
	}
	_, evicted, err := s.headroom.metric(context.WithoutCancel(t.Context()), "headroom_evictions_total", map[string]string{"namespace": s.namespace, "workload": "orders", "reason": "Shed", "result": "ok"})
	if err != nil {
		t.Fatal(err)
	}
	if evicted && tr.extra == 0 {
		s.told("ScaledObject/orders", "EvictedToFreeConnections")
	}

	end()
	s.planned("orders", fmt.Sprintf("%d pods that hold connections", tr.after), func(p policy.WorkloadPlan) bool { return p.Holding == tr.after && len(p.Evictions) == 0 })
	s.passed("orders", tr.after)
	if late := s.refusedSince(recovered); len(late) > 0 {
		t.Errorf("after half of the reserve was free again PostgreSQL refused %v: want nothing", late)
	}
	return evicted
}

// lacked is for how long at a stretch fewer than least connections were free at most,
// and for how long as many have been free by now.
func lacked(seen []held, least int) (longest, calm time.Duration) {
	var since time.Time // when it began to lack, zero while it doesn't
	var free time.Time  // when it began not to
	for _, h := range seen {
		switch lacks := h.free() < least; {
		case lacks && since.IsZero():
			since, free = h.at, time.Time{}
		case !lacks && free.IsZero():
			since, free = time.Time{}, h.at
		}
		if !since.IsZero() {
			longest = max(longest, h.at.Sub(since))
		}
	}
	if n := len(seen); n > 0 && !free.IsZero() {
		calm = seen[n-1].at.Sub(free)
	}
	return longest, calm
}

// refusedSince counts what PostgreSQL refused from a moment on, by role.
func (s *site) refusedSince(from time.Time) map[string]int {
	s.t.Helper()
	entries, _, err := s.database.ReadLog(0)
	if err != nil {
		s.t.Fatal(err)
	}
	refused := map[string]int{}
	for _, e := range entries {
		if e.Refused() && !e.Time.Before(from) {
			refused[e.User]++
		}
	}
	return refused
}
