package poll

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// In these tests time is synctest's: it stands still while anybody works and
// leaps to the next timer when everybody waits. time.Sleep moves it exactly.

func acquire(t *testing.T, set *Set[string, int], key string, source *script, settings Settings) *Handle[int] {
	t.Helper()
	handle, err := set.Acquire(key, source.open, settings)
	if err != nil {
		t.Fatalf("Acquire(%q): %v", key, err)
	}
	return handle
}

func wantGaps(t *testing.T, source *script, want ...time.Duration) {
	t.Helper()
	if got := source.gaps(); !slices.Equal(got, want) {
		t.Errorf("times between reads: got %v, want %v", got, want)
	}
}

func TestEverySourceIsReadOnceHoweverManyUseIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet[string, int](Options[string]{random: noJitter})
		defer set.Close()
		orders, billing, unused := &script{}, &script{}, &script{}

		// A hundred workloads look at one queue, and one at another.
		var handles []*Handle[int]
		for range 100 {
			handles = append(handles, acquire(t, set, "orders", orders, Settings{Interval: time.Second}))
		}
		acquire(t, set, "billing", billing, Settings{Interval: time.Second})
		if _, err := set.Acquire("orders", unused.open, Settings{Interval: time.Second}); err != nil {
			t.Fatal(err)
		}

		time.Sleep(9500 * time.Millisecond)
		if got := orders.reads(); got != 10 {
			t.Errorf("orders was read %d times in 9.5 s at an interval of 1 s, want 10", got)
		}
		if got := billing.reads(); got != 10 {
			t.Errorf("billing was read %d times, want 10", got)
		}
		if got := unused.reads(); got != 0 {
			t.Errorf("a second source for the same key was read %d times, want 0", got)
		}
		if got := set.Len(); got != 2 {
			t.Errorf("Len() = %d, want 2", got)
		}
		for i, handle := range handles {
			if got, ok := handle.Reading().Last(); !ok || got != 10 {
				t.Fatalf("handle %d has %d, %v; want 10, true", i, got, ok)
			}
		}
	})
}

func TestTheFirstReadBeginsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet[string, int](Options[string]{})
		defer set.Close()
		slow := &script{answer: func(context.Context, int) (int, error) {
			time.Sleep(300 * time.Millisecond)
			return 7, nil
		}}
		began := time.Now()
		handle := acquire(t, set, "q", slow, Settings{})

		// Before it has ended nothing is known, and that is not 0.
		if _, ok := handle.Reading().Last(); ok {
			t.Error("there is a value before the first read ended")
		}
		if got, want := handle.Reading().Why(time.Now(), time.Minute), "not read yet"; got != want {
			t.Errorf("Why = %q, want %q", got, want)
		}

		time.Sleep(time.Second)
		reading := handle.Reading()
		if got, ok := reading.Last(); !ok || got != 7 {
			t.Errorf("Last() = %d, %v; want 7, true", got, ok)
		}
		if !reading.Began().Equal(began) {
			t.Errorf("the reading began %s after the read did, want the time before it was asked", reading.Began().Sub(began))
		}
	})
}

func TestTheShortestIntervalWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet[string, int](Options[string]{random: noJitter})
		defer set.Close()
		source := &script{}

		// One user is content with a minute: reads at 0 s and 60 s.
		patient := acquire(t, set, "q", source, Settings{Interval: time.Minute})
		time.Sleep(65 * time.Second)

		// Another wants 10 s. The wait in progress is cut: 70 s, 80 s, 90 s.
		eager := acquire(t, set, "q", source, Settings{Interval: 10 * time.Second})
		time.Sleep(30 * time.Second) // 95 s

		// It leaves: back to a minute after the last read, 150 s.
		eager.Release()
		time.Sleep(60 * time.Second) // 155 s
		wantGaps(t, source, time.Minute, 10*time.Second, 10*time.Second, 10*time.Second, time.Minute)

		// Whoever comes when a read is overdue by their own interval gets it at once.
		time.Sleep(20 * time.Second) // 175 s
		acquire(t, set, "q", source, Settings{Interval: 10 * time.Second})
		synctest.Wait()
		if got := source.gaps()[5]; got != 25*time.Second {
			t.Errorf("the overdue read came %s after the last, want 25 s", got)
		}
		patient.Release()
	})
}

func TestJitterKeepsEachIntervalWithinATenth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		set := NewSet[string, int](Options[string]{random: random.Float64})
		source := &script{}
		acquire(t, set, "q", source, Settings{Interval: 10 * time.Second})
		time.Sleep(time.Hour)
		set.Close()
		gaps := source.gaps()
		if low, high := slices.Min(gaps), slices.Max(gaps); low < 9*time.Second || high > 11*time.Second {
			t.Errorf("intervals go from %s to %s, want 9 s to 11 s", low, high)
		}
		distinct := slices.Compact(slices.Sorted(slices.Values(gaps)))
		if len(distinct) < len(gaps)/2 {
			t.Errorf("only %d different intervals among %d: jitter is missing", len(distinct), len(gaps))
		}
	})
}

// TestAnOutage follows one source through an outage.
func TestAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outage := errors.New("connection refused")
		var down atomic.Bool
		source := &script{answer: func(_ context.Context, nth int) (int, error) {
			if down.Load() {
				return 0, outage
			}
			return nth, nil
		}}
		var log bytes.Buffer
		set := NewSet[string, int](Options[string]{
			Source: "postgres", random: noJitter,
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo})),
		})
		handle := acquire(t, set, "orders-db", source, Settings{Interval: time.Second})
		start := time.Now()

		// Two good reads, at 0 s and 1 s.
		time.Sleep(1500 * time.Millisecond)
		if got, ok := handle.Reading().At(time.Now(), 2*time.Second); !ok || got != 2 {
			t.Fatalf("before the outage: %d, %v; want 2, true", got, ok)
		}

		// The source goes away. Attempts at 2 s, then 1, 2, 4 and from there on
		// 5 s apart: never more than five intervals.
		down.Store(true)
		time.Sleep(28 * time.Second) // 29.5 s
		wantGaps(t, source, time.Second, time.Second, time.Second, 2*time.Second, 4*time.Second, 5*time.Second, 5*time.Second, 5*time.Second, 5*time.Second)

		// The last known value stays, with its own age and the reason.
		reading := handle.Reading()
		if got, ok := reading.Last(); !ok || got != 2 {
			t.Errorf("during the outage Last() = %d, %v; want 2, true", got, ok)
		}
		if got := reading.Began().Sub(start); got != time.Second {
			t.Errorf("its age counts from %s, want 1 s", got)
		}
		if _, ok := reading.At(time.Now(), 10*time.Second); ok {
			t.Error("a value of 28 s is used though 10 s are allowed")
		}
		if got, want := reading.Why(time.Now(), 10*time.Second), "last read 28.5s ago: connection refused"; got != want {
			t.Errorf("Why = %q, want %q", got, want)
		}

		// It comes back: the next attempt succeeds and the interval is as before.
		down.Store(false)
		time.Sleep(7 * time.Second) // 36.5 s; read at 34 s, 35 s, 36 s
		if got := handle.Reading().Problem(); got != "" {
			t.Errorf("after the outage Problem() = %q, want none", got)
		}
		gaps := source.gaps()
		if got, want := gaps[len(gaps)-2:], []time.Duration{time.Second, time.Second}; !slices.Equal(got, want) {
			t.Errorf("after recovery the intervals are %v, want %v", got, want)
		}
		set.Close()

		// One line when it began and one when it ended, however long it took.
		if got := strings.Count(log.String(), "\n"); got != 2 ||
			!strings.Contains(log.String(), `level=WARN msg="reading fails" source=postgres name=orders-db duration=0s problem="connection refused"`) ||
			!strings.Contains(log.String(), `level=INFO msg="reading works again"`) {
			t.Errorf("log of the outage, want one warning and one recovery:\n%s", log.String())
		}
	})
}

func TestAHangingReadIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &script{answer: func(ctx context.Context, nth int) (int, error) {
			if nth == 2 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return nth, nil
		}}
		set := NewSet[string, int](Options[string]{random: noJitter})
		defer set.Close()
		handle := acquire(t, set, "q", source, Settings{Interval: time.Second, Timeout: 700 * time.Millisecond})

		time.Sleep(1699 * time.Millisecond)
		if got := handle.Reading().Problem(); got != "" {
			t.Errorf("before the timeout: %q", got)
		}
		time.Sleep(2 * time.Millisecond)
		if got, want := handle.Reading().Problem(), "no answer within 700ms"; got != want {
			t.Errorf("Problem() = %q, want %q", got, want)
		}
		if got, ok := handle.Reading().Last(); !ok || got != 1 {
			t.Errorf("Last() = %d, %v; want the value before, 1", got, ok)
		}
		time.Sleep(time.Second)
		if got, ok := handle.Reading().Last(); !ok || got != 3 {
			t.Errorf("after it Last() = %d, %v; want 3", got, ok)
		}
	})
}

func TestAReadThatIsCutOffMaySayWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &script{answer: func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			time.Sleep(grace / 2)
			return 0, errors.New("waiting for the lock on pg_stat_activity")
		}}
		set := NewSet[string, int](Options[string]{})
		defer set.Close()
		handle := acquire(t, set, "q", source, Settings{Timeout: time.Second})
		time.Sleep(1500 * time.Millisecond)
		if got, want := handle.Reading().Problem(), "no answer within 1s: waiting for the lock on pg_stat_activity"; got != want {
			t.Errorf("Problem() = %q, want %q", got, want)
		}
	})
}

func TestAReadThatIgnoresItsCancellationIsReportedAndNotOverlapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &script{answer: func(_ context.Context, nth int) (int, error) {
			if nth == 1 {
				time.Sleep(time.Minute)
				return -1, nil // what it measured is a minute old; it was given up
			}
			return nth, nil
		}}
		set := NewSet[string, int](Options[string]{random: noJitter})
		defer set.Close()
		handle := acquire(t, set, "q", source, Settings{Interval: time.Second, Timeout: time.Second})
		time.Sleep(59 * time.Second)
		if got, want := handle.Reading().Problem(), "no answer within 1s, and the read goes on though it was canceled"; got != want {
			t.Errorf("Problem() = %q, want %q", got, want)
		}
		if got := source.reads(); got != 1 {
			t.Errorf("%d reads at a time, want 1", got)
		}
		time.Sleep(1500 * time.Millisecond)
		if got, ok := handle.Reading().Last(); !ok || got != 2 {
			t.Errorf("after it returned Last() = %d, %v; want 2, true", got, ok)
		}
	})
}

func TestASlowSourceGetsARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &script{answer: func(_ context.Context, nth int) (int, error) {
			time.Sleep(1900 * time.Millisecond)
			return nth, nil
		}}
		set := NewSet[string, int](Options[string]{random: noJitter})
		defer set.Close()
		acquire(t, set, "q", source, Settings{Interval: 2 * time.Second, Timeout: 5 * time.Second})
		time.Sleep(5 * time.Second)
		wantGaps(t, source, 2400*time.Millisecond, 2400*time.Millisecond)
	})
}

func TestTheLastReleaseStopsAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet[string, int](Options[string]{random: noJitter})
		defer set.Close()
		source := &script{}
		one := acquire(t, set, "q", source, Settings{Interval: time.Second})
		two := acquire(t, set, "q", source, Settings{Interval: time.Second})

		one.Release()
		one.Release() // counts once
		time.Sleep(1500 * time.Millisecond)
		if source.reads() != 2 || source.closes() != 0 {
			t.Fatalf("with one user left: %d reads and %d closes, want 2 and 0", source.reads(), source.closes())
		}

		two.Release()
		synctest.Wait()
		if got := source.closes(); got != 1 {
			t.Errorf("closed %d times, want once", got)
		}
		if got := set.Len(); got != 0 {
			t.Errorf("Len() = %d, want 0", got)
		}
		time.Sleep(time.Minute)
		if got := source.reads(); got != 2 {
			t.Errorf("read %d times after it was released, want no more than 2", got)
		}
		if got, ok := two.Reading().Last(); !ok || got != 2 {
			t.Errorf("the released handle has %d, %v; want the last reading, 2", got, ok)
		}

		// The same key again is a new source, with nothing known.
		again := &script{}
		three := acquire(t, set, "q", again, Settings{Interval: time.Second})
		if _, ok := three.Reading().Last(); ok {
			t.Error("a new source begins with an old value")
		}
		synctest.Wait()
		if again.reads() != 1 || source.reads() != 2 {
			t.Errorf("new source read %d times and old %d, want 1 and 2", again.reads(), source.reads())
		}
	})
}

func TestCloseCancelsReadsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var observed int
		set := NewSet[string, int](Options[string]{Observe: func(string, string, time.Time, time.Duration, error) { observed++ }})
		source := &script{answer: func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // says goodbye to its server
			return 0, ctx.Err()
		}}
		kept := acquire(t, set, "q", source, Settings{Timeout: time.Hour})
		released := &script{answer: source.answer}
		acquire(t, set, "released", released, Settings{Timeout: time.Hour}).Release()

		set.Close()
		if source.closes() != 1 || released.closes() != 1 {
			t.Errorf("Close returned with %d and %d sources closed, want 1 and 1", source.closes(), released.closes())
		}
		if got := kept.Reading().Problem(); got != "" || observed != 0 {
			t.Errorf("what Close interrupted counts as failed: %q, observed %d times", got, observed)
		}
		kept.Release()
		kept.Poke()
		set.Close()
		if _, err := set.Acquire("q", source.open, Settings{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Acquire after Close: %v, want ErrClosed", err)
		}
	})
}

func TestPoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &script{answer: func(_ context.Context, nth int) (int, error) {
			time.Sleep(time.Second)
			return nth, nil
		}}
		set := NewSet[string, int](Options[string]{random: noJitter})
		defer set.Close()
		handle := acquire(t, set, "q", source, Settings{Interval: time.Minute})

		// While a read is in progress: it began before, so another follows.
		time.Sleep(500 * time.Millisecond)
		for range 10 {
			handle.Poke()
		}
		time.Sleep(10 * time.Second)
		wantGaps(t, source, time.Second)

		// While waiting: at once. And the interval counts from there.
		handle.Poke()
		time.Sleep(62 * time.Second)
		wantGaps(t, source, time.Second, 9500*time.Millisecond, time.Minute)
	})
}

func TestChangesAreSignaled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signal := NewSignal()
		failing := &script{answer: func(context.Context, int) (int, error) { return 0, errors.New("no") }}
		set := NewSet[string, int](Options[string]{Changed: signal, random: noJitter})
		other := NewSet[int, string](Options[int]{Changed: signal, random: noJitter})
		defer set.Close()
		defer other.Close()
		handle := acquire(t, set, "q", failing, Settings{Interval: time.Hour})

		// A reading that failed is a change; what it says is there to be seen.
		<-signal.C()
		if got := handle.Reading().Problem(); got != "no" {
			t.Errorf("signaled before the reading could be seen: %q", got)
		}

		// Many changes that nobody looked at are one signal.
		for range 5 {
			handle.Poke()
			synctest.Wait()
		}
		<-signal.C()
		select {
		case <-signal.C():
			t.Error("five changes gave more than one signal")
		default:
		}

		// A set of another kind shares it.
		if _, err := other.Acquire(1, func() (Source[string], error) { return words{}, nil }, Settings{}); err != nil {
			t.Fatal(err)
		}
		<-signal.C()
	})
}

type words struct{}

func (words) Read(context.Context) (string, error) { return "", errors.New("") }

func TestAnErrorWithoutWordsIsStillAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet[int, string](Options[int]{})
		defer set.Close()
		handle, err := set.Acquire(1, func() (Source[string], error) { return words{}, nil }, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := handle.Reading().Problem(); got == "" {
			t.Error("the failure reads as a success")
		}
	})
}

func TestObserveHearsOfEveryAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type attempt struct {
			source, name string
			duration     time.Duration
			problem      string
		}
		var mu sync.Mutex
		var got []attempt
		set := NewSet[int, int](Options[int]{
			Source: "sqs",
			Name:   func(key int) string { return []string{"orders", "billing"}[key] },
			random: noJitter,
			Observe: func(source, name string, _ time.Time, duration time.Duration, err error) {
				mu.Lock()
				defer mu.Unlock()
				a := attempt{source: source, name: name, duration: duration}
				if err != nil {
					a.problem = err.Error()
				}
				got = append(got, a)
			},
		})
		source := &script{answer: func(_ context.Context, nth int) (int, error) {
			time.Sleep(10 * time.Millisecond)
			if nth == 2 {
				return 0, errors.New("throttled")
			}
			return nth, nil
		}}
		if _, err := set.Acquire(1, source.open, Settings{Interval: time.Second}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		set.Close()
		want := []attempt{
			{"sqs", "billing", 10 * time.Millisecond, ""},
			{"sqs", "billing", 10 * time.Millisecond, "throttled"},
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestAcquireReportsWhatOpenReports(t *testing.T) {
	set := NewSet[string, int](Options[string]{})
	defer set.Close()
	refused := errors.New("bad URL")
	if _, err := set.Acquire("q", func() (Source[int], error) { return nil, refused }, Settings{}); !errors.Is(err, refused) {
		t.Errorf("got %v, want %v", err, refused)
	}
	if got := set.Len(); got != 0 {
		t.Errorf("Len() = %d, want 0", got)
	}
}

// TestReadingsNeverGoBack lets many users come, go, poke and look at once, in
// real concurrency for the race detector, and checks that nobody ever sees a
// reading replaced by one that began earlier.
func TestReadingsNeverGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet[string, int](Options[string]{Changed: NewSignal()})
		source := &script{answer: func(ctx context.Context, nth int) (int, error) {
			select {
			case <-time.After(time.Duration(rand.IntN(40)) * time.Millisecond):
			case <-ctx.Done():
			}
			return nth, ctx.Err()
		}}
		keep := acquire(t, set, "q", source, Settings{Interval: 20 * time.Millisecond, Timeout: 30 * time.Millisecond})
		var users sync.WaitGroup
		for range 20 {
			users.Go(func() {
				for range 20 {
					handle, err := set.Acquire("q", source.open, Settings{Interval: time.Duration(1+rand.IntN(50)) * time.Millisecond, Timeout: 30 * time.Millisecond})
					if err != nil {
						t.Error(err)
						return
					}
					var last time.Time
					for range 10 {
						if rand.IntN(4) == 0 {
							handle.Poke()
						}
						reading := handle.Reading()
						if reading.Began().Before(last) {
							t.Errorf("a reading was replaced by one that began %s earlier", last.Sub(reading.Began()))
						}
						last = reading.Began()
						time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
					}
					handle.Release()
				}
			})
		}
		users.Wait()
		keep.Release()
		set.Close()
		if source.closes() != 1 {
			t.Errorf("closed %d times, want once", source.closes())
		}
	})
}

// paced is a source that is read each ten seconds while it says it is busy.
type paced struct {
	script
	idle   atomic.Bool
	failed atomic.Int64
}

func (p *paced) Due(settings Settings, last Attempt) time.Time {
	p.failed.Store(int64(last.Failures))
	if p.idle.Load() {
		settings.Interval = settings.IdleInterval
	}
	return settings.Due(last)
}

func TestASourceMaySayWhenItIsReadNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet[string, int](Options[string]{random: noJitter})
		defer set.Close()
		source := &paced{}
		handle, err := set.Acquire("q", func() (Source[int], error) { return source, nil },
			Settings{Interval: 10 * time.Second, IdleInterval: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Second) // read at 0, 10 and 20 s
		source.idle.Store(true)
		time.Sleep(65 * time.Second) // 90 s: read at 30 s, which was due, then at 90 s

		// What changed in between is seen once the handle says so.
		time.Sleep(15 * time.Second) // 105 s
		source.idle.Store(false)
		time.Sleep(time.Second)
		handle.Reconsider() // 106 s: due since 100 s
		synctest.Wait()
		time.Sleep(5 * time.Second) // 111 s
		source.idle.Store(true)
		handle.Reconsider()
		handle.Poke() // reads at once, however idle
		synctest.Wait()
		wantGaps(t, &source.script, 10*time.Second, 10*time.Second, 10*time.Second, time.Minute, 16*time.Second, 5*time.Second)
	})
}

func TestAPacedSourceHearsOfItsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet[string, int](Options[string]{random: noJitter})
		defer set.Close()
		source := &paced{}
		source.answer = func(_ context.Context, nth int) (int, error) {
			if nth < 4 {
				return 0, errors.New("away")
			}
			return nth, nil
		}
		if _, err := set.Acquire("q", func() (Source[int], error) { return source, nil }, Settings{Interval: time.Second, MaxBackoff: time.Second}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		if got := source.failed.Load(); got != 3 {
			t.Errorf("after three failures it hears of %d", got)
		}
		time.Sleep(time.Second)
		if got := source.failed.Load(); got != 0 {
			t.Errorf("after a success it hears of %d failures", got)
		}
	})
}
