package process

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Register sets, which the kernel names by the types of core notes.
const (
	ntPRSTATUS  = int(elfcore.NTPrStatus)
	ntFPREGSET  = int(elfcore.NTFPRegSet)
	ntX86XSTATE = int(elfcore.NTX86State)
	ntARMTLS    = int(elfcore.NTARMTLS)
)

// ptrace makes a request that ignores its address argument.
func ptrace(request, tid int, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), 0, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// maxRegSet is larger than any register set, the extended state included.
const maxRegSet = 64 << 10

// getRegSet reads one register set of a stopped thread, using scratch.
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

// threadPointer returns the thread pointer of a stopped thread of this host, 0
// if unknown.
func threadPointer(th *Thread) uint64 {
	if HostMachine() != elfcore.MachineARM64 {
		return th.word(th.set().TLS)
	}
	tls, err := getRegSet(th.ID, ntARMTLS, make([]byte, 16))
	if err != nil || len(tls) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(tls)
}
