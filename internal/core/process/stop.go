package process

import (
	"errors"
	"fmt"
	"time"
)

// StopOptions selects how to stop a process.
type StopOptions struct {
	// Wait is the time limit for stopping; 0 means one second. Threads that have
	// not stopped by then, because they are in an uninterruptible sleep, are
	// listed in Missed.
	Wait time.Duration

	// Main is the tracer that has already seized the main thread, nil if there is
	// none. Stop interrupts and continues that thread, and never detaches it.
	Main *Tracer

	// MainHeld reports that Main holds the main thread in its exit stop. Stop
	// reads its registers and leaves it there.
	MainHeld bool

	// FloatingPoint and Extended are the register sets to read in addition to the
	// general registers.
	FloatingPoint, Extended bool
}

// A Thread is a stopped thread.
type Thread struct {
	ID      int
	Machine uint16 // the ELF machine of its registers; 0 is this host's

	General []byte // the kernel's elf_gregset_t, as in NT_PRSTATUS
	Float   []byte // as in NT_FPREGSET, nil if not fetched
	XState  []byte // as in NT_X86_XSTATE, nil if not fetched or not on this machine

	// TLS is the thread pointer.
	TLS uint64

	Signal int // a pending signal, 0 for none
	Event  int // the ptrace event of its stop, usually PTRACE_EVENT_STOP

	group bool // stopped with its process, by SIGSTOP or similar

	// A thread that was not stopped has only its place, and its system call.
	placed bool
	call   SystemCall
}

// A Missed is a thread that could not be stopped.
type Missed struct {
	ID  int
	Why string
}

func (m Missed) String() string { return fmt.Sprintf("thread %d: %s", m.ID, m.Why) }

// ErrReplaced is returned if the process called exec while it was stopped or
// read: the requested program no longer exists.
var ErrReplaced = errors.New("the process replaced its program (exec) during the capture: try again")
