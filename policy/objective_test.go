package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/metrics"
)

// plant is a queue, its workers and an HPA in a world without chance: messages come
// evenly and are done in order, pods start in startup seconds, the HPA looks every 15,
// and CloudWatch publishes after three minutes.
type plant struct {
	t         testing.TB
	group     Group
	limit     int // of connections
	startup   int
	rate      float64 // messages that a ready pod does in a second
	comes     func(second int) float64
	published bool
	blind     bool // the queue can't be read
	away      bool // nobody reads or decides

	second  int
	coming  float64 // fractions of messages
	doing   float64
	busy    float64 // pods, summed over the seconds since the last look
	unseen  float64 // which are so many
	looked  float64 // of busy pods, what looks have not shown yet
	line    []batch // oldest first
	poison  int64   // messages that come back whenever they are received
	pods    []int   // when each was created
	minutes []metrics.Minute
	sent    float64
	deleted float64
	oldest  float64
	queue   metrics.Reading[metrics.Queue]
	points  metrics.Reading[metrics.Points]
	ledger  Ledger
	plan    WorkloadPlan

	changes    []int // of replicas, each with its sign
	done       float64
	late       float64 // of those done, too old
	podSeconds int
}

// batch is messages that came in one second.
type batch struct {
	second int
	n      float64
}

func newPlant(t testing.TB, sqs string) *plant {
	t.Helper()
	documents, problems := Parse(Source{Where: "plant"}, []byte(`
apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
databases:
- {name: orders-db, postgresql: {dsn: {env: DSN}}, reserve: 0, othersWindow: 2s}
workloads:
- name: workers
  mode: Target
  databaseRefs: [{name: orders-db, user: worker, connectionsPerPod: 2}]
  sqs: {queueName: orders, messagesPerPod: 20, `+sqs+`}
`))
	set, more := Resolve(documents)
	if len(problems)+len(more) > 0 {
		t.Fatal(problems, more)
	}
	return &plant{t: t, group: set.Groups(nil)[0], limit: 1000, startup: 20, rate: 2, published: true, comes: func(int) float64 { return 0 }}
}

func (p *plant) now() time.Time { return noon.Add(time.Duration(p.second) * time.Second) }

// pass lets seconds pass.
func (p *plant) pass(seconds int) {
	for range seconds {
		p.second++
		p.work()
		if p.second%60 == 0 {
			sent, deleted, oldest := p.sent, p.deleted, p.oldest
			p.minutes = append(p.minutes, metrics.Minute{Start: p.now().Add(-time.Minute), Sent: &sent, Deleted: &deleted, OldestAge: &oldest})
			p.sent, p.deleted, p.oldest = 0, 0, math.Floor(p.age())
		}
		if p.away {
			continue
		}
		if p.second%5 == 0 && !p.blind {
			p.queue = metrics.Known(p.depth(), p.now())
		}
		if n := max(0, len(p.minutes)-3); p.published && p.second%60 == 10 {
			p.points = metrics.Known(metrics.Points{Minutes: p.minutes[max(0, n-15):n]}, p.now())
		}
		p.decide()
		if p.second%15 == 0 {
			p.follow(int(math.Ceil(p.plan.Value)))
		}
	}
}

func (p *plant) ready() int {
	n := 0
	for _, born := range p.pods {
		if p.second-born >= p.startup {
			n++
		}
	}
	return n
}

func (p *plant) work() {
	p.coming += p.comes(p.second)
	if n := math.Floor(p.coming + 1e-9); n > 0 {
		p.coming -= n
		p.sent += n
		p.line = append(p.line, batch{p.second, n})
	}
	ready := p.ready()
	p.podSeconds += len(p.pods)
	p.doing += float64(ready) * p.rate
	before := p.done
	defer func() {
		p.busy += (p.done - before) / p.rate
		p.unseen++
	}()
	for len(p.line) > 0 && p.doing >= 1 {
		n := min(p.line[0].n, math.Floor(p.doing+1e-9))
		p.doing -= n
		p.done += n
		p.deleted += n
		if p.second-p.line[0].second > int(p.group.Workloads[0].SQS.MaxMessageAge/time.Second) {
			p.late += n
		}
		if p.line[0].n -= n; p.line[0].n <= 0 {
			p.line = p.line[1:]
		}
	}
	p.doing = min(p.doing, 1)
}

func (p *plant) waiting() float64 {
	sum := 0.0
	for _, b := range p.line {
		sum += b.n
	}
	return sum
}

func (p *plant) age() float64 {
	if len(p.line) == 0 {
		return 0
	}
	return float64(p.second - p.line[0].second)
}

func (p *plant) depth() metrics.Queue {
	// Of what was done since the last look, as much as is in flight at any time: so many
	// pods are busy on average, and at each moment a whole number.
	p.looked += p.busy / max(1, p.unseen)
	p.busy, p.unseen = 0, 0
	waiting, busy := int64(p.waiting()), int64(math.Floor(p.looked+1e-9))
	p.looked -= float64(busy)
	flight := max(busy, min(waiting+busy, int64(p.ready())))
	return metrics.Queue{Visible: waiting + busy - flight + p.poison, InFlight: flight}
}

func (p *plant) decide() {
	w, db := p.group.Workloads[0], p.group.Databases[0].ID
	fleet := metrics.Fleet{SpecReplicas: len(p.pods), StatusReplicas: len(p.pods), MaxReplicas: 1000}
	for _, born := range p.pods {
		name := fmt.Sprintf("%d-%d", born, len(fleet.Pods))
		fleet.Pods = append(fleet.Pods, metrics.Pod{UID: name, Name: name, Address: name, CreatedAt: noon.Add(time.Duration(born) * time.Second), Ready: p.second-born >= p.startup})
	}
	s := Snapshot{
		Epoch:     term,
		Databases: map[metrics.ID]metrics.Reading[metrics.Database]{db: metrics.Known(metrics.Database{Server: "A", Name: "orders", Attribution: metrics.ByAddress, Constraints: []metrics.Constraint{{Name: "server", Limit: p.limit}}, Logins: []metrics.Login{{User: "worker", Database: "orders", Constraints: []string{"server"}}}}, p.now())},
		Queues:    map[metrics.ID]metrics.Reading[metrics.Queue]{w.ID: p.queue},
		Points:    map[metrics.ID]metrics.Reading[metrics.Points]{w.ID: p.points},
		Fleets:    map[metrics.ID]metrics.Reading[metrics.Fleet]{w.ID: metrics.Known(fleet, p.now())},
	}
	var plan Plan
	plan, p.ledger = Decide(p.now(), p.group, s, p.ledger)
	p.plan = plan.Workloads[0]
}

// follow is KEDA and the HPA; the newest pods go first.
func (p *plant) follow(replicas int) {
	if change := replicas - len(p.pods); change != 0 {
		p.changes = append(p.changes, change)
	}
	for len(p.pods) < replicas {
		p.pods = append(p.pods, p.second)
	}
	p.pods = p.pods[:replicas]
}

// turns counts how often replicas changed direction.
func (p *plant) turns() int {
	n := 0
	for i := 1; i < len(p.changes); i++ {
		if (p.changes[i] > 0) != (p.changes[i-1] > 0) {
			n++
		}
	}
	return n
}

func (p *plant) forgetPast() { p.changes, p.done, p.late, p.podSeconds = nil, 0, 0, 0 }

// TestAStepSettlesInThreeDecisions is DS2's bar: after a step in what comes, replicas
// settle in three changes at most and change direction once at most. Whether the rate is
// stated or measured, nothing is late.
func TestAStepSettlesInThreeDecisions(t *testing.T) {
	for _, test := range []struct {
		name, sqs string
		from, to  float64
	}{
		{"up, stated", "maxMessageAge: 2m, secondsPerMessage: 0.5", 4, 12},
		{"up, measured", "maxMessageAge: 2m", 4, 12},
		{"up a little, stated", "maxMessageAge: 2m, secondsPerMessage: 0.5", 10, 13},
		{"up tenfold, measured", "maxMessageAge: 2m", 4, 40},
		{"from silence, stated", "maxMessageAge: 2m, secondsPerMessage: 0.5", 0, 10},
		{"down, stated", "maxMessageAge: 2m, secondsPerMessage: 0.5", 12, 4},
		{"down, measured", "maxMessageAge: 2m", 12, 4},
		{"to silence, measured", "maxMessageAge: 2m", 12, 0},
		{"up, with a long objective", "maxMessageAge: 20m", 4, 12},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlant(t, test.sqs)
			p.comes = func(int) float64 { return test.from }
			p.pass(1800)
			p.forgetPast()
			p.comes = func(int) float64 { return test.to }
			p.pass(1800)
			if len(p.changes) > 3 || p.turns() > 1 {
				t.Errorf("replicas changed by %v: %d changes and %d turns, want 3 and 1 at most", p.changes, len(p.changes), p.turns())
			}
			if p.late > 0 {
				t.Errorf("%v of %v messages were late", p.late, p.done)
			}
			if best := test.to / p.rate; float64(len(p.pods)) < best || float64(len(p.pods)) > math.Ceil(best/loadLeast)+1 {
				t.Errorf("%d replicas in the end, of which %.1f would be busy\n%s", len(p.pods), best, Describe(p.plan))
			}
		})
	}
}

// TestStepsOfAnyHeight: what DS2's bar says of a step holds between rates near and far
// from what whole pods do, up to tenfold; what is higher looks like a burst at first, and
// takes two changes and one turn more.
func TestStepsOfAnyHeight(t *testing.T) {
	for _, sqs := range []string{"maxMessageAge: 2m, secondsPerMessage: 0.5", "maxMessageAge: 5m"} {
		for _, from := range []float64{1, 2.7, 8.3, 17.1} {
			for _, to := range []float64{0, 3.1, 9.1, 22.2, 41} {
				p := newPlant(t, sqs)
				p.comes = func(int) float64 { return from }
				p.pass(900)
				p.forgetPast()
				p.comes = func(int) float64 { return to }
				p.pass(900)
				changes, turns := 3, 1
				if to > 10*from {
					changes, turns = 5, 2
				}
				if len(p.changes) > changes || p.turns() > turns || p.late > 0 {
					t.Errorf("%s, from %v to %v a second: replicas changed by %v, %v of %v messages were late", sqs, from, to, p.changes, p.late, p.done)
				}
			}
		}
	}
}

// TestANewQueueKeepsThePodsThatWork: while nothing is measured yet messages per pod bring
// pods for the whole backlog, and once that is done ask for none. What works stays: it is
// what keeps up. When CloudWatch tells, what came meanwhile is not underrated.
func TestANewQueueKeepsThePodsThatWork(t *testing.T) {
	for _, rate := range []float64{5.3, 13.7, 41} {
		p := newPlant(t, "maxMessageAge: 2m")
		p.pass(300)
		p.comes = func(int) float64 { return rate }
		p.pass(60)
		if p.plan.Demand.Objective.Fallback == "" {
			t.Fatal("nothing can be measured yet")
		}
		keepUp := int(rate / p.rate)
		for p.second < 900 {
			p.pass(1)
			if len(p.pods) < keepUp-1 {
				t.Errorf("%v messages a second: %d pods after %d seconds, %d keep up; changes %v", rate, len(p.pods), p.second, keepUp, p.changes)
				break
			}
		}
		if p.plan.Demand.Objective.Fallback != "" || p.late > 0 || p.turns() > 4 || len(p.pods) > keepUp+2 {
			t.Errorf("%v messages a second: %d pods in the end, %v late, changes %v, %q", rate, len(p.pods), p.late, p.changes, p.plan.Demand.Objective.Fallback)
		}
	}
}

// TestObjectiveOfABurst: from nothing to a thousand messages at once. The first step is
// sized to them, all of them are in time, and then the pods go.
func TestObjectiveOfABurst(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 2m, secondsPerMessage: 0.5")
	p.pass(60)
	p.comes = func(second int) float64 {
		if second == 61 {
			return 1000
		}
		return 0
	}
	p.pass(20)
	// 1000 messages of half a second in the 80 s that are left once a pod is ready.
	if got := len(p.pods); got < 6 || got > 9 {
		t.Errorf("%d replicas after the burst, want about 7\n%s", got, Describe(p.plan))
	}
	p.pass(400)
	if p.done != 1000 || p.late > 0 || len(p.pods) != 0 || p.turns() != 1 {
		t.Errorf("%v done, %v late, %d pods in the end, changes %v", p.done, p.late, len(p.pods), p.changes)
	}
	// Pods that start, and a fall that is followed a minute late, cost as much again.
	if ideal := 1000 / p.rate; float64(p.podSeconds) > 2.7*ideal {
		t.Errorf("%d seconds of pods for %v of work", p.podSeconds, ideal)
	}
}

// TestMessagesMayWait: a pod less than keep up does for as long as nothing gets older than
// it may without need, and the decision says so. Then there are enough, and it goes on.
func TestMessagesMayWait(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 10m, secondsPerMessage: 0.5")
	p.comes = func(int) float64 { return 3 }
	p.pass(900)
	p.comes = func(int) float64 { return 4.4 }
	p.pass(300)
	if got := len(p.pods); got != 2 || p.age() < 10 || !strings.Contains(p.plan.Sentence, "more come than 2 replicas do, which is well until messages would get older than 6m") {
		t.Errorf("%d pods, the oldest message is %v s old: %s", got, p.age(), p.plan.Sentence)
	}
	oldest := 0.0
	for range 7200 {
		p.pass(1)
		oldest = max(oldest, p.age())
	}
	if oldest < 120 || oldest > 0.8*600 || p.late > 0 || len(p.pods) < 2 {
		t.Errorf("the oldest message was %v s old, %v were late, %d pods", oldest, p.late, len(p.pods))
	}
}

// TestABurstIsNoRate: wherever in what is looked back at a burst of ten seconds lies, it
// asks for the pods that do it in time, and never for those that would keep up with it.
func TestABurstIsNoRate(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 3m, secondsPerMessage: 0.5")
	p.pass(120)
	p.comes = func(second int) float64 {
		if second > 123 && second <= 133 {
			return 70 // for which 35 pods would have to be busy
		}
		return 0
	}
	most := 0
	for range 180 {
		p.pass(1)
		most = max(most, p.plan.Demand.Backlog)
	}
	if most < 2 || most > 4 { // 350 s of work, in 140 s
		t.Errorf("%d pods were asked for, want 3", most)
	}
	if p.late > 0 {
		t.Errorf("%v of %v messages were late", p.late, p.done)
	}
}

// TestNothingIsLearnedWhereNobodyLooked: pods did no work of which it is known how much
// while the queue couldn't be read.
func TestNothingIsLearnedWhereNobodyLooked(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 2m")
	p.comes = func(int) float64 { return 12 }
	p.limit = 12 // so that work waits for pods
	p.pass(1200)
	from := p.now()
	p.blind = true
	p.pass(600)
	to := p.now()
	p.blind = false
	p.pass(600)
	learned := 0
	for _, r := range p.ledger.Workloads[p.group.Workloads[0].ID].Flow.Rates {
		if r.At.After(from) && r.At.Before(to.Add(-time.Minute)) {
			t.Errorf("learned of %s: %+v", r.At, r)
		}
		if !r.At.Before(to) {
			learned++
		}
	}
	if learned == 0 {
		t.Error("nothing was learned afterwards either")
	}
}

// TestObjectiveFallsBack: until the rate is known messages per pod decide, and it is
// said why.
func TestObjectiveFallsBack(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 2m")
	p.comes = func(int) float64 { return 12 }
	p.published = false
	p.pass(120)
	o := p.plan.Demand.Objective
	if o == nil || o.Fallback == "" || o.Rate != 0 || p.plan.Demand.Backlog != o.ByMessages || p.plan.Steps[0].Reason != Demand {
		t.Errorf("nothing is known of the rate, and demand is %+v: %+v\n%s", p.plan.Demand, o, Describe(p.plan))
	}
	// CloudWatch begins to tell, and minutes later the objective decides.
	p.published = true
	p.pass(420)
	o = p.plan.Demand.Objective
	if o.Fallback != "" || math.Abs(o.Rate-p.rate) > 0.3*p.rate || math.Abs(o.Arrivals-12) > 2 || !o.Age.DataKnown || o.Age.DataAge > 300 {
		t.Errorf("%+v\n%s", o, Describe(p.plan))
	}
	// It falls silent. What was learned stays.
	p.published = false
	p.pass(900)
	o = p.plan.Demand.Objective
	if o.Fallback != "" || math.Abs(o.Rate-p.rate) > 0.3*p.rate || o.Age.DataAge < 900 {
		t.Errorf("%+v\n%s", o, Describe(p.plan))
	}
	if p.late > 0 {
		t.Errorf("%v of %v were late", p.late, p.done)
	}
}

// TestObjectiveUnreachable: the database carries 5 pods where 8 would be needed. That is
// said at once, and by how many connections.
func TestObjectiveUnreachable(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 2m, secondsPerMessage: 0.5")
	p.limit = 10
	p.comes = func(int) float64 { return 8 }
	p.pass(600)
	if o := p.plan.Demand.Objective; o.ShortReplicas != 0 || p.plan.Target != 5 {
		t.Errorf("4 pods are busy, 5 there: %+v\n%s", o, Describe(p.plan))
	}
	p.comes = func(int) float64 { return 16 }
	p.pass(20)
	o := p.plan.Demand.Objective
	last := p.plan.Steps[len(p.plan.Steps)-1]
	if o.ShortReplicas < 2 || o.ShortConnections != 2*o.ShortReplicas || last.Reason != ObjectiveUnreachable || p.plan.Reason != ConnectionBudget || p.plan.Binding == "" {
		t.Errorf("%+v\n%s", o, Describe(p.plan))
	}
	// The step eases: with what is left the database carries enough again.
	p.comes = func(int) float64 { return 4 }
	p.pass(600)
	if o := p.plan.Demand.Objective; o.ShortReplicas != 0 || o.ShortConnections != 0 {
		t.Errorf("%+v\n%s", o, Describe(p.plan))
	}
}

// TestFlowIsBounded: a day of anything leaves no more behind than a few minutes.
func TestFlowIsBounded(t *testing.T) {
	p := newPlant(t, "maxMessageAge: 2h, secondsPerMessage: 0.5, pollInterval: 1s")
	p.limit = 6
	p.comes = func(second int) float64 { return float64(second * 7919 % 40) }
	most := 0
	for range 60 {
		p.pass(60)
		data, err := json.Marshal(p.ledger.Workloads[p.group.Workloads[0].ID].Flow)
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, len(data))
	}
	if most > 8<<10 {
		t.Errorf("the flow of a queue takes %d bytes, want at most 8 KiB", most)
	}
	t.Logf("the flow of a queue takes up to %d bytes", most)
}

// TestNeedIsTheFewest: the replicas that are needed do the work in time, and one fewer
// would not.
func TestNeedIsTheFewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := pursuit{rate: rapid.Float64Range(0.01, 10).Draw(t, "rate"), lead: float64(between(t, 1, 60, "lead"))}
		for range between(t, 0, 5, "groups of pods") {
			p.pods = append(p.pods, coming{between(t, 0, 4, "pods"), float64(between(t, 0, int(p.lead), "in"))})
		}
		slices.SortFunc(p.pods, func(a, b coming) int { return cmp.Compare(a.in, b.in) })
		d := due{float64(between(t, 1, 1000, "messages")), float64(between(t, 1, 200, "within"))}
		does := func(n int) float64 {
			seconds := 0.0
			for _, c := range p.pods {
				seconds += float64(min(n, c.pods)) * max(0, d.within-c.in)
				n -= min(n, c.pods)
			}
			return (seconds + float64(n)*max(0, d.within-p.lead)) * p.rate
		}
		n, can := p.need(d, 0)
		if !can {
			if does(1_000_000) >= d.messages {
				t.Fatalf("nobody can do %v, and enough pods can", d)
			}
			return
		}
		if does(n)*(1+1e-9) < d.messages || n > 0 && does(n-1) > d.messages*(1+1e-6) {
			t.Fatalf("%d are needed for %v; they do %.3f, and one fewer does %.3f", n, d, does(n), does(n-1))
		}
	})
}
