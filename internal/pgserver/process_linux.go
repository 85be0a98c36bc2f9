package pgserver

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// supported is nil where this package can find and end all processes of a
// server.
func supported() error { return nil }

// attributes of the postmaster: another user if needed; a process group of its own, so
// that the terminal's interrupt reaches only us, who then end the server in
// order; and SIGQUIT, PostgreSQL's immediate shutdown, if we are killed.
func attributes(c *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: c, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}

// serverProcess is one process of a server.
type serverProcess struct {
	pid     int
	stopped bool // by SIGSTOP
}

// processesOf lists the living processes of the server in a data directory.
// The postmaster enters that directory and all that it starts inherits it.
// Backends lead sessions of their own, so the process group would not do.
func processesOf(dataDir string) ([]serverProcess, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []serverProcess
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// Errors are processes that ended meanwhile, or of other users.
		dir, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil || dir != dataDir {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		// pid (name) state …, where the name may hold anything.
		_, rest, found2 := bytes.Cut(stat[bytes.LastIndexByte(stat, ')'):], []byte(") "))
		if !found2 || len(rest) == 0 || rest[0] == 'Z' || rest[0] == 'X' {
			continue
		}
		found = append(found, serverProcess{pid: pid, stopped: rest[0] == 'T' || rest[0] == 't'})
	}
	return found, nil
}
