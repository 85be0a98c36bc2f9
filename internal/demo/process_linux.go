package demo

import "syscall"

// childAttributes put a child out of reach of the terminal's interrupt, which
// we turn into an orderly end, and end it when we are killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
