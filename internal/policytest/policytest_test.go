package policytest_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/internal/golden"
	"github.com/keda-headroom/headroom/internal/policytest"
	"github.com/keda-headroom/headroom/policy"
)

// load reads a file of tests that is expected to be right.
func load(t *testing.T, path string) policytest.File {
	t.Helper()
	file, problems := policytest.Load(path)
	if len(problems) > 0 {
		t.Fatalf("expected no problems, found %v", problems)
	}
	return file
}

// check fails for every test of the file that does.
func check(t *testing.T, file policytest.File) {
	t.Helper()
	results := file.Run(nil)
	if len(results) == 0 {
		t.Error("expected tests, found none")
	}
	for _, r := range results {
		for _, f := range r.Failures {
			t.Errorf("%s: at %s, %s: %+v\n%s", r.Name, f.At, f.Workload, f.Differences, f.Decision)
		}
	}
}

func TestShippedExamples(t *testing.T) {
	check(t, load(t, "../../docs/examples/policy-tests.yaml"))
}

func TestTheDocumentedExample(t *testing.T) {
	document, err := os.ReadFile("../../docs/policy-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(document), -1) {
		name := "policy.yaml"
		if strings.Contains(block[1], "kind: PolicyTest") {
			name = "policy-tests.yaml"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(block[1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check(t, load(t, filepath.Join(dir, "policy-tests.yaml")))
}

// Everything that can be given and expected, each seen to have its effect.
func TestWhatCanBeGiven(t *testing.T) {
	check(t, load(t, "testdata/everything.yaml"))
}

// What is expected in vain is told, and nothing else is.
func TestFailuresAreTold(t *testing.T) {
	results := load(t, "testdata/failing.yaml").Run(nil)
	want := []policytest.Result{
		{Name: "one passes"},
		{Name: "one fails twice", Failures: []policytest.Failure{
			{At: "0s", Differences: []policytest.Difference{
				{"demand", "4", "5"}, {"ceiling", "99", "13"}, {"target", "99", "5"}, {"value", "9.5", "5"}, {"active", "false", "true"},
				{"failure", "true", "false"}, {"reason", "MaxReplicas", "Demand"}, {"binding", "here", ""}, {"admissions", "1", "0"},
			}},
			{At: "1m30s", Differences: []policytest.Difference{{"target", "7", "6"}}},
		}},
	}
	for i := range results {
		for j := range results[i].Failures {
			f := &results[i].Failures[j]
			if !strings.HasPrefix(f.Decision, "shop/order-workers: ") || f.Workload.Name != "order-workers" {
				t.Errorf("unexpected: %+v", f)
			}
			f.Decision, f.Workload.Namespace, f.Workload.Name = "", "", ""
		}
	}
	if diff := cmp.Diff(want, results); diff != "" {
		t.Errorf("(- expected, + found):\n%s", diff)
	}
	if one := load(t, "testdata/failing.yaml").Run(regexp.MustCompile("^one p")); len(one) != 1 {
		t.Errorf("expected one test to match, found %+v", one)
	}
}

// Each wrong file, and all that is wrong with it.
func TestWrongFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong_*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("expected wrong files, found %v, %v", files, err)
	}
	for _, file := range append(files, "testdata/none.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, problems := policytest.Load(file)
			if !policy.HasErrors(problems) {
				t.Error("expected errors")
			}
			var text strings.Builder
			for _, p := range problems {
				text.WriteString(p.String() + "\n")
			}
			golden.Compare(t, strings.TrimSuffix(file, ".yaml")+".golden", text.String())
		})
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	document, err := os.ReadFile("../../docs/policy-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range policytest.Fields() {
		if !strings.Contains(string(document), "`"+field+"`") && !strings.Contains(string(document), "`"+field+":") {
			t.Errorf("docs/policy-tests.md does not explain %s", field)
		}
	}
}

func TestSameTwice(t *testing.T) {
	file := load(t, "testdata/failing.yaml")
	if a, b := file.Run(nil), file.Run(nil); !reflect.DeepEqual(a, b) {
		t.Errorf("two runs differ:\n%s", cmp.Diff(a, b))
	}
}
