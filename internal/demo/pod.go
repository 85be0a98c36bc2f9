package demo

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"time"

	"github.com/keda-headroom/headroom/internal/lines"
	"github.com/keda-headroom/headroom/internal/process"
	"github.com/keda-headroom/headroom/internal/worker"
	"github.com/keda-headroom/headroom/metrics"
)

const (
	// startDelay stands for scheduling, pulling and starting a container.
	startDelay = time.Second
	// restartDelay is a kubelet's first back-off, shortened.
	restartDelay = time.Second
	// grace is terminationGracePeriodSeconds, shortened: a worker needs no more
	// than one message and one poll.
	grace = 10 * time.Second
)

// pod runs one worker process at a time, as a kubelet does, until it is deleted.
type pod struct {
	index int // orders pods by creation
	state metrics.Pod
	// delete is closed when the pod gets its deletionTimestamp.
	delete chan struct{}
}

// podOptions are what every pod of a fleet shares.
type podOptions struct {
	command []string      // of a worker
	config  worker.Config // without address
	event   func(worker.Event)
	// changed is called with a change of the pod's state; it is made inside.
	changed func(func())
}

// run lives the pod's life: start delay, process, restarts, end.
func (p *pod) run(o podOptions, address string) {
	wait := startDelay
	for p.sleep(wait) {
		o.changed(func() { p.state.Address = address })
		p.runOnce(o, address)
		o.changed(func() { p.state.Ready = false })
		wait = restartDelay
	}
}

// sleep returns false if the pod is deleted meanwhile.
func (p *pod) sleep(d time.Duration) bool {
	select {
	case <-p.delete:
		return false
	case <-time.After(d):
		return true
	}
}

// runOnce runs a worker process to its end.
func (p *pod) runOnce(o podOptions, address string) {
	config := o.config
	if config.Address = ""; o.config.Address != "" {
		config.Address = address
	}
	config.Application = p.state.Name
	told, err := json.Marshal(config)
	if err != nil {
		o.event(worker.Event{Kind: worker.Failed, At: time.Now(), Text: err.Error()})
		return
	}
	cmd := exec.CommandContext(context.Background(), o.command[0], o.command[1:]...)
	cmd.WaitDelay = time.Second
	cmd.Stdout = &lines.Writer{Line: func(line []byte) {
		var e worker.Event
		if json.Unmarshal(line, &e) != nil {
			e = worker.Event{Kind: worker.Failed, At: time.Now(), Text: "a worker wrote: " + string(line)}
		}
		if e.Kind == worker.Ready {
			o.changed(func() { p.state.Ready = true })
		}
		o.event(e)
	}}
	cmd.Stderr = &lines.Writer{Line: func(line []byte) {
		o.event(worker.Event{Kind: worker.Failed, At: time.Now(), Text: string(line)})
	}}
	// What the worker reads ends when we end, however that comes about.
	read, write, err := os.Pipe()
	if err != nil {
		o.event(worker.Event{Kind: worker.Failed, At: time.Now(), Text: err.Error()})
		return
	}
	defer func() { _ = write.Close() }() // an end of a pipe: nothing is lost
	cmd.Stdin = read
	proc, err := process.Start(cmd)
	_ = read.Close() // the worker has its own
	if err == nil {
		_, err = write.Write(append(told, '\n'))
	}
	if err != nil {
		o.event(worker.Event{Kind: worker.Failed, At: time.Now(), Text: err.Error()})
	}
	if proc == nil {
		return
	}
	select {
	case <-proc.Ended():
		o.event(worker.Event{Kind: worker.Failed, At: time.Now(), Text: "a worker ended by itself: " + cmd.ProcessState.String()})
	case <-p.delete:
		proc.Stop(grace)
	}
}
