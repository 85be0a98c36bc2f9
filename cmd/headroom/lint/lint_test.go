package lint_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/cmd/headroom/lint"
	"github.com/keda-headroom/headroom/internal/golden"
	"github.com/keda-headroom/headroom/policy"
)

func run(t *testing.T, o lint.Options) (string, error) {
	t.Helper()
	var out bytes.Buffer
	o.Out, o.Program = &out, "v0.1.0"
	if o.Output == "" {
		o.Output = "table"
	}
	if o.FailOn == "" {
		o.FailOn = policy.SeverityError
	}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	err := lint.Run(t.Context(), o)
	return out.String(), err
}

func TestLint(t *testing.T) {
	for _, c := range []struct {
		name  string
		paths []string
		fails bool
	}{
		{"good", []string{"testdata/good"}, false},
		{"bad", []string{"testdata/bad.yaml"}, true},
		{"warnings", []string{"testdata/warnings.yaml"}, false},
		// Good policies and others' documents, in all the ways that they are shipped.
		{"manifests", []string{"testdata/manifests"}, true},
		{"nothing", []string{"testdata/nothing.yaml"}, true},
		{"fleets", []string{"testdata/fleets"}, true},
		{"closed", []string{"testdata/closed"}, false},
		{"gate", []string{"testdata/gate"}, false},
		{"gateopen", []string{"testdata/gateopen"}, true},
	} {
		for _, output := range lint.Outputs {
			t.Run(c.name+"/"+output, func(t *testing.T) {
				out, err := run(t, lint.Options{Paths: c.paths, Output: output})
				if failed := errors.Is(err, lint.ErrFound); failed != c.fails || (err != nil && !failed) {
					t.Errorf("unexpected: %v", err)
				}
				golden.Compare(t, "testdata/"+c.name+"."+output+".golden", out)
				wellFormed(t, output, out)
			})
		}
	}
}

// The examples that are shipped leave no way past a target.
func TestShippedExamples(t *testing.T) {
	out, err := run(t, lint.Options{Paths: []string{"../../../manifests/examples"}, Output: "json", FailOn: policy.SeverityWarning})
	var report lint.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	if err != nil || report.Fleets < 3 || report.Policies < 3 {
		t.Errorf("expected nothing wrong with several fleets and policies: %v\n%s", err, out)
	}
}

func wellFormed(t *testing.T, output, text string) {
	t.Helper()
	var err error
	switch output {
	case "json", "sarif":
		err = json.Unmarshal([]byte(text), &map[string]any{})
	case "yaml":
		err = yaml.Unmarshal([]byte(text), &map[string]any{})
	case "junit":
		err = xml.Unmarshal([]byte(text), &struct{}{})
	}
	if err != nil {
		t.Error(err)
	}
}

// What a finding points at is what it speaks of, wherever the policy is kept.
func TestPlacesAreRight(t *testing.T) {
	for _, file := range []string{"testdata/bad.yaml", "testdata/manifests/configmap.yaml"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(content), "\n")
		out, _ := run(t, lint.Options{Paths: []string{file}, Output: "json"})
		var report lint.Report
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatal(err)
		}
		checked := 0
		for _, f := range report.Findings {
			if f.Code != policy.CodeValue && f.Code != policy.CodeUnknownField {
				continue
			}
			checked++
			key := f.Field[strings.LastIndexAny(f.Field, ".")+1:]
			if line := lines[f.Line-1]; !strings.Contains(line, key+":") || f.Column < 1 || f.Column > len(line) || line[f.Column-1] == ' ' {
				t.Errorf("%s: points at column %d of %q", f, f.Column, line)
			}
		}
		if checked == 0 {
			t.Errorf("%s: found no finding to check:\n%s", file, out)
		}
	}
}

func TestWarningsFailWhereTheyShould(t *testing.T) {
	if _, err := run(t, lint.Options{Paths: []string{"testdata/warnings.yaml"}, FailOn: policy.SeverityWarning}); !errors.Is(err, lint.ErrFound) {
		t.Errorf("unexpected: %v", err)
	}
	if out, err := run(t, lint.Options{Paths: []string{"testdata/good"}, FailOn: policy.SeverityWarning}); err != nil {
		t.Errorf("unexpected: %v\n%s", err, out)
	}
}

func TestTheStandardInput(t *testing.T) {
	content, err := os.ReadFile("testdata/bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out, err := run(t, lint.Options{Paths: []string{"-"}, In: bytes.NewReader(content)})
	if !errors.Is(err, lint.ErrFound) || !strings.HasPrefix(out, "<stdin>:") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = run(t, lint.Options{Paths: []string{"-"}, In: strings.NewReader("# nothing\n")}); !errors.Is(err, lint.ErrFound) || !strings.Contains(out, "expected at least one policy") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Two files that claim the same are judged together, and one named twice is not
// two.
func TestFilesAreJudgedTogether(t *testing.T) {
	dir := t.TempDir()
	content, err := os.ReadFile("testdata/good/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.yaml", "b.yml", ".hidden.yaml", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := filepath.Join(dir, "a.yaml")
	if out, err := run(t, lint.Options{Paths: []string{first, first}}); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := run(t, lint.Options{Paths: []string{dir}})
	if !errors.Is(err, lint.ErrFound) || !strings.Contains(out, filepath.Join(dir, "b.yml")+":") || !strings.Contains(out, "is governed by the policy at "+first+":") || !strings.Contains(out, "in 2 files") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	_, err := run(t, lint.Options{Paths: []string{"testdata/none.yaml", "testdata/neither"}})
	var input lint.InputError
	if !errors.As(err, &input) || !strings.Contains(err.Error(), "none.yaml") || !strings.Contains(err.Error(), "neither") {
		t.Errorf("unexpected: %v", err)
	}
	if err := (lint.Options{Output: "xml", FailOn: "never"}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("expected three mistakes, found: %v", err)
	}
}

// What no file says: how many replicas the databases carry.
func TestDatabaseLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(file, []byte(`apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop}
databases:
- {name: orders-db, postgresql: {dsn: {env: DSN}}, reserve: 10%}
- {name: stock-db, postgresql: {dsn: {env: DSN}}, reserve: 0}
workloads:
- name: workers
  mode: Target
  databaseRefs: [{name: orders-db, user: w, connectionsPerPod: 10}, {name: stock-db, user: w, connectionsPerPod: 1}]
  sqs: {queueName: orders, messagesPerPod: 20}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: workers, namespace: shop}
spec:
  scaleTargetRef: {name: workers}
  minReplicaCount: 9
  triggers:
  - {type: external-push, metadata: {scalerAddress: "headroom.headroom.svc:6000", workload: workers}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		limits []string
		carry  string // "" where the minimum fits, or nobody knows
	}{
		{nil, ""},
		{[]string{"100"}, ""}, // (100 - 10) / 10 = 9
		{[]string{"99"}, "carry 8"},
		{[]string{"orders-db=100", "shop/stock-db=7"}, "carry 7"},
		{[]string{"stock-db=8"}, "carry 8"},
	} {
		out, err := run(t, lint.Options{Paths: []string{file}, DatabaseLimits: c.limits})
		if err != nil {
			t.Fatal(err)
		}
		if found := strings.Contains(out, "minReplicaCount"); found != (c.carry != "") || !strings.Contains(out, c.carry) {
			t.Errorf("limits %v: expected %q, found\n%s", c.limits, c.carry, out)
		}
	}
	_, err := run(t, lint.Options{Paths: []string{file}, DatabaseLimits: []string{"other-db=5"}})
	var input lint.InputError
	if !errors.As(err, &input) || !strings.Contains(err.Error(), "other-db") {
		t.Errorf("a limit of no database: %v", err)
	}
	if err := (lint.Options{Paths: []string{file}, Output: "table", FailOn: policy.SeverityError, DatabaseLimits: []string{"many"}}).Validate(); err == nil || !strings.Contains(err.Error(), "--database-limit") {
		t.Errorf("a limit that is no number: %v", err)
	}
}

func FuzzAnyInput(f *testing.F) {
	for _, file := range []string{"testdata/bad.yaml", "testdata/manifests/configmap.yaml", "testdata/manifests/list.yaml", "testdata/nothing.yaml"} {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte("apiVersion: v1\nkind: List\n \r\r\rt"))
	f.Fuzz(func(t *testing.T, content []byte) {
		out, _ := run(t, lint.Options{Paths: []string{"-"}, In: bytes.NewReader(content), Output: "json"})
		var report lint.Report
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatal(err)
		}
		lines := 1
		for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} { // YAML's ends of lines
			lines += bytes.Count(content, []byte(end))
		}
		for _, finding := range report.Findings {
			if finding.Line < 0 || finding.Line > lines+1 {
				t.Errorf("line %d of %d: %s", finding.Line, lines, finding)
			}
		}
	})
}
