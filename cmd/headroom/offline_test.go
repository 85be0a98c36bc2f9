package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the commands that need no server do when they are called from a shell.
func TestOfflineCommands(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, missing := "../../docs/examples/policy.yaml", filepath.Join(dir, "missing.yaml")
	bad := file("bad.yaml", "apiVersion: keda-headroom.github.io/v1alpha1\nkind: Policy\nworkload: []\n")
	tests := "../../docs/examples/policy-tests.yaml"
	text, err := os.ReadFile(tests)
	if err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(good)
	if err != nil {
		t.Fatal(err)
	}
	failing := file("failing.yaml", strings.NewReplacer("[policy.yaml]", "["+absolute+"]", "target: 13", "target: 14").Replace(string(text)))
	for _, c := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{"lint", good}, 0, "no problems", ""},
		{[]string{"lint", "--fail-on", "Warning", "-o", "json", good}, 0, `"errors": 0`, ""},
		{[]string{"lint", bad}, 1, "workload: unknown field", ""},
		{[]string{"lint"}, 2, "", "expected at least one FILE"},
		{[]string{"lint", missing}, 2, "", "missing.yaml"},
		{[]string{"lint", "--fail-on", "info", good}, 2, "", `--fail-on: expected error or warning, found "info"`},
		{[]string{"lint", "-o", "xml", good}, 2, "", "--output: expected table, json, yaml, sarif or junit"},

		{[]string{"lint", good, "--context", "a"}, 2, "", "expected FILE or a cluster"},
		{[]string{"lint", "-n", "a", "-A"}, 2, "", "expected --namespace or --all-namespaces, found both"},
		{[]string{"lint", "--kubeconfig", missing}, 1, "", "missing.yaml"},

		{[]string{"audit", "--connections-per-pod", "0"}, 2, "", "--connections-per-pod: expected 1 to 1000000, found 0"},
		{[]string{"audit", "--kubeconfig", missing}, 1, "", "missing.yaml"},
		{[]string{"audit", "now"}, 2, "", `expected no arguments, found "now"`},

		{[]string{"status", "--server", "http://127.0.0.1:1"}, 1, "", "ask the server"},
		{[]string{"status", "--server", "http://127.0.0.1:1", "--context", "a"}, 2, "", "expected --server or a cluster"},
		{[]string{"status", "--kubeconfig", missing}, 1, "", "missing.yaml"},
		{[]string{"why", "a/b", "--kubeconfig", missing}, 1, "", "missing.yaml"},

		{[]string{"stop"}, 2, "", "expected at least one WORKLOAD, found none"},
		{[]string{"resume", "a/b/c"}, 2, "", "WORKLOAD: expected NAME or NAMESPACE/NAME"},
		{[]string{"stop", "a", "--kubeconfig", missing}, 1, "", "missing.yaml"},
		{[]string{"release"}, 2, "", "expected WORKLOAD or --all, found neither"},
		{[]string{"release", "a", "--all"}, 2, "", "expected WORKLOAD or --all, found both"},
		{[]string{"release", "--all", "--kubeconfig", missing}, 1, "", "missing.yaml"},

		{[]string{"test", tests}, 0, "6 passed, 0 failed", ""},
		{[]string{"test", tests, "--run", "burst"}, 0, "1 passed, 0 failed", ""},
		{[]string{"test", failing}, 1, "target: expected 14, found 13", ""},
		{[]string{"test", failing, "-o", "junit"}, 1, `message="the decision is not as expected"`, ""},
		{[]string{"test", bad}, 1, "1 of 1 files could not be run", ""},
		{[]string{"test"}, 2, "", "expected at least one FILE of tests"},
		{[]string{"test", missing, dir}, 2, "", "found the directory"},
		{[]string{"test", tests, "--run", "("}, 2, "", "--run: "},
		{[]string{"test", tests, "--run", "nothing"}, 2, "", `expected the name of a test to match "nothing"`},

		{[]string{"why"}, 2, "", "expected one WORKLOAD, found 0 arguments"},
		{[]string{"explain", "a/b", "--at", "soon"}, 2, "", `--at: expected a time such as`},
		{[]string{"why", "a/b", "--recording", dir, "--server", "http://127.0.0.1:1"}, 2, "", "expected --server or --recording, found both"},
		{[]string{"why", "a/b", "--recording", dir}, 1, "", "expected a recording in"},
		{[]string{"why", "a/b", "--server", "http://127.0.0.1:1"}, 1, "", "ask the server"},
	} {
		code, stdout, stderr := headroom(c.args...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("headroom %s:\n got %d\n%s%s\nwant %d with %q and %q", strings.Join(c.args, " "), code, stdout, stderr, c.code, c.stdout, c.stderr)
		}
		if c.code == 2 && !strings.Contains(stderr, "--help' for usage.") {
			t.Errorf("headroom %s does not say where help is: %s", strings.Join(c.args, " "), stderr)
		}
		if c.code != 2 && strings.HasPrefix(stderr, "headroom") && strings.TrimSpace(strings.SplitN(stderr, ":", 2)[1]) == "" {
			t.Errorf("headroom %s ends with an empty error: %q", strings.Join(c.args, " "), stderr)
		}
	}
}
