package process

import (
	"errors"
	"fmt"
	"time"
)

// A StopOptions selects how to stop a process.
type StopOptions struct {
	// Wait is how long stopping may take; 0 means one second. Threads that did
	// not stop by then, because they sleep in the kernel where no signal wakes
	// them, are listed in Missed.
	Wait time.Duration

	// Main is the tracer that has seized the main thread already, nil if there is
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
	Machine uint16 // the ELF machine that its registers are of; 0 is this host's

	General []byte // the kernel's elf_gregset_t: NT_PRSTATUS's
	Float   []byte // NT_FPREGSET's, nil if not fetched
	XState  []byte // NT_X86_XSTATE's, nil if not fetched or not this machine's

	// TLS is the thread pointer.
	TLS uint64

	Signal int // a signal that it was about to take, 0 for none
	Event  int // the ptrace event that it stopped for, PTRACE_EVENT_STOP mostly

	group bool // stopped with its process, by SIGSTOP and its like
}

// A Missed is a thread that could not be stopped.
type Missed struct {
	ID  int
	Why string
}

func (m Missed) String() string { return fmt.Sprintf("thread %d: %s", m.ID, m.Why) }

// ErrReplaced is returned when the process called exec while it was stopped or
// read: the program that was asked for does not exist any longer.
var ErrReplaced = errors.New("the process replaced its program (exec) during the capture: try again")
