package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/keda-headroom/headroom/internal/process"
)

// stopGrace is the time that a component has to end in order. The API server would
// use more of it: it waits for those that watch.
const stopGrace = 5 * time.Second

// Component is one program of a cluster. Its methods may be called from several
// goroutines.
type Component struct {
	name    string
	program string
	args    []string
	env     []string // beside ours
	log     string
	ready   func(context.Context) error
	ended   func(name string, err error, again bool) // unasked; again where it was started again
	// restarts is how often it is started again where it ended unasked, as a Deployment's
	// pods are.
	restarts int

	mu      sync.Mutex
	process *process.Process // nil while it is stopped
	up      *process.Process // the last that was ready, or took the place of one that was
}

// Name is the component's, as in "kube-scheduler".
func (c *Component) Name() string { return c.name }

// Log is the file that the component writes to, through all its starts.
func (c *Component) Log() string { return c.log }

// PID is the number of the component's process, 0 while there is none.
func (c *Component) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil || c.process.HasEnded() {
		return 0
	}
	return c.process.PID()
}

// Start starts a component that is stopped or has ended, at the addresses that it had, and returns
// when it is ready, or fails with the end of its log. Starting one that runs does
// nothing.
func (c *Component) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil || c.process.HasEnded() {
		started, err := c.launch()
		if err != nil {
			return fmt.Errorf("start %s: %w", c.name, err)
		}
		c.process = started
	}
	if err := c.awaitReady(ctx, c.process); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w; the end of %s says", c.name, err, c.log), c.tail())
	}
	c.up = c.process
	return nil
}

func (c *Component) launch() (*process.Process, error) {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(c.program, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = log, log
	started, err := process.Start(cmd)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		<-started.Ended()
		_ = log.Close()
		if !started.Requested() {
			err := errors.Join(started.Err(), c.tail())
			c.ended(c.name, err, c.restart(started))
		}
	}()
	return started, nil
}

// restart starts the component again where ended, which ended unasked, was up, as long
// as restarts lasts. It reports whether it did.
func (c *Component) restart(ended *process.Process) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process != ended || c.up != ended || c.restarts <= 0 {
		return false
	}
	started, err := c.launch()
	if err != nil {
		return false
	}
	c.restarts--
	c.process, c.up = started, started
	return true
}

// awaitReady asks again and again until the component is ready or has ended.
func (c *Component) awaitReady(ctx context.Context, p *process.Process) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.Ended():
			cancel(fmt.Errorf("it ended: %w", errors.Join(p.Err(), errEnded)))
		case <-ctx.Done():
		}
	}()
	return waitFor(ctx, "it to be ready", func(ctx context.Context) (bool, error) {
		err := c.ready(ctx)
		return err == nil, err
	})
}

// errEnded tells an end with status 0 from none.
var errEnded = errors.New("expected it to go on")

// Stop ends a component in order, or by force if that takes longer than 5 s or
// than ctx allows. Stopping one that is stopped does nothing.
func (c *Component) Stop(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return nil
	}
	grace := stopGrace
	if deadline, ok := ctx.Deadline(); ok {
		grace = min(grace, time.Until(deadline))
	}
	c.process.Stop(max(grace, 0))
	c.process = nil
	return ctx.Err()
}

// Kill ends a component at once, as a node that loses power does.
func (c *Component) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return
	}
	c.process.Kill()
	<-c.process.Ended()
	c.process = nil
}

// Pause stops the component where it is: connections to it stay open, or can even be
// opened, and nothing is answered. Resume lets it go on.
func (c *Component) Pause() error {
	return c.running((*process.Process).Pause)
}

// Resume lets a paused component go on.
func (c *Component) Resume() error {
	return c.running((*process.Process).Resume)
}

func (c *Component) running(do func(*process.Process) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return fmt.Errorf("%s: expected it to run, found it stopped", c.name)
	}
	return do(c.process)
}

// tail is the end of the component's log, or where it says that it panicked, as an
// error.
func (c *Component) tail() error {
	const most = 4096
	content, err := os.ReadFile(c.log)
	if err != nil {
		return err
	}
	for _, word := range []string{"\npanic: ", "\nfatal error: "} {
		if i := bytes.Index(content, []byte(word)); i >= 0 {
			return errors.New(string(content[i+1 : min(len(content), i+1+most)]))
		}
	}
	if len(content) > most {
		content = content[len(content)-most:]
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	return errors.New(string(content))
}
