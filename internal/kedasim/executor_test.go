package kedasim_test

import (
	"math"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/kedasim"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestFromZeroAndBack(t *testing.T) {
	e := kedasim.NewExecutor(kedasim.ScaledObject{})
	poll := func(after time.Duration, current int, active, failed bool, want int) {
		t.Helper()
		if got := e.Poll(start.Add(after), current, active, failed); got != want {
			t.Fatalf("poll at %v with %d replicas, active %v, failed %v: %d, want %d", after, current, active, failed, got, want)
		}
	}
	poll(0, 0, false, false, 0)
	poll(30*time.Second, 0, true, false, 1) // activity at 30 s
	poll(60*time.Second, 7, false, false, 7)
	poll(330*time.Second, 7, false, false, 7) // exactly the cooldown: not yet
	poll(331*time.Second, 7, false, true, 7)  // an error is not inactivity
	poll(332*time.Second, 7, true, true, 7)   // and activity beside an error does not count
	poll(333*time.Second, 7, false, false, 0)
	// A failing trigger does not keep another active one from going to one.
	poll(400*time.Second, 0, true, true, 1)
	poll(500*time.Second, 3, true, false, 3)
	poll(801*time.Second, 3, false, false, 0)
}

func TestScaledFromOutsideHasNoCooldown(t *testing.T) {
	e := kedasim.NewExecutor(kedasim.ScaledObject{})
	if got := e.Poll(start, 5, false, false); got != 0 {
		t.Errorf("never active, 5 replicas: %d, want 0", got)
	}
}

func TestMinimum(t *testing.T) {
	e := kedasim.NewExecutor(kedasim.ScaledObject{MinReplicaCount: 3})
	for _, c := range []struct {
		current int
		active  bool
		want    int
	}{{0, false, 3}, {0, true, 3}, {2, false, 3}, {5, false, 5}, {2, true, 2 /* the HPA's business */}} {
		if got := e.Poll(start.Add(time.Hour), c.current, c.active, false); got != c.want {
			t.Errorf("from %d, active %v: %d, want %d", c.current, c.active, got, c.want)
		}
	}
	for o, want := range map[kedasim.ScaledObject][2]int{
		{}: {1, 100}, {MinReplicaCount: 3, MaxReplicaCount: 9}: {3, 9},
	} {
		if least, most := o.HPABounds(); least != want[0] || most != want[1] {
			t.Errorf("%+v: HPA from %d to %d, want %v", o, least, most, want)
		}
	}
}

func TestPush(t *testing.T) {
	e := kedasim.NewExecutor(kedasim.ScaledObject{})
	if got := e.Push(start, 4, false); got != 4 {
		t.Errorf("a pushed false took 4 to %d", got)
	}
	if got := e.Push(start, 0, true); got != 1 {
		t.Errorf("a pushed true took 0 to %d", got)
	}
	// Repeated, it starts the cooldown anew.
	e.Push(start.Add(200*time.Second), 4, true)
	if got := e.Poll(start.Add(400*time.Second), 4, false, false); got != 4 {
		t.Errorf("200 s after the last push: %d, want 4", got)
	}
}

func TestMilli(t *testing.T) {
	for v, want := range map[float64]int64{
		0: 0, 8.999: 8999, 0.0004: 0, 0.0005: 1, 12: 12000, -3: 0, math.Inf(1): 0, 1e300: math.MaxInt64,
	} {
		if got := kedasim.Milli(v); got != want {
			t.Errorf("Milli(%v) = %d, want %d", v, got, want)
		}
	}
	if kedasim.Milli(math.NaN()) != 0 {
		t.Error("NaN is not 0")
	}
	for _, c := range []struct {
		integer int64
		float   float64
		want    float64
	}{{5, 0, 5}, {5, 3.5, 3.5}, {5, -1, 5}, {5, math.NaN(), 5}} {
		if got := kedasim.MetricValue(c.integer, c.float); got != c.want {
			t.Errorf("MetricValue(%d, %v) = %v, want %v", c.integer, c.float, got, c.want)
		}
	}
}
