package lint_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/cmd/headroom/lint"
	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/golden"
	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/policy"
)

const document = "../../../docs/lint.md"

func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// docs/lint.md lists every code with its severities.
func TestCodesAreDocumented(t *testing.T) {
	const begin, end = "-update -->\n", "<!-- end of codes -->"
	text := documented(t)
	before, rest, found := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s: expected the marks of the codes", document)
	}
	severity := func(s policy.Severity) string {
		if s == "" {
			return "–"
		}
		return strings.ToLower(string(s))
	}
	table := "\n| code | Target | Gate | what it tells |\n| --- | --- | --- | --- |\n"
	for _, r := range bypass.Rules {
		table += fmt.Sprintf("| `%s` | %s | %s | %s |\n", r.Code, severity(r.Target), severity(r.Gate), r.Text)
	}
	table += "\nIn every mode, of policies, files and triggers:\n\n| code | what it tells |\n| --- | --- |\n"
	for _, r := range codes(t) {
		if !slices.ContainsFunc(bypass.Rules, func(b bypass.Rule) bool { return string(b.Code) == r.ID }) {
			table += fmt.Sprintf("| `%s` | %s |\n", r.ID, r.ShortDescription.Text)
		}
	}
	want := before + begin + table + "\n" + end + after
	golden.Compare(t, document, want)
}

type code struct {
	ID               string
	ShortDescription struct{ Text string }
}

// codes are all that findings can have, as SARIF lists them.
func codes(t *testing.T) []code {
	t.Helper()
	out, err := run(t, lint.Options{Paths: []string{"testdata/good"}, Output: "sarif"})
	var report struct {
		Runs []struct {
			Tool struct{ Driver struct{ Rules []code } }
		}
	}
	if err != nil || json.Unmarshal([]byte(out), &report) != nil || len(report.Runs) != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	return report.Runs[0].Tool.Driver.Rules
}

// The manifests that docs/lint.md recommends have no findings, not even notes.
func TestDocumentedManifests(t *testing.T) {
	const header = `apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop}
databases: [{name: orders-db, postgresql: {dsn: {file: /etc/headroom/orders-db/dsn}}}]
workloads:
- name: %s
  mode: %s
  shedding: {enabled: %t}
  databaseRefs: [{name: orders-db, user: worker, connectionsPerPod: 5}]
  sqs: {queueName: orders, messagesPerPod: 20}
%s---
`
	blocks := strings.Split(documented(t), "```yaml\n")[1:]
	if len(blocks) != 3 {
		t.Fatalf("expected a Deployment, Jobs and a formula, found %d blocks", len(blocks))
	}
	for i, workload := range []string{
		fmt.Sprintf(header, "order-workers", "Gate", true, ""),
		fmt.Sprintf(header, "reports", "Gate", true, "  scaledJobRef: {name: reports}\n"),
		fmt.Sprintf(header, "price-workers", "Target", false, ""),
	} {
		manifests, _, _ := strings.Cut(blocks[i], "```")
		out, err := run(t, lint.Options{Paths: []string{"-"}, In: strings.NewReader(workload + manifests), FailOn: policy.SeverityWarning})
		if err != nil || !strings.HasSuffix(out, "1 fleet in 1 file: no problems\n") {
			t.Errorf("block %d: %v\n%s", i, err, out)
		}
	}
}

// What lint asks a cluster for is what docs/lint.md says it may need.
func TestPermissionsAreDocumented(t *testing.T) {
	api := cluster(t, "testdata/gate/all.yaml")
	if _, err := run(t, lint.Options{Cluster: kubeflags.Flags{Kubeconfig: api.Kubeconfig(t), AllNamespaces: true}}); err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(documented(t), "## Reading a cluster")
	needed := map[string]bool{}
	for _, line := range strings.Split(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || strings.Contains(cells[1], "API group") || strings.Contains(cells[1], "---") {
			continue
		}
		group := strings.Trim(cells[1], " `")
		if group == "core" {
			group = ""
		}
		for _, word := range strings.FieldsFunc(cells[2], func(r rune) bool { return r == ',' || r == ';' }) {
			needed[group+"/"+strings.Fields(word)[0]] = true
		}
	}
	delete(needed, "argoproj.io/where")
	delete(needed, "admissionregistration.k8s.io/of")
	asked := map[string]bool{}
	for _, a := range api.Asked() {
		if a.Verb != "list" {
			t.Errorf("asked for %+v", a)
		}
		asked[a.Resource] = true
	}
	if diff := cmp.Diff(needed, asked); diff != "" {
		t.Errorf("- documented, + asked:\n%s", diff)
	}
}
