package coreimage

import (
	"runtime"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

const (
	machine = elfcore.MachineARM64
)

// registers returns its caller's stack pointer, frame pointer and the address
// to which it returns there.
func registers() (pc, sp, fp uint64)

// callingThread returns the thread that asked for the core, as it stands in
// this function.
//
//go:noinline
func callingThread() *elfcore.Thread {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := make([]uint64, elfcore.RegistersARM64)
	r[elfcore.ARM64PC], r[elfcore.ARM64SP], r[elfcore.ARM64FP] = registers()
	return thread(r)
}
