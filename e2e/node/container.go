package node

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/internal/process"
)

// calm is how long a container has to run for its crashes to be forgotten.
const calm = 10 * time.Minute

// runContainer runs the container again and again, as its restart policy says,
// until that or the pod ends.
func (p *pod) runContainer(program Program) {
	backoff, restarted := p.node.options.Backoff, false
	for {
		began := time.Now()
		code, err := p.runOnce(program)
		if err != nil {
			// It has not even begun. Secrets that are missing may come.
			if p.wanted.Err() == nil {
				p.change(func(s *state) { s.waiting("CreateContainerConfigError", err.Error()) })
			}
			if !pause(p.wanted, longestRetry) {
				return
			}
			continue
		}
		policy := p.current().Spec.RestartPolicy
		over := p.wanted.Err() != nil || policy == corev1.RestartPolicyNever || policy == corev1.RestartPolicyOnFailure && code == 0
		p.change(func(s *state) {
			reason := "Error"
			if code == 0 {
				reason = "Completed"
			}
			s.terminated(code, reason)
			if !over {
				return
			}
			if s.phase = corev1.PodFailed; code == 0 {
				s.phase = corev1.PodSucceeded
			}
		})
		if over {
			return
		}
		if time.Since(began) > calm {
			backoff, restarted = p.node.options.Backoff, false
		}
		if restarted { // the first restart comes at once
			p.change(func(s *state) {
				s.again()
				s.waiting("CrashLoopBackOff", fmt.Sprintf("back-off %v restarting failed container=%s pod=%s(%s)", backoff, s.container.Name, p.podName, p.uid))
			})
			if !pause(p.wanted, backoff) {
				return
			}
			backoff = min(2*backoff, 30*p.node.options.Backoff)
		}
		restarted = true
		p.change(func(s *state) {
			s.again()
			s.container.RestartCount++
		})
	}
}

// runOnce runs the container's process to its end and returns its exit code. An
// error means that it did not begin.
func (p *pod) runOnce(program Program) (code int, err error) {
	reported := make(chan struct{})
	cmd, closeLog, err := p.command(program, sync.OnceFunc(func() { close(reported) }))
	if err != nil {
		return 0, err
	}
	defer closeLog()
	running, err := p.start(cmd)
	if err != nil {
		return 0, err
	}
	attended, leave := context.WithCancel(context.Background())
	var attending sync.WaitGroup
	defer func() {
		leave()
		attending.Wait()
	}()
	sick := make(chan struct{})
	attending.Go(func() { p.attend(attended, program, reported, sync.OnceFunc(func() { close(sick) })) })

	var crash <-chan time.Time
	if after := duration(p.current(), ExitAfter); after > 0 {
		timer := time.NewTimer(after)
		defer timer.Stop()
		crash = timer.C
	}
	select {
	case <-running.Ended():
	case <-crash:
		running.Kill()
	case <-sick:
		p.terminate(running)
	case <-p.wanted.Done():
		p.terminate(running)
	}
	<-running.Ended()
	leave()
	attending.Wait() // nobody calls it ready after its end
	p.mu.Lock()
	p.running = nil
	p.mu.Unlock()
	return exitCode(running.Err()), nil
}

// start starts the process, unless the pod is not wanted or the node is frozen.
func (p *pod) start(cmd *exec.Cmd) (*process.Process, error) {
	p.node.mu.Lock() // a loss waits until this one is known
	defer p.node.mu.Unlock()
	if p.wanted.Err() != nil || p.node.frozen {
		return nil, errors.New("the pod is not wanted any more")
	}
	running, err := process.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p.mu.Lock()
	p.running = running
	p.mu.Unlock()
	p.change(func(s *state) {
		s.running()
		s.container.ContainerID = fmt.Sprintf("process://%d", running.PID())
		s.container.ImageID = s.container.Image
		s.started(p.object.Spec.Containers[0].StartupProbe == nil)
	})
	return running, nil
}

// terminate ends the process as its pod's grace period says. That may become
// shorter meanwhile.
func (p *pod) terminate(running *process.Process) {
	began := time.Now()
	if lifecycle := p.current().Spec.Containers[0].Lifecycle; lifecycle != nil && lifecycle.PreStop != nil && lifecycle.PreStop.Sleep != nil {
		pause(p.node.alive, min(p.grace(), time.Duration(lifecycle.PreStop.Sleep.Seconds)*time.Second))
	}
	running.Terminate()
	for {
		timer := time.NewTimer(p.grace() - time.Since(began))
		select {
		case <-running.Ended():
		case <-timer.C:
			running.Kill()
		case <-p.node.alive.Done():
			running.Kill()
		case <-p.changed:
			timer.Stop()
			continue
		}
		timer.Stop()
		return
	}
}

// grace is how long a process has to end, a second at least.
func (p *pod) grace() time.Duration {
	object := p.current()
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if s := object.Spec.TerminationGracePeriodSeconds; s != nil {
		seconds = *s
	}
	if s := object.DeletionGracePeriodSeconds; s != nil {
		seconds = *s
	}
	return time.Duration(max(1, seconds)) * time.Second
}

// exitCode is a container's, of what its process ended with.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // somebody else still has its output
		return 0
	case !errors.As(err, &exit):
		return 1
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}
