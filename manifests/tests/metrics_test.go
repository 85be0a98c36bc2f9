package tests

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// scraped are the labels that Prometheus adds to what it scrapes.
var scraped = []string{"job", "instance", "pod"}

// documented are the labels of every metric of docs/metrics.md, by its name. A
// test of the program holds that page to what is registered.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, cells := range regexp.MustCompile(`(?m)^\| ([a-z_]+) \| (gauge|counter|histogram) \| ([a-z_, ]*?) ?\| `).FindAllStringSubmatch(string(page), -1) {
		name, labels := cells[1], strings.FieldsFunc(cells[3], func(r rune) bool { return r == ',' || r == ' ' })
		labels = append(labels, scraped...)
		if cells[2] != "histogram" {
			out[name] = labels
			continue
		}
		out[name+"_bucket"] = append(slices.Clone(labels), "le")
		out[name+"_sum"], out[name+"_count"] = labels, labels
	}
	if len(out) < 30 {
		t.Fatalf("docs/metrics.md: only %d metrics", len(out))
	}
	return out
}

// uses returns the metrics of an expression, and an error for one that does not
// parse, or names a metric or a label that there isn't.
func uses(known map[string][]string, expression string) (names []string, err error) {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		return nil, err
	}
	var labels []string // of any metric in it
	wrong := func(format string, args ...any) {
		if err == nil {
			err = fmt.Errorf(format, args...)
		}
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		has, ok := known[selector.Name]
		if !ok {
			wrong("there is no metric %q", selector.Name)
			return nil
		}
		names, labels = append(names, selector.Name), append(labels, has...)
		for _, m := range selector.LabelMatchers {
			if m.Name != "__name__" && !slices.Contains(has, m.Name) {
				wrong("%s has no label %q", selector.Name, m.Name)
			}
		}
		return nil
	})
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		var by []string
		switch n := node.(type) {
		case *parser.AggregateExpr:
			by = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				by = slices.Concat(n.VectorMatching.MatchingLabels, n.VectorMatching.Include)
			}
		}
		for _, name := range by {
			if !slices.Contains(labels, name) {
				wrong("nothing in it has a label %q", name)
			}
		}
		return nil
	})
	if len(names) == 0 {
		wrong("it uses no metric")
	}
	return names, err
}

func TestWhatIsWrongWithAnExpression(t *testing.T) {
	known := documented(t)
	for expression, words := range map[string]string{
		"headroom_workload_target_replicas +":                               "unexpected end of input",
		"headroom_workload_wishes":                                          `no metric "headroom_workload_wishes"`,
		`headroom_workload_target_replicas{database="x"}`:                   `no label "database"`,
		"sum by (constraint) (headroom_workload_target_replicas)":           `a label "constraint"`,
		"headroom_led * on (node) group_left (zone) headroom_build_info":    `no metric "headroom_led"`,
		"headroom_build_info * on (zone) headroom_workload_target_replicas": `a label "zone"`,
		"headroom_plan_duration_seconds":                                    "no metric",
		"1":                                                                 "no metric",
	} {
		if _, err := uses(known, expression); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, want it to say %s", expression, err, words)
		}
	}
	names, err := uses(known, "histogram_quantile(0.9, sum by (le, source) (rate(headroom_read_duration_seconds_bucket[5m])))")
	if err != nil || !slices.Equal(names, []string{"headroom_read_duration_seconds_bucket"}) {
		t.Errorf("got %v, %v", names, err)
	}
}
