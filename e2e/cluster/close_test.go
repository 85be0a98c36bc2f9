package cluster_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

// processesIn finds processes that have a directory in their command line, as each
// component has its cluster's.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), dir+"/") {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func TestNothingIsLeft(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if found := processesIn(t, c.Dir()); len(found) != 4 {
		t.Errorf("expected 4 processes, found %q", found)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if found := processesIn(t, c.Dir()); len(found) != 0 {
		t.Errorf("left: %q", found)
	}
	if _, err := os.Stat(c.Dir()); !os.IsNotExist(err) {
		t.Errorf("%s: expected it to be removed, got %v", c.Dir(), err)
	}
}

func TestCloseSaysWhatEndedUnasked(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.Component("kube-scheduler").PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait(t, "the scheduler's end", func(context.Context) (bool, error) { return c.Component("kube-scheduler").PID() == 0, nil })
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "kube-scheduler ended unasked: signal: killed") {
		t.Errorf("got %v", err)
	}
}

// abandonedDir is set in the environment of a process that starts a cluster there and
// is killed.
const abandonedDir = "HEADROOM_E2E_ABANDONED_DIR"

func abandon(dir string) int {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if _, err := cluster.Start(ctx, cluster.Options{Dir: dir}); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("up")
	_, _ = io.Copy(io.Discard, os.Stdin) // until we are killed, or our parent is
	return 1
}

func TestChildrenOfAKilledProcessEnd(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), abandonedDir+"="+dir)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("expected it to be up, got %q, %v", line, err)
	}
	if found := processesIn(t, dir); len(found) != 4 {
		t.Errorf("expected 4 processes, found %q", found)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	wait(t, "its children to end", func(context.Context) (bool, error) {
		found := processesIn(t, dir)
		return len(found) == 0, fmt.Errorf("left: %q", found)
	})
}
