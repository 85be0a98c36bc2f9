package policytest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// Bounds on what a test may give.
const (
	mostPods     = 10_000
	mostSessions = 1_000_000
	mostMessages = 1_000_000_000_000
	longest      = 7 * 24 * time.Hour
)

// checker collects what is wrong with a file beyond its form.
type checker struct {
	path     string
	root     *yaml.Node
	problems []policy.Problem
}

// add tells of the value under a path of keys and indexes.
func (c *checker) add(path []any, rule, value string) {
	var field strings.Builder
	for _, p := range path {
		switch p := p.(type) {
		case int:
			fmt.Fprintf(&field, "[%d]", p)
		default:
			if field.Len() > 0 {
				field.WriteByte('.')
			}
			fmt.Fprint(&field, p)
		}
	}
	c.problems = append(c.problems, problem(c.path, c.line(path), field.String(), rule, value))
}

// line is where the value under a path stands, or what of the path there is.
func (c *checker) line(path []any) int {
	n := c.root
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	line := n.Line
	for _, p := range path {
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var next *yaml.Node
		switch p := p.(type) {
		case int:
			if n.Kind == yaml.SequenceNode && p < len(n.Content) {
				next = n.Content[p]
				line = next.Line
			}
		default:
			for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == fmt.Sprint(p) {
					line, next = n.Content[i].Line, n.Content[i+1]
				}
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return line
}

func (c *checker) check(d fileDocument, set policy.Set) {
	if d.APIVersion != policy.APIVersion {
		c.add([]any{"apiVersion"}, "expected "+policy.APIVersion, fmt.Sprintf("%q", d.APIVersion))
	}
	if d.Kind != Kind {
		c.add([]any{"kind"}, "expected "+Kind, fmt.Sprintf("%q", d.Kind))
	}
	if len(d.Policies) == 0 {
		c.add([]any{"policies"}, "expected at least one file of policies", "")
	}
	if len(d.Tests) == 0 {
		c.add([]any{"tests"}, "expected at least one test", "")
	}
	names := map[string]bool{}
	for i, t := range d.Tests {
		at := []any{"tests", i}
		switch {
		case t.Name == "":
			c.add(at, "expected a name", "")
		case names[t.Name]:
			c.add(append(at, "name"), "expected a name of its own", fmt.Sprintf("%q again", t.Name))
		}
		names[t.Name] = true
		if (t.Given != nil || t.Expect != nil) == (t.Steps != nil) {
			c.add(at, "expected given and expect, or steps", "")
		}
		c.steps(at, t, set)
	}
}

func (c *checker) steps(at []any, t test, set policy.Set) {
	before, expects := time.Duration(-1), false
	for j, s := range t.all() {
		here := at
		if t.Steps != nil {
			here = append(slices.Clone(at), "steps", j)
			switch {
			case s.At == nil:
				c.add(here, `expected at, such as "30s"`, "")
			case time.Duration(*s.At) <= before || time.Duration(*s.At) > longest:
				c.add(append(slices.Clone(here), "at"), fmt.Sprintf("expected a time after the step before, and at most %s", longest), time.Duration(*s.At).String())
			}
			if s.At != nil {
				before = time.Duration(*s.At)
			}
		}
		if s.Given != nil {
			c.given(append(slices.Clone(here), "given"), *s.Given, set)
		}
		expects = expects || len(s.Expect) > 0
		c.expect(append(slices.Clone(here), "expect"), s.Expect, set)
	}
	if !expects {
		c.add(at, "expected something to be expected", "")
	}
}

// all returns the test's steps.
func (t test) all() []step {
	if t.Steps != nil {
		return t.Steps
	}
	return []step{{At: new(span), Given: t.Given, Expect: t.Expect}}
}

func (c *checker) given(at []any, g given, set policy.Set) {
	for _, key := range slices.SortedFunc(maps.Keys(g.Databases), compareIDs) {
		here := append(slices.Clone(at), "databases", metrics.ID(key).String())
		if !slices.ContainsFunc(set.Databases, func(d policy.Database) bool { return d.ID == metrics.ID(key) }) {
			c.add(here, "expected a database of the policies", "")
			continue
		}
		c.database(here, metrics.ID(key), g.Databases[key], set)
	}
	for _, key := range slices.SortedFunc(maps.Keys(g.Workloads), compareIDs) {
		here := append(slices.Clone(at), "workloads", metrics.ID(key).String())
		if !slices.ContainsFunc(set.Workloads, func(w policy.Workload) bool { return w.ID == metrics.ID(key) }) {
			c.add(here, "expected a workload of the policies", "")
			continue
		}
		c.workload(here, g.Workloads[key])
	}
}

func (c *checker) database(at []any, name metrics.ID, d databaseGiven, set policy.Set) {
	for _, limit := range slices.Sorted(maps.Keys(d.Limits)) {
		if _, ok := constraint(limit, 0); !ok {
			c.add(append(slices.Clone(at), "limits", limit), "expected server, role/NAME or database/NAME", fmt.Sprintf("%q", limit))
		}
		c.number(append(slices.Clone(at), "limits", limit), int64(d.Limits[limit]), mostSessions)
	}
	if d.Limits != nil {
		if _, ok := d.Limits["server"]; !ok {
			c.add(append(slices.Clone(at), "limits"), "expected a limit for server", "")
		}
	}
	for _, part := range []struct {
		key  string
		by   *sessions
		ours bool
	}{{"others", d.Others, false}, {"ghosts", d.Ghosts, true}} {
		if part.by == nil {
			continue
		}
		for _, user := range slices.Sorted(maps.Keys(*part.by)) {
			here := append(slices.Clone(at), part.key, user)
			c.number(here, int64((*part.by)[user]), mostSessions)
			use, ours := useOf(set, name, user)
			switch {
			case part.ours && !ours:
				c.add(here, "expected the user of a workload on this database", fmt.Sprintf("%q", user))
			case !part.ours && ours && use.ApplicationName == "":
				c.add(here, "expected a user of whom not every connection is a workload's; for connections that no pod has, give ghosts", fmt.Sprintf("%q", user))
			}
		}
	}
	if a := d.Attribution; a != nil && *a != string(metrics.ByAddress) && *a != string(metrics.ByLogin) {
		c.add(append(slices.Clone(at), "attribution"), "expected Address or Login", fmt.Sprintf("%q", *a))
	}
}

func (c *checker) workload(at []any, w workloadGiven) {
	key := func(name string) []any { return append(slices.Clone(at), name) }
	for name, n := range map[string]*int{"replicas": w.Replicas, "minReplicas": w.MinReplicas, "maxReplicas": w.MaxReplicas} {
		if n != nil {
			c.number(key(name), int64(*n), mostPods)
		}
	}
	if w.ConnectionsPerPod != nil {
		c.number(key("connectionsPerPod"), int64(*w.ConnectionsPerPod), mostSessions)
	}
	if w.Pods != nil {
		total := 0
		for i, p := range *w.Pods {
			c.number(append(key("pods"), i, "count"), int64(p.Count), mostPods)
			total = min(total+max(p.Count, 0), 2*mostPods)
			if p.ConnectionsPerPod != nil {
				c.number(append(key("pods"), i, "connectionsPerPod"), int64(*p.ConnectionsPerPod), mostSessions)
			}
		}
		c.number(key("pods"), int64(total), mostPods)
	}
	if q := w.Queue; q != nil {
		for name, n := range map[string]*int64{"visible": q.Visible, "inFlight": q.InFlight, "delayed": q.Delayed} {
			if n != nil {
				c.number(append(key("queue"), name), *n, mostMessages)
			}
		}
	}
}

func (c *checker) number(at []any, n, most int64) {
	if n < 0 || n > most {
		c.add(at, fmt.Sprintf("expected a whole number from 0 to %d", most), fmt.Sprint(n))
	}
}

func (c *checker) expect(at []any, e expectation, set policy.Set) {
	for _, key := range slices.SortedFunc(maps.Keys(e), compareIDs) {
		here := append(slices.Clone(at), metrics.ID(key).String())
		if !slices.ContainsFunc(set.Workloads, func(w policy.Workload) bool { return w.ID == metrics.ID(key) }) {
			c.add(here, "expected a workload of the policies", "")
		}
		if r := e[key].Reason; r != nil && !slices.Contains(policy.Reasons, policy.Reason(*r)) {
			var all []string
			for _, reason := range policy.Reasons {
				all = append(all, string(reason))
			}
			c.add(append(here, "reason"), "expected one of "+strings.Join(all, ", "), fmt.Sprintf("%q", *r))
		}
		if e[key] == (expected{}) {
			c.add(here, "expected at least one of demand, ceiling, target, value, active, failure, reason, binding, admissions", "")
		}
	}
}

func compareIDs(a, b id) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// useOf finds a use of a database by its user.
func useOf(set policy.Set, database metrics.ID, user string) (policy.Use, bool) {
	user, _, _ = strings.Cut(user, "@")
	for _, w := range set.Workloads {
		for _, u := range w.Databases {
			if u.Database == database && u.User == user {
				return u, true
			}
		}
	}
	return policy.Use{}, false
}

// constraint is the limit of this name; ok is false for names that no limit has.
func constraint(name string, limit int) (out metrics.Constraint, ok bool) {
	out = metrics.Constraint{Name: name, Limit: limit}
	kind, rest, _ := strings.Cut(name, "/")
	switch {
	case name == "server":
		return out, true
	case kind == "role" && rest != "":
		out.User = rest
		return out, true
	case kind == "database" && rest != "":
		out.Database = rest
		return out, true
	}
	return out, false
}
