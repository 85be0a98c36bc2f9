package demo

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a child process that ends in order, or by force after a grace.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // its exit status; read after ended
}

// start starts cmd in the background.
func start(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = childAttributes()
	p := &process{cmd: cmd, ended: make(chan struct{})}
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

// terminate asks the process to end.
func (p *process) terminate() { p.signal(syscall.SIGTERM) }

func (p *process) kill() { p.signal(os.Kill) }

func (p *process) signal(s os.Signal) {
	_ = p.cmd.Process.Signal(s) // fails only where it has ended already
}

// stop ends the process: politely, then by force after grace. It returns when
// the process has ended.
func (p *process) stop(grace time.Duration) {
	p.terminate()
	select {
	case <-p.ended:
	case <-time.After(grace):
		p.kill()
		<-p.ended
	}
}
