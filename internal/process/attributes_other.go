//go:build !linux

package process

import "syscall"

// attributes can't tie a child's life to its parent's here: one that matters has to
// notice the end of its standard input.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
