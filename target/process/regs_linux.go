package process

import (
	"slices"
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

// mostRegSet is more than any register set takes, the extended state included.
const mostRegSet = 64 << 10

// getRegSet reads one register set of a stopped thread, by way of scratch.
func getRegSet(tid, set int, scratch []byte) ([]byte, error) {
	iov := unix.Iovec{Base: &scratch[0]}
	iov.SetLen(len(scratch))
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(tid),
		uintptr(set), uintptr(unsafe.Pointer(&iov)), 0, 0)
	if errno != 0 {
		return nil, errno
	}
	return slices.Clone(scratch[:iov.Len]), nil
}
