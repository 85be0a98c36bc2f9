package kedaclient_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// within is how long anything that has to happen may take.
const within = 2 * time.Minute

// event is what the client writes, see e2e/keda/client.
type event struct {
	Kind   string `json:"kind"`
	Metric string `json:"metric"`
	Target int64  `json:"target"`
	Value  int64  `json:"value"`
	Active bool   `json:"active"`
	Error  string `json:"error"`
}

// asker is a process that is KEDA's client.
type asker struct {
	t *testing.T

	mu     sync.Mutex
	events []event
	more   chan struct{} // closed, and replaced, with each event
}

// ask starts KEDA's client; it ends with the test.
func ask(t *testing.T, program, address, workload string, push bool) *asker {
	t.Helper()
	a := &asker{t: t, more: make(chan struct{})}
	cmd := exec.Command(program, "-address", address, "-namespace", "shop", "-name", "order-workers",
		"-workload", workload, fmt.Sprintf("-push=%t", push))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			var e event
			if json.Unmarshal(lines.Bytes(), &e) == nil { // KEDA's log is there, too
				a.add(e)
			}
		}
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("KEDA's client: %v", err)
		}
	})
	return a
}

func (a *asker) add(e event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, e)
	close(a.more)
	a.more = make(chan struct{})
}

// now is how many events there were.
func (a *asker) now() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.events)
}

// next waits for an event, after the first so many, that is as described.
func (a *asker) next(after int, what string, is func(event) bool) event {
	a.t.Helper()
	deadline := time.After(within)
	for {
		a.mu.Lock()
		events, more := a.events[after:], a.more
		a.mu.Unlock()
		for _, e := range events {
			if is(e) {
				return e
			}
		}
		select {
		case <-more:
		case <-deadline:
			a.t.Fatalf("%s did not come within %s; the last of %d events: %+v", what, within, len(events), events[max(0, len(events)-3):])
		}
	}
}

// pushed returns what came over the stream of activity after the first so many
// events.
func (a *asker) pushed(after int) []bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []bool
	for _, e := range a.events[after:] {
		if e.Kind == "active" {
			out = append(out, e.Active)
		}
	}
	return out
}

func answers(replicas int, active bool) func(event) bool {
	return func(e event) bool {
		return e.Kind == "answer" && e.Error == "" && e.Value == 1000*int64(replicas) && e.Active == active
	}
}
