package pgserver

import (
	_ "embed"
	"errors"
	"io"
	"os/exec"
	"syscall"
)

//go:embed watchdog.sh
var watchdogScript string

// watchdog is a small process that clears up when ours is killed. Nothing of
// ours can do that: a death signal reaches only the main process of the
// server, no process that is paused, and removes no directory.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser // held open by this process alone
}

func (s *Server) startWatchdog() error {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "pgserver-watchdog", s.dir)
	cmd.Dir, cmd.Env = "/", s.environment()
	// Our own user, who may remove the directory itself; out of reach of the
	// terminal's interrupt.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, pipe.Close())
	}
	s.watchdog = &watchdog{cmd: cmd, pipe: pipe}
	return nil
}

// dismiss ends the watchdog, when there is nothing left to watch.
func (w *watchdog) dismiss() error {
	if w == nil {
		return nil
	}
	_, err := io.WriteString(w.pipe, "done\n")
	return errors.Join(err, w.pipe.Close(), w.cmd.Wait())
}
