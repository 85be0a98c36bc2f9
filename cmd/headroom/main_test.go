package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func headroom(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

func TestExitStatuses(t *testing.T) {
	for _, c := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{nil, 0, "Available Commands:", ""},
		{[]string{"--help"}, 0, "Usage:", ""},
		{[]string{"serve", "--help"}, 0, "/readyz", ""},
		{[]string{"version"}, 0, "headroom ", ""},
		{[]string{"version", "-o", "yaml"}, 0, "version: ", ""},
		{[]string{"version", "-o", "xml"}, 2, "", `--output: expected table, json or yaml, found "xml"`},
		{[]string{"server"}, 2, "", `there is no command "server"`},
		{[]string{"serve", "now"}, 2, "", `expected no arguments, found "now"`},
		{[]string{"serve", "--polices", "x"}, 2, "", "unknown flag: --polices"},
		{[]string{"serve", "--fleets", "f.json"}, 2, "", "--policy: expected a file or a directory"},
		{[]string{"serve", "--policy", "p.yaml", "--fleets", "f.json", "--context", "c"}, 2, "", "--fleets: expected none with --kubeconfig"},
		{[]string{"serve", "--kubeconfig", "/nonexistent"}, 1, "", "find a cluster: "},
		{[]string{"serve", "--policy", "p.yaml", "--fleets", "f.json", "--log-level", "loud"}, 2, "", `--log-level: expected debug, info, warn or error, found "loud"`},
		{[]string{"serve", "--policy", "p.yaml", "--fleets", "f.json", "--http-address", "127.0.0.1:0", "--grpc-address", "127.0.0.1:99999"}, 1, "", "--grpc-address: "},
	} {
		code, stdout, stderr := headroom(c.args...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("headroom %s:\n got %d\n%s%s\nwant %d with %q and %q", strings.Join(c.args, " "), code, stdout, stderr, c.code, c.stdout, c.stderr)
		}
		if c.code == 2 && !strings.Contains(stderr, "--help' for usage.") {
			t.Errorf("headroom %s does not say where help is: %s", strings.Join(c.args, " "), stderr)
		}
	}
}

func TestVersionAsJSON(t *testing.T) {
	_, stdout, _ := headroom("version", "-o", "json")
	var info map[string]string
	if err := json.Unmarshal([]byte(stdout), &info); err != nil || info["version"] == "" || info["go"] == "" {
		t.Errorf("got %s, %v", stdout, err)
	}
}
