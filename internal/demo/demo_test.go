package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/fakeaws"
)

// tiny is the demo in seconds: 15 usable connections, 6 of them for workers.
func tiny() scenario {
	return scenario{
		maxConnections: 17, superuserReserved: 2, reserve: 3,
		connectionsPerPod: 2, messages: 110, work: 100 * time.Millisecond,
		otherHeld: 3, otherSpike: 6, spikeAfter: 2500 * time.Millisecond, spikeFor: 500 * time.Millisecond,
		shortEvery: 100 * time.Millisecond, queueLength: 5, messagesPerPod: 10,
		faster: 30, othersWindow: time.Second, cutOff: time.Minute,
	}
}

// options run the demo with this test binary in every role.
func options(t *testing.T, stdout, stderr *bytes.Buffer) Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{Output: "json", Headroom: self, Worker: []string{self, "worker"}, Stdout: stdout, Stderr: stderr}
}

// nothingLeft fails where the demo has left a process or a file.
func nothingLeft(t *testing.T, temporary string) {
	t.Helper()
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("a child process is left (%d, %v)", pid, err)
	}
	entries, err := os.ReadDir(temporary)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s is left", e.Name())
	}
}

// The whole machinery, small: real server, real workers, real headroom.
func TestDemo(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), options(t, &stdout, &stderr), tiny()); err != nil {
		t.Errorf("%v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	var r Report
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatalf("the last line is no report: %v\n%s", err, stdout.String())
	}
	t.Logf("%s", lines[len(lines)-1])
	for name, o := range map[string]Outcome{"plain": r.Plain, "headroom": r.Headroom, "bound": r.Bound} {
		if o.Server == nil || o.Server.Worker != o.WorkerRefusals || o.Server.Other != o.OtherRefusals {
			t.Errorf("%s: clients counted %d and %d refusals, the server's log %+v", name, o.WorkerRefusals, o.OtherRefusals, o.Server)
		}
		if o.RefusalsBeforeSpike+o.RefusalsWithSpike != o.WorkerRefusals+o.OtherRefusals {
			t.Errorf("%s: refusals don't add up: %+v", name, o)
		}
		if !o.Drained || o.Handled != 110 || o.Usable != 15 || o.PeakUsed < 5 || o.PeakPods < 1 || o.DrainSeconds <= 0 {
			t.Errorf("%s: %+v", name, o)
		}
		if o.Failures > 0 || o.Unwatched > 0 {
			t.Errorf("%s: %d failures (%s), %d samples failed", name, o.Failures, o.Failure, o.Unwatched)
		}
	}
	if r.Plain.WorkerRefusals == 0 || r.Plain.PeakUsed < 15 {
		t.Errorf("on queue depth alone the server did not fill up: %+v", r.Plain)
	}
	// The other application opens fewer connections than it wants to where the
	// machine is slow, and what it leaves is the workers': (15 - 3) / 2 at most.
	if r.Headroom.PeakPods > 6 || r.Bound.PeakPods != 3 {
		t.Errorf("at most 6 pods fit, 3 beside the other application; there were %d under Headroom, %d fixed", r.Headroom.PeakPods, r.Bound.PeakPods)
	}
	if r.BoundSeconds != r.Bound.DrainSeconds {
		t.Errorf("boundSeconds is %v, the bound took %v", r.BoundSeconds, r.Bound.DrainSeconds)
	}
	nothingLeft(t, temporary)
}

// whenSaid cancels a context as soon as a text was written.
type whenSaid struct {
	bytes.Buffer
	text string
	then func()
}

func (w *whenSaid) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.text) {
		w.then()
	}
	return n, err
}

// An interrupt in the middle of a run ends everything.
func TestInterrupt(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stdout bytes.Buffer
	o := options(t, &stdout, nil)
	stderr := &whenSaid{text: "plain      2s", then: interrupt}
	o.Stderr = stderr
	s := tiny()
	s.messages = 10_000
	if err := run(ctx, o, s); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled\n%s", err, stderr.String())
	}
	if stdout.Len() > 0 {
		t.Errorf("an interrupted demo has no report: %s", stdout.String())
	}
	nothingLeft(t, temporary)
}

// A run that can't drain is cut off, and says so.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s := tiny()
	s.messages, s.cutOff = 1000, 2*time.Second
	at, err := privateSite(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := at.close(); err != nil {
			t.Error(err)
		}
	}()
	queues := fakeaws.New(fakeaws.Options{Region: queueRegion})
	if _, err := queues.Start(""); err != nil {
		t.Fatal(err)
	}
	defer queues.Close()
	var stderr bytes.Buffer
	st := &stage{scenario: s, site: at, queues: queues, worker: options(t, nil, nil).Worker, progress: newProgress(&stderr), log: slog.New(slog.DiscardHandler)}
	out, err := st.run(t.Context(), bound, 0)
	if err != nil {
		t.Fatal(err)
	}
	if out.Drained || out.DrainSeconds < 2 || out.Handled == 0 || out.Handled == s.messages {
		t.Errorf("%+v", out)
	}
}

func TestBadOptions(t *testing.T) {
	var stdout, stderr bytes.Buffer
	o := options(t, &stdout, &stderr)
	o.Output = "xml"
	if err := run(t.Context(), o, tiny()); err == nil || !strings.Contains(err.Error(), `found "xml"`) {
		t.Errorf("%v", err)
	}
	o.Output = "json"
	s := tiny()
	s.otherHeld = 9
	if err := run(t.Context(), o, s); err == nil || !strings.Contains(err.Error(), "no worker fits") {
		t.Errorf("%v", err)
	}
	o.Headroom = "/nowhere/headroom"
	if err := run(t.Context(), o, tiny()); err == nil || !strings.Contains(err.Error(), "/nowhere/headroom") {
		t.Errorf("%v", err)
	}
}
