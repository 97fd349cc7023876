package process

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Register sets, which the kernel names by the types of core notes.
const (
	ntPRSTATUS  = 1
	ntFPREGSET  = 2
	ntX86XSTATE = 0x202
	ntARMTLS    = 0x401
)

func ptrace(request, tid int, addr, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// getRegSet reads one register set of a stopped thread, of at most size bytes.
func getRegSet(tid, set, size int) ([]byte, error) {
	buf := make([]byte, size)
	iov := unix.Iovec{Base: &buf[0]}
	iov.SetLen(size)
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(tid),
		uintptr(set), uintptr(unsafe.Pointer(&iov)), 0, 0)
	if errno != 0 {
		return nil, errno
	}
	return buf[:iov.Len:iov.Len], nil
}
