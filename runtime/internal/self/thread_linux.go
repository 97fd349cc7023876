//go:build linux && (amd64 || arm64)

package self

import (
	"syscall"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// thread returns the current thread with these registers.
func thread(registers []uint64) *elfcore.Thread {
	t := &elfcore.Thread{
		TID:       int32(syscall.Gettid()),
		PPID:      int32(syscall.Getppid()),
		PGRP:      int32(syscall.Getpgrp()),
		Registers: registers,
	}
	if sid, _, errno := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0); errno == 0 {
		t.SID = int32(sid)
	}
	return t
}
