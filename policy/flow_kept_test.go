package policy

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/metrics"
)

// written is a flow as it comes back from where it was kept.
func written(t rapid.TB, f Flow) Flow {
	t.Helper()
	data, err := json.Marshal(f.Kept())
	if err != nil {
		t.Fatal(err)
	}
	var back Flow
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if err := back.Check(); err != nil {
		t.Fatalf("what was kept is not believed: %v\n%s", err, data)
	}
	return back
}

func (p *plant) id() metrics.ID { return p.group.Workloads[0].ID }

func (p *plant) flow() Flow { return p.ledger.Workloads[p.id()].Flow }

// restart has nobody watch for so many seconds. Then what was kept is gone on with.
func (p *plant) restart(seconds int, keep bool) {
	p.t.Helper()
	kept := WorkloadMemory{PerPod: p.ledger.Workloads[p.id()].PerPod, Told: p.ledger.Workloads[p.id()].Told}
	if keep {
		kept.Flow = written(p.t, p.flow())
	}
	p.away = true
	p.pass(seconds)
	p.away = false
	kept.Flow = kept.Flow.Resume(p.now())
	p.ledger = Ledger{Databases: p.ledger.Databases, Workloads: map[metrics.ID]WorkloadMemory{p.id(): kept}}
}

// TestARestartLeavesTheObjectiveInForce: 12 messages come in a second, and pods keep up.
// Headroom is killed, and 40 seconds later there is another one. It goes on as if
// nothing had been; without what was kept, messages per pod would let the pods go.
func TestARestartLeavesTheObjectiveInForce(t *testing.T) {
	for _, seconds := range []int{5, 40, 70} {
		p := newPlant(t, "maxMessageAge: 2m")
		p.comes = func(int) float64 { return 12 }
		p.pass(1800)
		before := len(p.pods)
		p.forgetPast()
		p.restart(seconds, true)
		p.pass(5)
		o := p.plan.Demand.Objective
		if o.Fallback != "" || !o.Age.Known || math.Abs(o.Rate-p.rate) > 0.2*p.rate || math.Abs(o.Arrivals-12) > 2 || p.plan.Demand.Raw < 6 {
			t.Errorf("%d s later: %+v\n%s", seconds, o, Describe(p.plan))
		}
		p.pass(900)
		if p.late > 0 || len(p.changes) > 1 || len(p.pods) < 6 || len(p.pods) > before {
			t.Errorf("%d s later: %d replicas, before %d, changes %v, %v of %v late", seconds, len(p.pods), before, p.changes, p.late, p.done)
		}
	}
	p := newPlant(t, "maxMessageAge: 2m")
	p.comes = func(int) float64 { return 12 }
	p.pass(1800)
	p.restart(40, false)
	p.pass(5)
	if o := p.plan.Demand.Objective; o.Fallback == "" || p.plan.Demand.Raw >= 6 {
		t.Errorf("nothing was kept: %+v\n%s", o, Describe(p.plan))
	}
}

// TestNothingIsLearnedOfWhatNobodyWatched: work waits all the time for the 5 pods that
// there may be. What is seen of a minute with a restart in it is too little to learn from,
// and yet CloudWatch puts right what came in it.
func TestNothingIsLearnedOfWhatNobodyWatched(t *testing.T) {
	for _, seconds := range []int{2, 20, 45, 110} {
		p := newPlant(t, "maxMessageAge: 2m")
		p.limit = 10
		p.comes = func(int) float64 { return 12 }
		p.pass(1230)
		p.comes = func(int) float64 { return 40 }
		p.restart(seconds, true)
		p.comes = func(int) float64 { return 12 }
		if !p.flow().Resumed {
			t.Fatalf("%d s away: %+v", seconds, p.flow())
		}
		p.pass(400)
		f := p.flow()
		if len(f.Rates) < 5 || f.Resumed {
			t.Errorf("%d s away: expected minutes before and after to be learned from, found %+v", seconds, f)
		}
		for _, r := range f.Rates {
			if math.Abs(r.PerPod-p.rate) > 0.05*p.rate {
				t.Errorf("%d s away: of the minute %s a pod is taken to do %v messages in a second, want %v", seconds, r.At, r.PerPod, p.rate)
			}
		}
		if got, want := f.cameIn(float64(400+seconds)), float64(400*12+seconds*40); math.Abs(got-want) > 0.03*want {
			t.Errorf("%d s away: %v messages came since, want %v", seconds, got, want)
		}
	}
}

// TestARestartInABurst: killed while pods start for 1000 messages, Headroom goes on with
// what was asked for, and doesn't ask for more.
func TestARestartInABurst(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 2m")
	p.limit = 12 // so that work waits for pods, which tells what one does
	p.comes = func(second int) float64 {
		if second%600 == 61 {
			return 1000
		}
		return 0
	}
	p.pass(1800)
	p.limit = 1000
	p.pass(61 + 25)
	asked := p.plan.Demand.Objective
	p.restart(10, true)
	p.pass(5)
	o := p.plan.Demand.Objective
	if o.Fallback != "" || o.Replicas > asked.Replicas+1 || math.Abs(o.Age.Seconds-40) > o.Age.Uncertainty {
		t.Errorf("asks for %d replicas, before the restart %d: %+v\n%s", o.Replicas, asked.Replicas, o, Describe(p.plan))
	}
	p.forgetPast()
	p.pass(300)
	if p.late > 0 || p.turns() > 1 {
		t.Errorf("%v late, changes %v", p.late, p.changes)
	}
}

// TestAnHourThatNobodyWatched is no hour of silence, and none of work. What was learned
// of pods is kept, what came is not: CloudWatch tells how old the messages are.
func TestAnHourThatNobodyWatched(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 2m")
	p.comes = func(int) float64 { return 12 }
	p.limit = 12 // so that work waits for pods, which tells what one does
	p.pass(1200)
	p.limit = 1000
	p.pass(600)
	rates := p.flow().Rates
	p.restart(3000, true)
	if f := p.ledger.Workloads[p.id()].Flow; len(f.Came) > 0 || len(f.Minutes) > 0 || f.Resumed || len(f.Rates) != len(rates) || len(f.Startups) == 0 {
		t.Errorf("expected what was learned alone, found %+v", f)
	}
	p.pass(75)
	o := p.plan.Demand.Objective
	if o.Fallback != "" || math.Abs(o.Rate-p.rate) > 0.2*p.rate || math.Abs(o.Arrivals-12) > 3 {
		t.Errorf("%+v\n%s", o, Describe(p.plan))
	}
}

func TestWhatIsLearnedGetsOld(t *testing.T) {
	learned := Flow{
		At: noon, Service: 0.5, ServiceDoubt: 0.01, Falls: 2, Startups: []float64{20},
		Rates: []Rate{{At: noon.Add(-time.Hour), PerPod: 2, InFlight: 1}, {At: noon.Add(-time.Minute), PerPod: 2, InFlight: 1}},
	}
	watching := learned
	watching.Came = []Interval{{Seconds: 60, Messages: 100, Done: 90}}
	for _, test := range []struct {
		name    string
		flow    Flow
		after   time.Duration
		came    bool
		doubted bool // so that no rate is made of it
		rates   int
	}{
		{"a restart", watching, 30 * time.Second, true, false, 2},
		{"a clock that is a little behind", watching, -2 * time.Second, true, false, 2},
		{"ten minutes away", watching, 10 * time.Minute, false, false, 2},
		{"an hour away", watching, time.Hour, false, true, 2},
		{"a clock that was stepped back", watching, -30 * time.Minute, false, true, 1},
		{"too large to be kept as a whole", learned.Learned(), time.Second, false, false, 2},
	} {
		f := test.flow.Resume(noon.Add(test.after))
		if got := len(f.Came) > 0; got != test.came || f.Resumed != test.came || f.At.IsZero() == test.came {
			t.Errorf("%s: what came is kept: %v, want %v: %+v", test.name, got, test.came, f)
		}
		if got := f.ServiceDoubt >= rateDoubt; got != test.doubted || f.Service != 0.5 {
			t.Errorf("%s: the time in flight is %v, its doubt %v", test.name, f.Service, f.ServiceDoubt)
		}
		if len(f.Rates) != test.rates || len(f.Startups) != 1 {
			t.Errorf("%s: found rates %v and startups %v", test.name, f.Rates, f.Startups)
		}
	}
	if f := (Flow{}).Resume(noon); !reflect.DeepEqual(f, Flow{}) {
		t.Errorf("of nothing there is %+v", f)
	}
}

// TestKeptWhileNothingHappens: what is kept of a queue in which nothing is and nothing
// comes stays the same, so that nothing has to be written.
func TestKeptWhileNothingHappens(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 2m")
	p.comes = func(second int) float64 {
		if second < 600 {
			return 12
		}
		return 0
	}
	p.pass(1800)
	before := written(t, p.flow())
	if len(before.Rates) == 0 || len(before.Startups) == 0 {
		t.Errorf("nothing is kept of what was learned: %+v", before)
	}
	for range 20 {
		p.pass(60)
		if diff := cmp.Diff(before, written(t, p.flow())); diff != "" {
			t.Fatalf("nothing happens, and something is to be written:\n%s", diff)
		}
	}
}

// TestFlowIsKept: whatever a flow has seen, it is believed when it comes back, and says
// the same; written a second time it is the same bytes. All of it takes a few KiB.
func TestFlowIsKept(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 2h, secondsPerMessage: 0.5, pollInterval: 1s")
	p.limit = 6
	p.comes = func(second int) float64 { return float64(second * 7919 % 40) }
	most, learned := 0, 0
	for range 60 {
		p.pass(60)
		for _, part := range []struct {
			flow Flow
			most *int
		}{{p.flow().Kept(), &most}, {p.flow().Learned(), &learned}} {
			data, err := json.Marshal(part.flow)
			if err != nil {
				t.Fatal(err)
			}
			*part.most = max(*part.most, len(data))
		}
	}
	t.Logf("the flow of a queue is kept in up to %d bytes, what was learned in %d", most, learned)
	if most > 6<<10 || learned > 2<<10 {
		t.Errorf("the flow of a queue takes %d bytes, and %d what was learned; want at most 6 KiB and 2 KiB", most, learned)
	}
	rapid.Check(t, func(t *rapid.T) {
		u := drawPast(t, 1)
		for _, m := range u.ledger.Workloads {
			once := written(t, m.Flow)
			if diff := cmp.Diff(once, written(t, once)); diff != "" {
				t.Fatalf("it is written otherwise a second time:\n%s", diff)
			}
			if len(once.Came) == 0 {
				continue
			}
			for _, seconds := range []float64{1, 10, 60} {
				if a, b := m.Flow.cameIn(seconds), once.cameIn(seconds); math.Abs(a-b) > 0.001*(1+a) {
					t.Fatalf("%v messages came in the last %v s, and %v were kept", a, seconds, b)
				}
			}
		}
	})
}

// TestWhatIsBelievedCanBeDecidedBy: whatever stands where a flow was kept, it is either
// not believed or decided by, in numbers.
func TestWhatIsBelievedCanBeDecidedBy(t *testing.T) {
	number := rapid.Float64Range(0.001, 120)
	odd := rapid.SampledFrom([]float64{0, 1e-300, 0.001, 60, 86400, flowMost, math.MaxFloat64, -1})
	believed := 0
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(label string) float64 {
			if oneIn(rt, 40, "odd") {
				return odd.Draw(rt, label)
			}
			return number.Draw(rt, label)
		}
		f := Flow{Service: draw("service"), ServiceDoubt: draw("doubt"), Falls: draw("falls"), Assumed: oneIn(rt, 3, "assumed")}
		f.Queue = metrics.Queue{Visible: int64(between(rt, 0, 100, "visible")), InFlight: int64(between(rt, 0, 20, "in flight"))}
		p := newPlant(t, "maxMessageAge: 2m")
		p.pass(120)
		f.At = p.now().Add(-time.Duration(between(rt, 1, 200, "ago")) * time.Second)
		for range between(rt, 0, 5, "intervals") {
			f.Came = append(f.Came, Interval{Seconds: draw("s"), Messages: draw("n"), Done: draw("d"), Seen: draw("w"), Unsure: draw("v")})
		}
		n := between(rt, 0, 3, "minutes")
		for i := range n {
			f.Minutes = append(f.Minutes, FlowMinute{
				Start: f.At.Truncate(time.Minute).Add(time.Duration(i-n+1) * time.Minute), Left: draw("left"), Covered: draw("covered"), Unwatched: draw("unwatched"),
				Flight: draw("flight"), Pods: draw("pods"), Unsure: draw("unsure"), Waiting: int64(between(rt, -1, 9, "waiting")),
			})
		}
		for range between(rt, 0, 3, "rates") {
			f.Rates = append(f.Rates, Rate{f.At, draw("per pod"), draw("held")})
			f.Startups = append(f.Startups, draw("startup"))
			f.Asks = append(f.Asks, Ask{f.At, between(rt, 0, 9, "asked")})
		}
		data, err := json.Marshal(f)
		if err != nil {
			rt.Fatal(err)
		}
		var back Flow
		if err := json.Unmarshal(data, &back); err != nil {
			rt.Fatal(err)
		}
		if back.Check() != nil {
			return
		}
		believed++
		m := p.ledger.Workloads[p.id()]
		m.Flow = back.Resume(p.now())
		p.ledger.Workloads[p.id()] = m
		p.comes = func(int) float64 { return 3 }
		for range 40 {
			p.pass(5)
			o := p.plan.Demand.Objective
			for _, v := range []float64{o.Age.Seconds, o.Age.Uncertainty, o.Age.Poison, o.Arrivals, o.Rate, o.Startup, p.plan.Value} {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
					rt.Fatalf("decided by %s: %+v", data, o)
				}
			}
			if _, err := json.Marshal(p.ledger); err != nil {
				rt.Fatalf("decided by %s: %v", data, err)
			}
		}
	})
	if believed < 10 {
		t.Errorf("%d were believed, which proves little", believed)
	}
}

func TestWhatIsNotBelieved(t *testing.T) {
	sound := Flow{At: noon, Came: []Interval{{Seconds: 60, Messages: 1}}, Minutes: []FlowMinute{{Start: noon.Add(-time.Minute)}}, Rates: []Rate{{At: noon, PerPod: 1}}}
	if err := sound.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Flow){
		"too many intervals":       func(f *Flow) { f.Came = slices.Repeat(f.Came, flowIntervals+1) },
		"a negative length":        func(f *Flow) { f.Came = []Interval{{Seconds: -1}} },
		"endless messages":         func(f *Flow) { f.Came = []Interval{{Seconds: 1, Messages: math.MaxFloat64}} },
		"what readings alone told": func(f *Flow) { f.Came = []Interval{{Seconds: 1, Seen: -math.MaxFloat64, Unsure: 1}} },
		"no end":                   func(f *Flow) { f.At = time.Time{} },
		"minutes without messages": func(f *Flow) { f.Came = nil },
		"a minute of no clock":     func(f *Flow) { f.Minutes = []FlowMinute{{Start: noon.Add(-time.Second)}} },
		"minutes that are missing": func(f *Flow) { f.Minutes = []FlowMinute{{Start: noon.Add(-5 * time.Minute)}, {Start: noon}} },
		"a minute to come":         func(f *Flow) { f.Minutes = []FlowMinute{{Start: noon.Add(time.Minute)}} },
		"a minute of hours":        func(f *Flow) { f.Minutes = []FlowMinute{{Start: noon, Covered: 7200}} },
		"no rate":                  func(f *Flow) { f.Rates = []Rate{{At: noon}} },
		"a startup of a day":       func(f *Flow) { f.Startups = []float64{86400} },
		"fewer than no replicas":   func(f *Flow) { f.Asks = []Ask{{noon, -1}} },
		"almost no time in flight": func(f *Flow) { f.Service, f.ServiceDoubt = 1e-5, 1 },
		"a time beyond any doubt":  func(f *Flow) { f.Service = 1 },
		"next to nothing":          func(f *Flow) { f.Came = []Interval{{Seconds: 1, Messages: 1e-150}} },
	} {
		f := sound
		if spoil(&f); f.Check() == nil {
			t.Errorf("%s is believed: %+v", name, f)
		}
	}
}
