package policytest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// Result is what came of one test.
type Result struct {
	Name string `json:"name"`
	// Failures are everything that was otherwise than expected; none is a pass.
	Failures []Failure `json:"failures,omitempty"`
}

// Failure is one workload at one step that is not as expected.
type Failure struct {
	At       string     `json:"at"` // since the test began
	Workload metrics.ID `json:"workload"`
	// Differences are ordered as the fields are in the documentation.
	Differences []Difference `json:"differences"`
	// Decision is what was decided, in words.
	Decision string `json:"decision"`
}

// Difference is one field that is not as expected.
type Difference struct {
	Field    string `json:"field"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

// Run runs the tests whose names match; nil matches all.
func (f File) Run(match *regexp.Regexp) []Result {
	var results []Result
	for _, t := range f.tests {
		if match == nil || match.MatchString(t.Name) {
			results = append(results, f.run(t))
		}
	}
	return results
}

// begin is when every test begins; no rule knows the date.
var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// mostTicks bounds how often is decided between two steps.
const mostTicks = 3600

// player decides for every group as a planner does.
type player struct {
	world  *world
	ledger policy.Ledger
}

// decide makes all plans at one instant.
func (p *player) decide(now time.Time) []policy.Plan {
	snapshot := p.world.snapshot(now)
	var plans []policy.Plan
	for _, group := range p.world.set.Groups(p.ledger.Servers()) {
		plan, after := policy.Decide(now, group, snapshot, p.ledger.For(group))
		p.ledger = p.ledger.With(after)
		plans = append(plans, plan)
	}
	return plans
}

func (f File) run(t test) Result {
	result := Result{Name: t.Name}
	p := player{world: newWorld(f.set)}
	steps := t.all()
	now := begin
	for i, s := range steps {
		at := begin.Add(time.Duration(*s.At))
		if i == 0 {
			p.world.give(s.Given)
			if !t.FreshStart {
				p.watch(at, f.longestWindow())
			}
		} else {
			p.pass(now, at)
			p.world.give(s.Given)
		}
		now = at
		result.Failures = append(result.Failures, compare(time.Duration(*s.At), s.Expect, p.decide(now))...)
	}
	return result
}

// longestWindow is the longest time that others of any database are remembered.
func (f File) longestWindow() time.Duration {
	longest := shortestWindow
	for _, d := range f.set.Databases {
		longest = max(longest, d.OthersWindow)
	}
	return longest
}

// watch lets others have been watched for a while at now, of which the workloads
// know nothing. It looks at half the distance again and again, so that no look is
// a whole window, however short, before the next.
func (p *player) watch(now time.Time, longest time.Duration) {
	for before := 2 * longest; before >= shortestWindow/2; before /= 2 {
		p.decide(now.Add(-before))
	}
	p.ledger = policy.Ledger{Databases: p.ledger.Databases}
}

// shortestWindow is the shortest othersWindow that a policy can have.
const shortestWindow = time.Second

// pass decides between two steps: every second, or less often where they are far
// apart, and last just before the second, when what was before was last seen.
func (p *player) pass(from, to time.Time) {
	tick := max(time.Second, to.Sub(from)/mostTicks)
	for now := from.Add(tick); now.Before(to); now = now.Add(tick) {
		p.decide(now)
	}
	if last := to.Add(-time.Millisecond); last.After(from) {
		p.decide(last)
	}
}

// compare holds plans against what is expected.
func compare(at time.Duration, e expectation, plans []policy.Plan) []Failure {
	var failures []Failure
	for _, key := range slices.SortedFunc(maps.Keys(e), compareIDs) {
		for _, plan := range plans {
			w, ok := plan.Workload(metrics.ID(key))
			if !ok {
				continue
			}
			if differences := e[key].differences(w); len(differences) > 0 {
				failures = append(failures, Failure{At: at.String(), Workload: w.ID, Differences: differences, Decision: strings.TrimRight(policy.Describe(w), "\n")})
			}
		}
	}
	return failures
}

// differences are where a plan is not as expected.
func (e expected) differences(w policy.WorkloadPlan) []Difference {
	var out []Difference
	add := func(field, expected, found string) {
		if expected != found {
			out = append(out, Difference{field, expected, found})
		}
	}
	number := func(field string, expected *int, found int) {
		if expected != nil {
			add(field, strconv.Itoa(*expected), strconv.Itoa(found))
		}
	}
	flag := func(field string, expected *bool, found bool) {
		if expected != nil {
			add(field, strconv.FormatBool(*expected), strconv.FormatBool(found))
		}
	}
	text := func(field string, expected *string, found string) {
		if expected != nil {
			add(field, *expected, found)
		}
	}
	number("demand", e.Demand, w.Demand.Backlog)
	number("ceiling", e.Ceiling, w.Ceiling)
	number("target", e.Target, w.Target)
	if e.Value != nil {
		add("value", fmt.Sprintf("%.6g", *e.Value), fmt.Sprintf("%.6g", w.Value))
	}
	flag("active", e.Active, w.Active)
	flag("failure", e.Failure, w.Failure != "")
	text("reason", e.Reason, string(w.Reason))
	text("binding", e.Binding, w.Binding)
	number("admissions", e.Admissions, len(w.Admissions))
	return out
}
