package process

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is a child process, in a process group of its own: a terminal's interrupt
// doesn't reach it. On Linux the kernel kills it when its parent ends.
type Process struct {
	cmd       *exec.Cmd
	ended     chan struct{} // closed when it has ended
	err       error         // its exit status; read after ended
	requested atomic.Bool   // its end was asked for
}

// Start starts cmd, with the attributes of a [Process] where it has no SysProcAttr of its
// own.
func Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = attributes()
	}
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The death signal is sent when the starting thread ends, not only when
		// the process does: keep the thread as long as the child runs.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// HasEnded says whether the process has ended.
func (p *Process) HasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Err waits for the end of the process and says how it ended: nil for success, else
// an [exec.ExitError] or what went wrong with its output.
func (p *Process) Err() error {
	<-p.ended
	return p.err
}

// Requested says whether the end was asked for, by Stop or Kill.
func (p *Process) Requested() bool { return p.requested.Load() }

// Terminate asks the process to end, and does not wait. Asking one that has ended
// does nothing.
func (p *Process) Terminate() {
	p.requested.Store(true)
	_ = p.Signal(syscall.SIGTERM)
	_ = p.Signal(syscall.SIGCONT) // one that is paused would not notice
}

// Kill ends the process and all that it started at once, and does not wait.
func (p *Process) Kill() {
	p.requested.Store(true)
	if !p.HasEnded() { // else its number may be another's by now
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// Stop ends the process: it asks, kills after grace, and returns when the process
// has ended.
func (p *Process) Stop(grace time.Duration) {
	p.Terminate()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		p.Kill()
		<-p.ended
	}
}

// Pause stops the process where it is (SIGSTOP): its connections stay open and
// nothing answers them. Resume lets it go on.
func (p *Process) Pause() error { return p.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }

// Signal sends a signal to the process alone. It fails with an error that is
// [os.ErrProcessDone] where the process has ended.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("process %d of %s: %w", p.PID(), p.cmd.Path, err)
	}
	return nil
}
