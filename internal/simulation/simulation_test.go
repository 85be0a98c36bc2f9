package simulation

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keda-headroom/headroom/policy"
)

// modes are played in turn, the seed tells which.
var modes = []policy.Mode{policy.Gate, policy.Target, ""}

// schedules is how many random schedules the closed loop is tried with:
// HEADROOM_SCHEDULES, or else as many as fit the test's time.
func schedules(t *testing.T) uint64 {
	text := os.Getenv("HEADROOM_SCHEDULES")
	if text == "" {
		return unlessRace(2_000, 100)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("HEADROOM_SCHEDULES: expected a whole number, found %q", text)
	}
	return n
}

// TestClosedLoop plays random schedules and counts connections in the simulated
// pods and server, never in a ledger. HEADROOM_SEED starts elsewhere than at 1;
// one seed alone is replayed with HEADROOM_SCHEDULES=1.
func TestClosedLoop(t *testing.T) {
	first := uint64(1)
	if text := os.Getenv("HEADROOM_SEED"); text != "" {
		var err error
		if first, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("HEADROOM_SEED: expected a whole number, found %q", text)
		}
	}
	count := schedules(t)
	var next, bad atomic.Uint64
	var admissions, raises, refused, late, overtaken, evictions, terms atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < count && bad.Load() < 5; i = next.Add(1) - 1 {
				seed := first + i
				mode := modes[seed%uint64(len(modes))]
				r := Run(Draw(seed, mode))
				admissions.Add(int64(r.Admissions))
				raises.Add(int64(r.Raises))
				late.Add(int64(r.Late))
				overtaken.Add(int64(r.Overtaken))
				evictions.Add(int64(r.Evictions))
				terms.Add(int64(r.Terms))
				refused.Add(int64(r.RefusedWorkers))
				if len(r.Violations) > 0 {
					bad.Add(1)
					t.Errorf("seed %d, mode %q: %s", seed, mode, r.Violations[0])
				}
			}
		})
	}
	wait.Wait()
	t.Logf("%d schedules from seed %d: %d admissions and %d raises checked against the world, %d schedules violated; %d terms of leaders, %d admissions came true later than 10 s, %d in somebody else's term, %d pods were taken away; %d worker connections refused for causes that nobody could know",
		min(next.Load(), count), first, admissions.Load(), raises.Load(), bad.Load(), terms.Load(), late.Load(), overtaken.Load(), evictions.Load(), refused.Load())
	if bad.Load() == 0 && count >= 100 && (admissions.Load() == 0 || raises.Load() == 0) {
		t.Errorf("nothing was checked: %d admissions, %d raises", admissions.Load(), raises.Load())
	}
}

// TestRepeatable holds runs to their seed.
func TestRepeatable(t *testing.T) {
	for seed := range uint64(20) {
		mode := modes[seed%uint64(len(modes))]
		a, b := Run(Draw(seed, mode)), Run(Draw(seed, mode))
		if a.Admissions != b.Admissions || a.Raises != b.Raises || a.RefusedWorkers != b.RefusedWorkers || a.RefusedOthers != b.RefusedOthers {
			t.Errorf("seed %d gave %+v and then %+v", seed, a, b)
		}
	}
}
