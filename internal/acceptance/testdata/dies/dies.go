// Package main is one file of a program: it is laid over others when they are
// built for arm64 to be emulated.
package main

import (
	"syscall"
	"unsafe"
)

// init gives SIGQUIT back to the system, so that it ends the program where it
// is, with a core, and no handler of the runtime's changes that before.
func init() {
	var action [4]uint64 // struct sigaction of <asm/signal.h>; its handler is SIG_DFL
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGQUIT), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	if errno != 0 {
		panic(errno)
	}
}
