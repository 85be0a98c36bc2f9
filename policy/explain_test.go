package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// explained is a plain situation, written as numbers, from which a decision's
// inputs are built anew with any of the numbers changed.
type explained struct {
	limit, roleLimit, others, reserve int
	perPod, most, least, priority     int
	visible                           int64
	replicas                          int
	rival                             int // pods of another workload, with work without end
	ghosts                            int
}

var (
	explainedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	explainedDB = metrics.ID{Namespace: "shop", Name: "db"}
	explainedID = metrics.ID{Namespace: "shop", Name: "orders"}
	rivalID     = metrics.ID{Namespace: "shop", Name: "rival"}
)

// inputs builds the arguments of Decide. Others were watched for a long time, at
// what they are now.
func (e explained) inputs() (Group, Snapshot, Ledger) {
	use := func(user string, perPod int) []Use {
		return []Use{{Database: explainedDB, User: user, DatabaseName: "shop", ConnectionsPerPod: perPod}}
	}
	queue := &SQS{QueueName: "q", MessagesPerPod: 10, StaleAfter: time.Minute, ErrorAfter: time.Hour}
	g := Group{
		Databases: []Database{{ID: explainedDB, Reserve: intorpercent.Count(e.reserve), OthersWindow: time.Minute, MaxReadingAge: time.Minute}},
		Workloads: []Workload{
			{ID: explainedID, Mode: Target, Databases: use("worker", e.perPod), SQS: queue, MinReplicas: e.least, MaxReplicas: &e.most, Priority: e.priority},
			{ID: rivalID, Mode: Target, Databases: use("rival", 3), SQS: queue, Priority: 5},
		},
	}
	data := metrics.Database{
		Server: "one", Name: "shop", Attribution: metrics.ByAddress,
		Constraints: []metrics.Constraint{{Name: "server", Limit: e.limit}, {Name: "role/worker", Limit: e.roleLimit, User: "worker"}},
		Logins: []metrics.Login{
			{User: "worker", Database: "shop", Constraints: []string{"server", "role/worker"}},
			{User: "rival", Database: "shop", Constraints: []string{"server"}},
		},
		Sessions: []metrics.Sessions{
			{User: "web", Database: "web", Address: "10.9.9.9", Count: e.others},
			{User: "worker", Database: "shop", Address: "10.8.8.8", Count: e.ghosts},
		},
	}
	fleet := func(name string, n, most int) metrics.Reading[metrics.Fleet] {
		f := metrics.Fleet{SpecReplicas: n, StatusReplicas: n, MaxReplicas: most}
		for i := range n {
			f.Pods = append(f.Pods, metrics.Pod{UID: fmt.Sprint(name, i), Name: fmt.Sprint(name, i), Address: fmt.Sprintf("10.0.%d.%d", len(name), i), Ready: true})
		}
		return metrics.Known(f, explainedAt)
	}
	rivalWork := int64(0)
	if e.rival > 0 {
		rivalWork = 1000
	}
	s := Snapshot{
		Databases: map[metrics.ID]metrics.Reading[metrics.Database]{explainedDB: metrics.Known(data, explainedAt)},
		Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{
			explainedID: metrics.Known(metrics.Queue{Visible: e.visible}, explainedAt),
			rivalID:     metrics.Known(metrics.Queue{Visible: rivalWork}, explainedAt),
		},
		Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{
			explainedID: fleet("orders", e.replicas, max(e.most, 1)),
			rivalID:     fleet("rival", e.rival, 100),
		},
	}
	long := explainedAt.Add(-time.Hour)
	l := Ledger{Databases: map[metrics.ID]DatabaseMemory{explainedDB: {Server: "one", Others: map[string]Peak{
		"server":      {Since: long, Values: []PeakValue{{At: explainedAt, Value: e.others}}},
		"role/worker": {Since: long, Values: []PeakValue{{At: explainedAt}}},
	}}}}
	return g, s, l
}

func (e explained) target() int {
	g, s, l := e.inputs()
	p, _ := Decide(explainedAt, g, s, l)
	w, _ := p.Workload(explainedID)
	return w.Target
}

// with is the situation with one input at another value, found by the words of
// the explanation alone.
func (e explained) with(t interface{ Fatalf(string, ...any) }, input string, value int64) explained {
	n := int(value)
	switch {
	case input == "messages visible":
		e.visible = value
	case input == "maxReplicas":
		e.most = n
	case input == "minReplicas":
		e.least = n
	case input == "priority":
		e.priority = n
	case strings.HasPrefix(input, "connectionsPerPod on shop/db"):
		e.perPod = n
	case input == "limit shop/db server":
		e.limit = n
	case input == "limit shop/db role/worker":
		e.roleLimit = n
	case input == "reserve shop/db":
		e.reserve = n
	case input == "others shop/db server":
		e.others = n
	case strings.HasPrefix(input, "ghosts shop/db "):
		e.ghosts = n
	default:
		t.Fatalf("an input that nobody here knows: %q", input)
	}
	return e
}

// TestTheSmallestChangeAddsAReplica feeds every change that an explanation names
// back to Decide: it raises the target to what it says, and one step less of it
// does not raise it.
func TestTheSmallestChangeAddsAReplica(t *testing.T) {
	seen := map[string]int{}
	check := func(t *rapid.T) {
		draw := func(name string, low, high int) int { return rapid.IntRange(low, high).Draw(t, name) }
		e := explained{
			limit: draw("limit", 10, 80), roleLimit: draw("role limit", 5, 80), others: draw("others", 0, 30), reserve: draw("reserve", 0, 10),
			perPod: draw("per pod", 1, 6), most: draw("max", 1, 20), priority: draw("priority", 0, 9), visible: int64(draw("visible", 0, 300)),
			replicas: draw("replicas", 0, 4), rival: draw("rival", 0, 5), ghosts: draw("ghosts", 0, 5),
		}
		g, s, l := e.inputs()
		explanation, ok := Explain(explainedAt, g, s, l, explainedID)
		if !ok {
			t.Fatal("the workload is not known")
		}
		base := e.target()
		if explanation.Plan.Target != base {
			t.Fatalf("explains a target of %d, decided was %d", explanation.Plan.Target, base)
		}
		for _, c := range explanation.Changes {
			seen[strings.Fields(c.Input)[0]]++
			if got := e.with(t, c.Input, c.To).target(); got != c.Target || got <= base {
				t.Fatalf("%s: the target is then %d, before %d", c.Sentence, got, base)
			}
			less := c.To - 1
			if c.To < c.From {
				less = c.To + 1
			}
			if got := e.with(t, c.Input, less).target(); got > base {
				t.Fatalf("%s: but %d is enough for %d", c.Sentence, less, got)
			}
		}
	}
	// Some kinds are rare: as many situations are drawn as it takes to see each.
	kinds := []string{"messages", "maxReplicas", "minReplicas", "connectionsPerPod", "limit", "reserve", "others", "ghosts", "priority"}
	missing := func() string {
		for _, kind := range kinds {
			if seen[kind] == 0 {
				return kind
			}
		}
		return ""
	}
	for range 30 {
		if rapid.Check(t, check); missing() == "" || t.Failed() {
			break
		}
	}
	if kind := missing(); kind != "" {
		t.Errorf("no situation was explained by a change of %s: %v", kind, seen)
	}
}

// TestExplainAnExample: 40 connections less 4 reserved and 10 others' leave 26: 5
// pods of 5. Four more connections are enough for a sixth.
func TestExplainAnExample(t *testing.T) {
	e := explained{limit: 40, roleLimit: 80, others: 10, reserve: 4, perPod: 5, most: 20, visible: 300}
	g, s, l := e.inputs()
	explanation, _ := Explain(explainedAt, g, s, l, explainedID)
	if explanation.Plan.Target != 5 || explanation.Plan.Reason != ConnectionBudget {
		t.Fatalf("expected 5 by ConnectionBudget, found\n%s", Describe(explanation.Plan))
	}
	want := map[string]int64{"limit shop/db server": 44, "reserve shop/db": 0, "others shop/db server": 6, "connectionsPerPod on shop/db": 4}
	for input, to := range want {
		i := slices.IndexFunc(explanation.Changes, func(c Change) bool { return c.Input == input })
		if i < 0 || explanation.Changes[i].To != to {
			t.Errorf("%s: expected a change to %d, found %+v", input, to, explanation.Changes)
		}
	}
	for _, c := range explanation.Changes {
		if c.Input == "messages visible" || c.Input == "maxReplicas" {
			t.Errorf("%s, though the database carries no more", c.Sentence)
		}
	}

	// Where demand and ceiling both bind, no single change helps.
	e.visible = 50
	g, s, l = e.inputs()
	if explanation, _ = Explain(explainedAt, g, s, l, explainedID); explanation.Plan.Target != 5 || len(explanation.Changes) != 0 {
		t.Errorf("expected 5 replicas and no change that helps alone, found %d and %+v", explanation.Plan.Target, explanation.Changes)
	}
}
