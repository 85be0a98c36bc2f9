package tests

import (
	"flag"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write what is derived from manifests/alerts/headroom.yaml")

const (
	alertsFile  = "../alerts/headroom.yaml"
	rulesObject = "../components/prometheus-rules/prometheusrule.yaml"
)

// alerts are the rules of the rule file, by name.
func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, problems := rulefmt.ParseFile(alertsFile, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range problems {
		t.Fatal(err)
	}
	out := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if _, ok := out[r.Alert]; ok || r.Alert == "" {
				t.Errorf("%q is there twice, or has no name", r.Alert)
			}
			out[r.Alert] = r
		}
	}
	return out
}

// An alert says what is wrong, of metrics that there are, and leads to what to do.
func TestAlertsAreComplete(t *testing.T) {
	known := documented(t)
	runbook, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	all := alerts(t)
	for name, r := range all {
		if _, err := uses(known, r.Expr); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.HasPrefix(name, "Headroom") || r.For == 0 {
			t.Errorf("%s: is not named after what it is of, or does not wait", name)
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", name, s)
		}
		for _, key := range []string{"summary", "description", "runbook_url"} {
			if r.Annotations[key] == "" {
				t.Errorf("%s: no %s", name, key)
			}
		}
		const page = "https://github.com/keda-headroom/headroom/blob/main/docs/runbook.md#"
		if url := r.Annotations["runbook_url"]; url != page+strings.ToLower(name) {
			t.Errorf("%s: leads to %s", name, url)
		}
		if !strings.Contains(string(runbook), "\n## "+name+"\n") {
			t.Errorf("docs/runbook.md has no chapter %s", name)
		}
	}
	for _, chapter := range regexp.MustCompile(`(?m)^## (Headroom\w+)$`).FindAllStringSubmatch(string(runbook), -1) {
		if _, ok := all[chapter[1]]; !ok {
			t.Errorf("docs/runbook.md is about %s, and there is no such alert", chapter[1])
		}
	}
}

// The object for the Prometheus Operator has the rule file's groups.
func TestTheRuleObjectIsTheRuleFile(t *testing.T) {
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	_, groups, ok := strings.Cut(string(text), "\ngroups:\n")
	if !ok {
		t.Fatal("no groups")
	}
	var b strings.Builder
	b.WriteString(`# The groups of manifests/alerts/headroom.yaml, written by
# go test -run RuleObject -update in manifests/tests.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: headroom
  namespace: headroom
  labels:
    app.kubernetes.io/name: headroom
    app.kubernetes.io/part-of: headroom
spec:
  groups:
`)
	for line := range strings.Lines(groups) {
		if strings.TrimSpace(line) != "" {
			b.WriteString("  ")
		}
		b.WriteString(line)
	}
	if *update {
		if err := os.WriteFile(rulesObject, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(rulesObject)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(is)); diff != "" {
		t.Errorf("it differs from the rule file; -update writes it:\n%s", diff)
	}
	var object struct{ Spec struct{ Groups []any } }
	var file struct{ Groups []any }
	if err := yaml.Unmarshal(is, &object); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(file.Groups, object.Spec.Groups); diff != "" || len(file.Groups) == 0 {
		t.Error(diff)
	}
}
