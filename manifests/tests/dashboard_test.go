package tests

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

const dashboardFile = "../dashboards/headroom.json"

// dashboard is what Grafana makes use of, as far as it is looked at here.
type dashboard struct {
	UID, Title string
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ RefID, Expr, LegendFormat string }
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID != "headroom" || len(d.Panels) < 20 {
		t.Fatalf("uid %q, %d panels", d.UID, len(d.Panels))
	}
	return d
}

var variable = regexp.MustCompile(`\$\{?(\w+)\}?`)

// fill puts values in place of variables, and fails for one that is not defined.
func (d dashboard) fill(t *testing.T, text string) string {
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		name := variable.FindStringSubmatch(found)[1]
		if name == "__rate_interval" {
			return "1m"
		}
		for _, v := range d.Templating.List {
			if v.Name == name {
				return "any"
			}
		}
		t.Errorf("%s: there is no variable %s", text, name)
		return found
	})
}

func TestTheDashboardShowsMetricsThatThereAre(t *testing.T) {
	known, d := documented(t), readDashboard(t)
	shown := map[string]bool{}
	for _, p := range d.Panels {
		if p.Title == "" || p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("panel %d (%s) has no title, description or query", p.ID, p.Title)
		}
		for _, q := range p.Targets {
			names, err := uses(known, d.fill(t, q.Expr))
			if err != nil {
				t.Errorf("%s: %s: %v", p.Title, q.Expr, err)
			}
			for _, name := range names {
				shown[regexp.MustCompile("_(bucket|sum|count)$").ReplaceAllString(name, "")] = true
			}
			for _, label := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(q.LegendFormat, -1) {
				if len(names) > 0 && !slices.Contains(known[names[0]], label[1]) {
					t.Errorf("%s: the legend names %s, which %s has not", p.Title, label[1], names[0])
				}
			}
			if q.LegendFormat == "" || q.RefID == "" {
				t.Errorf("%s: %s has no legend", p.Title, q.Expr)
			}
		}
	}
	for name := range known {
		name = regexp.MustCompile("_(bucket|sum|count)$").ReplaceAllString(name, "")
		if strings.HasPrefix(name, "headroom_") && !shown[name] && name != "headroom_workload_info" { // the variables show it
			t.Errorf("%s is shown nowhere", name)
		}
	}
}

func TestTheDashboardsVariables(t *testing.T) {
	known, d := documented(t), readDashboard(t)
	query := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		parts := query.FindStringSubmatch(v.Definition)
		if parts == nil {
			t.Errorf("%s is %s", v.Name, v.Definition)
			continue
		}
		names, err := uses(known, d.fill(t, parts[1]))
		if err != nil || !slices.Contains(known[names[0]], parts[2]) || parts[2] != v.Name {
			t.Errorf("%s is %s: %v", v.Name, v.Definition, err)
		}
	}
}

func TestPanelsStandBesideEachOther(t *testing.T) {
	d := readDashboard(t)
	for i, p := range d.Panels {
		a := p.GridPos
		if a.W < 1 || a.H < 1 || a.X < 0 || a.X+a.W > 24 {
			t.Errorf("%s: %+v is not on a page 24 wide", p.Title, a)
		}
		for _, q := range d.Panels[:i] {
			b := q.GridPos
			if p.ID == q.ID {
				t.Errorf("%s and %s have one id", q.Title, p.Title)
			}
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%s lies over %s", p.Title, q.Title)
			}
		}
	}
}

func TestTheDashboardsConfigMap(t *testing.T) {
	c := get[*core.ConfigMap](t, build(t, "examples/overlay"), "ConfigMap headroom/headroom-dashboard")
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if c.Data["headroom.json"] != string(text) || c.Labels["grafana_dashboard"] != "1" {
		t.Errorf("it is not the dashboard, or Grafana's sidecar does not look for it: %v", c.Labels)
	}
}
