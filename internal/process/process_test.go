package process_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/process"
)

func sleep(t *testing.T) *process.Process {
	t.Helper()
	p, err := process.Start(exec.CommandContext(t.Context(), "sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestStop(t *testing.T) {
	p := sleep(t)
	if p.Requested() {
		t.Error("its end was asked for before it was")
	}
	p.Stop(time.Minute)
	if err := p.Err(); err == nil || !p.Requested() {
		t.Errorf("expected an end by a signal that was asked for, got %v, %v", err, p.Requested())
	}
	p.Stop(time.Minute) // nothing
	p.Kill()
}

func TestStopEndsPaused(t *testing.T) {
	p := sleep(t)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	p.Stop(time.Minute)
	if err := p.Pause(); err == nil {
		t.Error("a process that has ended was paused")
	}
}

func TestStopKillsAfterGrace(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `trap "" TERM; echo ready; while :; do sleep 1; done`)
	ready, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p.Stop(10 * time.Millisecond)
	if err := p.Err(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("expected to be killed, got %v", err)
	}
}

func TestNoSuchProgram(t *testing.T) {
	if _, err := process.Start(exec.CommandContext(t.Context(), "/no/such/program")); err == nil {
		t.Error("started")
	}
}
