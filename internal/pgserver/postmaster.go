package pgserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/keda-headroom/headroom/internal/process"
)

const (
	pollInterval = 10 * time.Millisecond
	// Generous, for slow and busy machines: a healthy server needs less than a
	// second for each of these.
	startTimeout = 90 * time.Second
	stopTimeout  = 30 * time.Second
	killTimeout  = 30 * time.Second
)

// postmaster is one run of the server's main process.
type postmaster struct {
	*process.Process
	dataDir string
}

// launch starts the main process. It returns before the server accepts
// connections.
func launch(cmd *exec.Cmd, dataDir string) (*postmaster, error) {
	p, err := process.Start(cmd)
	if err != nil {
		return nil, err
	}
	return &postmaster{p, dataDir}, nil
}

// errEnded means that the server ended instead of accepting connections.
var errEnded = errors.New("PostgreSQL ended at its start")

// awaitReady waits until the server accepts connections. It reads the
// server's own status file, as pg_ctl does, and so takes no slot.
func (p *postmaster) awaitReady(ctx context.Context) error {
	return poll(ctx, func() (bool, error) {
		if p.HasEnded() {
			return false, fmt.Errorf("%w: %v", errEnded, p.Err()) //nolint:errorlint // nil where it ended well
		}
		return p.ready(), nil
	})
}

// ready reads postmaster.pid: line 1 is the process, line 8 its status.
// A file left by a killed server names another process.
func (p *postmaster) ready() bool {
	f, err := os.Open(filepath.Join(p.dataDir, "postmaster.pid"))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // nothing was written
	var lines []string
	for scan := bufio.NewScanner(f); scan.Scan(); {
		lines = append(lines, strings.TrimSpace(scan.Text()))
	}
	return len(lines) >= 8 && lines[0] == strconv.Itoa(p.PID()) && lines[7] == "ready"
}

// shutDown ends the server in order: sessions are cut off, the data are kept.
// A server that does not end in time is killed.
func (p *postmaster) shutDown() error {
	if err := p.resume(); err != nil {
		return err
	}
	for _, sig := range []os.Signal{
		syscall.SIGINT,  // fast shutdown
		syscall.SIGQUIT, // immediate shutdown
	} {
		if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-p.Ended():
			return p.kill() // whatever it left behind
		case <-time.After(stopTimeout):
		}
	}
	return p.kill()
}

// kill ends every process of the server without giving it a chance to notice.
func (p *postmaster) kill() error {
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	return poll(ctx, func() (bool, error) {
		// The main process first: it starts no more.
		p.Kill()
		all, err := p.signalAll(syscall.SIGKILL)
		return len(all) == 0 && p.HasEnded(), err
	})
}

// pause stops every process of the server, and returns when all stand still.
func (p *postmaster) pause(ctx context.Context) error {
	return poll(ctx, func() (bool, error) {
		if p.HasEnded() {
			return false, errors.New("PostgreSQL is not running")
		}
		all, err := p.signalAll(syscall.SIGSTOP)
		for _, process := range all {
			if !process.stopped {
				return false, err
			}
		}
		return len(all) > 0, err
	})
}

func (p *postmaster) resume() error {
	_, err := p.signalAll(syscall.SIGCONT)
	return err
}

// signalAll sends a signal to every process of the server, and returns those
// that there were.
func (p *postmaster) signalAll(sig syscall.Signal) ([]serverProcess, error) {
	all, err := processesOf(p.dataDir)
	if err != nil {
		return nil, err
	}
	for _, process := range all {
		if err := syscall.Kill(process.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return nil, fmt.Errorf("send %v to process %d of PostgreSQL: %w", sig, process.pid, err)
		}
	}
	return all, nil
}

// poll calls check until it is true, fails, or the context ends.
func poll(ctx context.Context, check func() (bool, error)) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if ok, err := check(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
