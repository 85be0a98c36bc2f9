package pgserver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// supported is nil where this package can find and end all processes of a
// server.
func supported() error { return nil }

// attributes of the server's programs: another user if needed; a process group
// of their own, so that the terminal's interrupt reaches only us, who then end
// the server in order; and SIGQUIT, PostgreSQL's immediate shutdown, if we are killed.
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
		_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
		if len(state) == 0 || state[0] == 'Z' || state[0] == 'X' {
			continue // dead
		}
		found = append(found, serverProcess{pid: pid, stopped: state[0] == 'T' || state[0] == 't'})
	}
	return found, nil
}

// removeSharedMemory removes the small System V segment that a killed server
// leaves, whose key and number are line 7 of postmaster.pid. A server that was
// shut down has removed both. No process of the server may be left.
func removeSharedMemory(dataDir string) error {
	data, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(string(data), "\n")
	if len(lines) < 7 {
		return nil // killed before it had a segment
	}
	fields := strings.Fields(lines[6])
	if len(fields) != 2 {
		return nil
	}
	id, err := strconv.Atoi(fields[1])
	if err != nil {
		return fmt.Errorf("postmaster.pid: expected the key and number of a shared memory segment, got %q", lines[6])
	}
	_, err = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EIDRM) { // gone already
		return fmt.Errorf("remove shared memory segment %d of PostgreSQL: %w", id, err)
	}
	return nil
}
