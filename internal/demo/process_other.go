//go:build !linux

package demo

import "syscall"

// childAttributes put a child out of reach of the terminal's interrupt, which
// we turn into an orderly end. Workers also notice the end of their standard
// input.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
