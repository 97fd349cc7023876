package process

import (
	"encoding/binary"
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

// A registerRoom is where register sets are stored. It allocates them many at a time:
// a process may have thousands of threads, and is stopped.
type registerRoom struct{ free []byte }

// read reads one register set of a stopped thread.
func (r *registerRoom) read(tid, set int) ([]byte, error) {
	if len(r.free) < maxRegSet {
		r.free = make([]byte, 4*maxRegSet)
	}
	n, err := getRegSet(tid, set, r.free[:maxRegSet])
	return r.take(n), err
}

func (r *registerRoom) take(n int) []byte {
	if n == 0 {
		return nil
	}
	taken := r.free[:n:n]
	r.free = r.free[n:]
	return taken
}

// floatSize is the size of the registers of the x87 and SSE units, with which the
// extended state begins. From floatUnused on, one has the format of the rest and the
// other zeros (copy_xstate_to_uabi_buf of the kernel's arch/x86/kernel/fpu/xstate.c).
const floatSize, floatUnused = 512, 416

// floatOf returns what the kernel would report as NT_FPREGSET for a thread with this
// extended state.
func (r *registerRoom) floatOf(state []byte) []byte {
	if len(r.free) < floatSize {
		r.free = make([]byte, 4*maxRegSet)
	}
	float := r.take(floatSize)
	clear(float[copy(float, state[:floatUnused]):])
	return float
}

// getRegSet reads one register set of a stopped thread into b, and returns its size.
func getRegSet(tid, set int, b []byte) (int, error) {
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(tid),
		uintptr(set), uintptr(unsafe.Pointer(&iov)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(iov.Len), nil
}

// threadPointer returns the thread pointer of a stopped thread of this host, 0
// if unknown.
func threadPointer(th *Thread) uint64 {
	if HostMachine() != elfcore.MachineARM64 {
		return th.word(th.set().TLS)
	}
	var tls [16]byte
	if n, err := getRegSet(th.ID, ntARMTLS, tls[:]); err != nil || n < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(tls[:])
}
