package forecast_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/arrivals"
	"github.com/keda-headroom/headroom/internal/clairvoyant"
	"github.com/keda-headroom/headroom/internal/forecast"
	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/policy"
)

func play(t testing.TB, w forecast.World, c forecast.Contender) forecast.Outcome {
	t.Helper()
	o, err := forecast.Run(t.Context(), w, c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// One pod of one slot, ten messages of a second that come at once: the last is ten
// seconds old, and all that is counted follows.
func TestTenMessages(t *testing.T) {
	one := 1
	w := burst()
	w.Arrivals.Intervals = []arrivals.Interval{{Length: time.Millisecond, Count: 10}}
	w.Service.Mean, w.Concurrency, w.Objective = time.Second, 1, 5*time.Second+time.Millisecond
	o := play(t, w, forecast.Contender{Name: "one", Fixed: &one})
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.05 {
			t.Errorf("%s: expected %v, found %v", name, want, got)
		}
	}
	near("drain", o.DrainSeconds, 10)
	near("backlog", o.LongestBacklogSeconds, 9)
	near("most", o.Ages.Max, 10)
	near("median", o.Ages.P50, 5)
	near("mean", o.Ages.Mean, 5.5)
	near("kept", float64(o.Kept), 5)
	near("pod hours", o.PodHours, 10.0/3600)
	near("peak", float64(o.Databases[0].Peak), 16+5)
	near("workers' calls", float64(o.Calls.Messages), 2*10)
}

// A pod that waits asks the queue three times a minute.
func TestIdleReceives(t *testing.T) {
	two := 2
	w := burst()
	w.Arrivals.Intervals = []arrivals.Interval{{Length: time.Hour}}
	if o := play(t, w, forecast.Contender{Name: "two", Fixed: &two}); o.Calls.Messages != 2*3*60 {
		t.Errorf("expected 360 empty receives, found %d", o.Calls.Messages)
	}
}

// Where a database is full the workers and the others are refused, and both try again.
func TestFullDatabase(t *testing.T) {
	many := 20 // 100 connections, of 97 that others want 16 of
	o := play(t, burst(), forecast.Contender{Name: "many", Fixed: &many})
	if d := o.Databases[0]; d.Peak != 97 || d.RefusedWorkers == 0 || d.FullSeconds == 0 {
		t.Errorf("expected refusals of a full database, found %+v", d)
	}
	o = play(t, spike(), forecast.Contender{Name: "many", Fixed: &many})
	if d := o.Databases[0]; d.RefusedOthers < 20*20 {
		t.Errorf("expected the spike to be refused every half second, found %+v", d)
	}
}

// A pod whose grace is over gives its messages back: they are done all the same, by
// another pod, and their age counts from when they came.
func TestKilledPodsGiveBack(t *testing.T) {
	w := burst()
	w.Service, w.Grace = forecast.Service{Kind: forecast.Exponential, Mean: 20 * time.Second}, time.Second
	w.Arrivals.Intervals = []arrivals.Interval{{Length: 5 * time.Second, Count: 300}}
	w.Patience = time.Hour
	c := forecast.Contender{Name: "headroom", Headroom: shopPolicy(policy.Target)}
	c.Headroom.Workloads[0].ScaleDownStabilization = 0
	o := play(t, w, c)
	if o.Returned == 0 || o.Done != 300 || o.Left != 0 {
		t.Errorf("expected messages to go back and all of 300 to be done, found %+v", o)
	}
}

// In mode Gate pods wait until there are connections, and nobody is refused.
func TestGate(t *testing.T) {
	c := forecast.Contender{Name: "gate", Headroom: shopPolicy(policy.Gate)}
	o := play(t, burst(), c)
	if o.Left != 0 || o.PeakPods != 14 || o.Databases[0].RefusedWorkers+o.Databases[0].RefusedOthers != 0 {
		t.Errorf("expected 14 pods and no refusal, found %+v", o)
	}
	if o.DrainSeconds > 140 {
		t.Errorf("expected a drain like in mode Target, found %v s", o.DrainSeconds)
	}
}

// From zero: KEDA goes to one when Headroom says so, and back after its cooldown.
func TestFromZero(t *testing.T) {
	w := burst()
	w.MinReplicas = 0
	w.Arrivals.Intervals = []arrivals.Interval{{At: 20 * time.Second, Length: time.Second, Count: 50}, {At: 15 * time.Minute, Length: time.Second, Count: 0}}
	o := play(t, w, forecast.Contender{Name: "headroom", Headroom: shopPolicy(policy.Target)})
	series := o.Series.Replicas
	if series[0] != 0 || series[len(series)-1] != 0 || o.Left != 0 || o.PeakPods < 2 {
		t.Errorf("expected replicas to go from 0 and back, found %v", series)
	}
}

// CloudWatch is asked only for a policy with an objective, once a minute.
func TestCloudWatchIsAskedWithAnObjective(t *testing.T) {
	c := forecast.Contender{Name: "headroom", Headroom: shopPolicy(policy.Target)}
	if o := play(t, burst(), c); o.Calls.CloudWatchMetrics != 0 {
		t.Errorf("found %+v", o.Calls)
	}
	var points []int
	c.Headroom.Workloads[0].SQS.MaxMessageAge = time.Minute
	c.Record = func(_ time.Time, _ policy.Group, s policy.Snapshot, _ policy.Ledger, _ policy.Plan) {
		p, _ := s.Points[c.Headroom.Workloads[0].ID].Last()
		points = append(points, len(p.Minutes))
	}
	w := burst()
	w.PublishDelay = time.Minute
	o := play(t, w, c)
	if minutes := int64(o.SimulatedSeconds/60) + 1; o.Calls.CloudWatchMetrics != 4*minutes {
		t.Errorf("expected 4 metrics in each of %d minutes, found %d", minutes, o.Calls.CloudWatchMetrics)
	}
	if points[0] != 0 || points[len(points)-1] == 0 {
		t.Errorf("expected minutes to be published a minute after they ended, found %v", points)
	}
}

func TestWrongWorlds(t *testing.T) {
	w := burst()
	w.Scale, w.Concurrency, w.Servers[0].Limit, w.Service.Mean, w.MaxReplicas = 0, 0, 0, 0, 0
	err := w.Check()
	for _, want := range []string{"scale:", "concurrency:", "database shop/database:", "service:", "replicas:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q in %v", want, err)
		}
	}
	if _, err := forecast.Run(t.Context(), burst(), forecast.Contender{Name: "nothing"}); err == nil {
		t.Error("expected a contender of no kind to be an error")
	}
}

func TestService(t *testing.T) {
	for text, want := range map[string]string{"fixed": "fixed", "exponential": "exponential", "heavy": forecast.Heavy, "pareto:2.5": "pareto:2.5", "lognormal:0.5": "lognormal:0.5"} {
		s, err := forecast.ParseService(text, 2*time.Second)
		if err != nil || s.String() != want {
			t.Errorf("%s: %v, %v", text, s, err)
			continue
		}
		sum, n := 0.0, uint64(400_000)
		for i := range n {
			sum += s.At(3, i).Seconds()
		}
		if mean := sum / float64(n); math.Abs(mean-2) > 0.06 {
			t.Errorf("%s: expected a mean of 2 s, found %v", text, mean)
		}
	}
	for _, text := range []string{"", "normal", "fixed:1", "pareto", "pareto:1", "pareto:NaN", "lognormal:-1", "lognormal:9", "lognormal:"} {
		if s, err := forecast.ParseService(text, time.Second); err == nil {
			t.Errorf("%q: expected an error, found %v", text, s)
		}
	}
}

// small draws a world of some minutes.
func small(t *rapid.T) forecast.World {
	w := burst()
	w.Arrivals.Intervals = nil
	for i := range rapid.IntRange(1, 8).Draw(t, "intervals") {
		w.Arrivals.Intervals = append(w.Arrivals.Intervals, arrivals.Interval{At: time.Duration(i) * time.Minute, Length: time.Minute, Count: float64(rapid.IntRange(0, 400).Draw(t, "count"))})
	}
	w.Seed = rapid.Uint64().Draw(t, "seed")
	w.Service = forecast.Service{Kind: rapid.SampledFrom([]forecast.Kind{forecast.Fixed, forecast.Exponential, forecast.Lognormal}).Draw(t, "kind"), Shape: 1.5,
		Mean: time.Duration(rapid.IntRange(100, 6000).Draw(t, "mean")) * time.Millisecond}
	w.Concurrency = rapid.IntRange(1, 8).Draw(t, "concurrency")
	w.StartUp = time.Duration(rapid.IntRange(0, 30).Draw(t, "start-up")) * time.Second
	w.Grace = time.Duration(rapid.IntRange(0, 10).Draw(t, "grace")) * time.Second
	w.MinReplicas = rapid.IntRange(0, 3).Draw(t, "min")
	w.MaxReplicas = rapid.IntRange(max(1, w.MinReplicas), 20).Draw(t, "max")
	w.Objective = time.Duration(rapid.IntRange(1, 120).Draw(t, "objective")) * time.Second
	w.SyncOffset = time.Duration(rapid.IntRange(0, 14).Draw(t, "offset")) * time.Second
	w.Servers[0].Others[0].Connections = rapid.IntRange(0, 60).Draw(t, "others")
	w.Patience = 12 * time.Hour
	return w
}

func contender(t *rapid.T, w forecast.World) forecast.Contender {
	switch rapid.IntRange(0, 3).Draw(t, "contender") {
	case 0:
		n := rapid.IntRange(0, max(w.MinReplicas, w.Budget())).Draw(t, "fixed")
		return forecast.Contender{Name: "fixed", Fixed: &n}
	case 1:
		return forecast.Contender{Name: "capped", KEDA: &forecast.KEDA{QueueLength: int64(rapid.IntRange(1, 40).Draw(t, "queueLength")), MaxReplicas: max(1, w.MinReplicas, w.Budget())}}
	}
	g := shopPolicy(rapid.SampledFrom([]policy.Mode{policy.Target, policy.Gate}).Draw(t, "mode"))
	g.Workloads[0].SQS.MessagesPerPod = int64(rapid.IntRange(1, 40).Draw(t, "messagesPerPod"))
	g.Workloads[0].SQS.PollInterval = time.Duration(rapid.IntRange(1, 10).Draw(t, "poll")) * time.Second
	g.Databases[0].Reserve = intorpercent.Count(10)
	return forecast.Contender{Name: "headroom", Headroom: g}
}

// Whatever the world and the contender: no message is lost or done twice, nothing is
// beyond its limit, the same seed gives the same outcome, and nobody beats the bounds
// who keeps within the budget.
func TestAnyWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := small(t)
		c := contender(t, w)
		o, err := forecast.Run(t.Context(), w, c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := forecast.Run(t.Context(), w, c)
		if err != nil || !reflect.DeepEqual(o, again) {
			t.Fatalf("the same world gave another outcome: %v", err)
		}
		if o.Done+o.Left != o.Messages || o.Kept > o.Done || float64(o.Messages) != w.Arrivals.Total() {
			t.Fatalf("of %v messages %d came, %d were done, %d left and %d kept", w.Arrivals.Total(), o.Messages, o.Done, o.Left, o.Kept)
		}
		d := o.Databases[0]
		if d.Peak > d.Limit || o.Ages.P50 > o.Ages.P95 || o.Ages.P95 > o.Ages.P99 || o.Ages.P99 > o.Ages.Max {
			t.Fatalf("found %+v, %+v", d, o.Ages)
		}
		if _, err := json.Marshal(o); err != nil {
			t.Fatal(err)
		}
		p := clairvoyant.Of(w)
		if c.Fixed != nil {
			p.MinReplicas = *c.Fixed // they are there from the beginning
			p.MaxReplicas = max(p.MaxReplicas, p.MinReplicas)
		}
		b := p.Bounds(p.Reach())
		if o.PeakPods > p.MaxReplicas {
			return // a minimum above the budget, or pods that end beside those that begin
		}
		if int(o.Kept) > b.Kept {
			t.Fatalf("%s kept %d of %d messages that could be kept", c.Name, o.Kept, b.Kept)
		}
		if int(o.Kept) == b.Kept && o.Left == 0 && o.PodHours < b.PodHours-1e-6 {
			t.Fatalf("%s spent %v pod hours, at least %v are needed", c.Name, o.PodHours, b.PodHours)
		}
	})
}

func FuzzParseService(f *testing.F) {
	for _, text := range []string{"fixed", "heavy", "exponential", "lognormal:1.5", "pareto:2", "pareto:1e999"} {
		f.Add(text, int64(time.Second), uint64(1))
	}
	f.Fuzz(func(t *testing.T, text string, mean int64, message uint64) {
		s, err := forecast.ParseService(text, time.Duration(mean))
		if err != nil {
			return
		}
		if takes := s.At(1, message); takes <= 0 {
			t.Fatalf("%v: message %d takes %v", s, message, takes)
		}
		if again, err := forecast.ParseService(s.String(), s.Mean); err != nil || again != s {
			t.Fatalf("%v became %v, %v", s, again, err)
		}
	})
}
