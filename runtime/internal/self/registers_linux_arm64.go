package self

import (
	"runtime"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

const (
	// Machine is the e_machine of this system's ELF files.
	Machine = elfcore.MachineARM64
)

// registers returns its caller's stack pointer and frame pointer, and the
// address to which the caller returns.
func registers() (pc, sp, fp uint64)

// CallingThread returns the calling thread, with its registers in this function.
//
//go:noinline
func CallingThread() *elfcore.Thread {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := make([]uint64, elfcore.RegistersARM64)
	r[elfcore.ARM64PC], r[elfcore.ARM64SP], r[elfcore.ARM64FP] = registers()
	return thread(r)
}
