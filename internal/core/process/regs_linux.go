package process

import (
	"bytes"
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
type registerRoom struct {
	free []byte

	// same has, by the components that are in use, whether the kernel reports the same
	// registers in NT_X86_XSTATE and in NT_FPREGSET.
	same map[byte]bool
}

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

// The extended state begins with the registers of the x87 and SSE units. From floatUnused
// on, NT_X86_XSTATE has the format of the rest and NT_FPREGSET zeros (copy_xstate_to_uabi_buf
// of the kernel's arch/x86/kernel/fpu/xstate.c). The header after them begins with the
// components that are in use.
const floatSize, floatUnused, stateHeader = 512, 416, 64

// float returns NT_FPREGSET of a stopped thread with this extended state. It asks the kernel
// for one thread of each set of components only: before Linux 5.8, it did not write those of
// NT_X86_XSTATE that are not in use.
func (r *registerRoom) float(tid int, state []byte) ([]byte, error) {
	if len(state) < floatSize+stateHeader {
		return r.read(tid, ntFPREGSET)
	}
	const floating = 0b111 // the components x87, SSE, AVX
	used := state[floatSize] & floating
	same, known := r.same[used]
	if known && !same {
		return r.read(tid, ntFPREGSET)
	}
	if len(r.free) < floatSize {
		r.free = make([]byte, 4*maxRegSet)
	}
	float := r.take(floatSize)
	clear(float[copy(float, state[:floatUnused]):])
	if known {
		return float, nil
	}
	kernels, err := r.read(tid, ntFPREGSET)
	if r.same == nil {
		r.same = map[byte]bool{}
	}
	r.same[used] = err == nil && bytes.Equal(float, kernels)
	return kernels, err
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
