package process

import (
	"fmt"
	"time"
)

// A StopOptions says how to hold a process still.
type StopOptions struct {
	// Wait is how long a thread may take to stop; one that sleeps in the kernel
	// where no signal wakes it does not. Threads that did not stop by then are
	// left out and reported. 0 means one second.
	Wait time.Duration

	// Held are threads that the tracer has seized and stopped already. They are
	// left stopped, their owner lets them go.
	Held []int

	// Seized are threads that the tracer has seized and that run. They are
	// stopped, and let go without being detached. Their owner must expect one
	// more PTRACE_EVENT_STOP of them, and finds in Exiting those that reached
	// their end meanwhile.
	Seized []int

	// Registers is what to fetch beside the general registers.
	FloatingPoint, Extended bool
}

// A Thread is one that is stopped.
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

	held, seized bool
	group        bool // stopped with its process, by SIGSTOP and its like
}

// A Missed is a thread that could not be stopped.
type Missed struct {
	ID  int
	Why string
}

// A Stopped is a process of which all threads are stopped, but for the missed
// ones. It must be resumed.
type Stopped struct {
	Threads []Thread
	Missed  []Missed
	Since   time.Time

	tracer    *Tracer
	late      []Thread // seized by us, and not let go yet; used by the tracer
	gone      bool
	finishing bool
}

// Exiting returns the threads that were seized before and that stopped at their
// end (PTRACE_EVENT_EXIT) instead of for us. They stay stopped: the owner's
// wait will not tell of it again.
func (s *Stopped) Exiting() []int {
	var ids []int
	for i := range s.Threads {
		if th := &s.Threads[i]; th.seized && th.Event == eventExit {
			ids = append(ids, th.ID)
		}
	}
	return ids
}

const (
	eventExit = 6   // PTRACE_EVENT_EXIT
	eventStop = 128 // PTRACE_EVENT_STOP
)

func (m Missed) String() string { return fmt.Sprintf("thread %d: %s", m.ID, m.Why) }
