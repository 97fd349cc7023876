//go:build linux

package supervise

import (
	"os"
	"os/signal"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/reap"
	"github.com/meminspect/meminspect/internal/supervise/trigger"
)

// signals are those that we were sent.
type signals struct{ ch chan os.Signal }

// listen takes every signal that can be taken, from before the program starts:
// none must end this process, and none may be lost. A signal that is ignored, as
// nohup does it, stays so, also in the program.
func listen() signals {
	s := signals{make(chan os.Signal, 64)}
	for sig := syscall.Signal(1); sig <= maxSignal; sig++ {
		if !signal.Ignored(sig) {
			signal.Notify(s.ch, sig)
		}
	}
	return s
}

// maxSignal is the last real-time signal.
const maxSignal = 64

func (s signals) stop() { signal.Stop(s.ch) }

// forward gives the program the signals that were meant for it.
func (s *Supervisor) forward(from signals) {
	// One that comes while another waits to be served is the same wish, as the
	// kernel has it with signals.
	wished := make(chan struct{}, 1)
	go s.wishes(wished)
	for {
		select {
		case sig := <-from.ch:
			if sig == s.config.Signal && s.config.Signal != 0 {
				select {
				case wished <- struct{}{}:
				default:
				}
				continue
			}
			s.signal(sig.(syscall.Signal))
		case done := <-s.stops:
			s.drain(from)
			stopSelf()
			close(done)
		case <-s.gone:
			if s.witness != nil {
				s.witness.Close()
			}
			s.interruptAt(from)
			return
		}
	}
}

// interruptAt handles signals after the program's death. Those that came with it
// were for the program.
func (s *Supervisor) interruptAt(from signals) {
	from.drain(func(os.Signal) {})
	for sig := range from.ch {
		switch sig {
		case unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT:
			if s.config.Interrupt != nil {
				s.config.Interrupt()
			}
		}
	}
}

// wishes has the program captured for signals that mean that.
func (s *Supervisor) wishes(wished <-chan struct{}) {
	for {
		select {
		case <-wished:
			s.ask(trigger.Request{})
		case <-s.gone:
			return
		}
	}
}

func (s *Supervisor) signal(sig syscall.Signal) {
	switch sig {
	case unix.SIGCHLD:
		if reap.Needed() {
			reap.Orphans(s.child.PID)
		}
	case unix.SIGURG, unix.SIGPIPE, unix.SIGTTOU, unix.SIGTTIN:
		// Ours: our own runtime, our own output.
	default:
		if s.witness == nil || !s.witness.Saw(sig) {
			s.child.Signal(sig)
		}
	}
}

// drain handles the signals that have come before a stop: when this process is
// continued, the witness has forgotten them.
func (s *Supervisor) drain(from signals) {
	from.drain(func(sig os.Signal) { s.signal(sig.(syscall.Signal)) })
}

func (from signals) drain(handle func(os.Signal)) {
	for {
		select {
		case sig := <-from.ch:
			handle(sig)
		case <-time.After(20 * time.Millisecond):
			return
		}
	}
}

// stopToo stops this process like the program, so that the shell sees its job
// stopped.
func (s *Supervisor) stopToo(unix.Signal) {
	if s.stops == nil {
		return
	}
	done := make(chan struct{})
	select {
	case s.stops <- done:
		<-done
	case <-s.gone:
	}
}

// stopSelf stops this process. Process 1 is no shell's job and runs on.
func stopSelf() {
	if unix.Getpid() != 1 {
		unix.Kill(unix.Getpid(), unix.SIGSTOP)
	}
}

// ExitAs ends this process as the program ended, by the same signal if one did
// it. It does not return.
func ExitAs(status unix.WaitStatus) {
	if !status.Signaled() {
		os.Exit(status.ExitStatus())
	}
	sig := status.Signal()
	// Only the program leaves a core. To lower a limit cannot fail.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	// The Go runtime would print this process' stacks for some signals. The system
	// call restores the kernel's default action without the runtime's knowledge.
	var act [4]uint64
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0)
	unix.Kill(unix.Getpid(), sig)
	// Process 1 cannot kill itself by a signal. It exits with the status that a
	// shell would return.
	time.Sleep(100 * time.Millisecond)
	os.Exit(128 + int(sig))
}
