package child

import (
	"syscall"
	"unsafe"
)

// request makes a ptrace call whose last argument is a number. It must run on
// the tracer's thread.
func request(what, tid int, data uintptr) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, uintptr(what), uintptr(tid), 0, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// requestAt makes one whose last argument is an address that the kernel writes
// to.
func requestAt[T any](what, tid int, data *T) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, uintptr(what), uintptr(tid), 0, uintptr(unsafe.Pointer(data)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
