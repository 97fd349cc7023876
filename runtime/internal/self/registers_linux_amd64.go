package self

import (
	"runtime"
	"syscall"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

const (
	// Machine is the e_machine of this system's ELF files.
	Machine = elfcore.MachineAMD64

	archGetFS = 0x1003
)

// registers returns its caller's stack pointer and frame pointer, and the
// address to which the caller returns.
func registers() (pc, sp, bp uint64)

// CallingThread returns the calling thread, with its registers in this function.
//
//go:noinline
func CallingThread() *elfcore.Thread {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := make([]uint64, elfcore.RegistersAMD64)
	r[elfcore.AMD64RIP], r[elfcore.AMD64RSP], r[elfcore.AMD64RBP] = registers()
	r[elfcore.AMD64CS], r[elfcore.AMD64SS] = 0x33, 0x2b // of every 64-bit process
	r[elfcore.AMD64EFLAGS] = 0x202
	r[elfcore.AMD64OrigRAX] = ^uint64(0) // in no system call
	// If the kernel refuses this call, debuggers find no thread-local storage.
	_, _, _ = syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archGetFS, uintptr(unsafe.Pointer(&r[elfcore.AMD64FSBase])), 0)
	return thread(r)
}
