//go:build !linux

package pgserver

import (
	"fmt"
	"runtime"
	"syscall"
)

// supported is nil where this package can find and end all processes of a
// server.
func supported() error {
	return fmt.Errorf("private PostgreSQL servers need Linux, this is %s: give the address of a server of your own instead", runtime.GOOS)
}

func attributes(*syscall.Credential) *syscall.SysProcAttr { return nil }

// serverProcess is one process of a server.
type serverProcess struct {
	pid     int
	stopped bool
}

func processesOf(string) ([]serverProcess, error) { return nil, supported() }

func removeSharedMemory(string) error { return nil }
