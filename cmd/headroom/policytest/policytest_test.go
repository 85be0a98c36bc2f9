package policytest_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/cmd/headroom/policytest"
	"github.com/keda-headroom/headroom/internal/golden"
)

func run(t *testing.T, o policytest.Options) (string, error) {
	t.Helper()
	var out bytes.Buffer
	o.Out = &out
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	err := policytest.Run(o)
	return out.String(), err
}

func TestOutputs(t *testing.T) {
	for _, output := range policytest.Outputs {
		t.Run(output, func(t *testing.T) {
			out, err := run(t, policytest.Options{Paths: []string{"testdata/passing.yaml", "testdata/failing.yaml", "testdata/broken.yaml"}, Output: output})
			if !errors.Is(err, policytest.ErrFailed) {
				t.Errorf("unexpected: %v", err)
			}
			golden.Compare(t, "testdata/"+output+".golden", out)
			var unread error
			switch output {
			case "json":
				unread = json.Unmarshal([]byte(out), &policytest.Report{})
			case "junit":
				unread = xml.Unmarshal([]byte(out), &struct{}{})
			}
			if unread != nil {
				t.Error(unread)
			}
		})
	}
}

// What the documentation shows of a test that fails is what such a test shows.
func TestTheDocumentedFailure(t *testing.T) {
	const documentPath = "../../../docs/policy-tests.md"
	document, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(document), -1) {
		name := "policy.yaml"
		if strings.Contains(block[1], "kind: PolicyTest") {
			name = "policy-tests.yaml"
		}
		text := strings.Replace(block[1], "{target: 13, reason: ConnectionBudget}", "{target: 14, reason: ConnectionBudget}", 1)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := run(t, policytest.Options{Paths: []string{filepath.Join(dir, "policy-tests.yaml")}, Output: "table", Run: "burst"})
	if !errors.Is(err, policytest.ErrFailed) {
		t.Fatalf("unexpected: %v\n%s", err, out)
	}
	_, details, _ := strings.Cut(out, "\n")
	details, _, _ = strings.Cut(details, "\n\n")
	block := regexp.MustCompile("(?s)```text\n  FAIL.*?```")
	got := block.ReplaceAllLiteralString(string(document), "```text\n"+details+"\n```")
	if golden.Updating() {
		if err := os.WriteFile(documentPath, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(string(document), got); diff != "" || !block.Match(document) {
		t.Errorf("%s is not what is said (- file, + said; go test -update writes it):\n%s", documentPath, diff)
	}
}
