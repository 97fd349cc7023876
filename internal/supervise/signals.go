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

// signals are the received signals.
type signals struct{ ch chan os.Signal }

// listen catches every signal that can be caught, from before the program
// starts: none must end this process, and none may be lost. A signal that is
// ignored, as by nohup, stays ignored, also in the program.
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

// forward sends the program the signals that were meant for it.
func (s *Supervisor) forward(from signals) {
	// A request that arrives while another waits is the same request, as the
	// kernel treats signals.
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

// interruptAt handles signals after the program's death. Those that came with
// it were for the program.
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

// wishes captures the program for signals that request it.
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
		// Ours: from our own runtime or output.
	default:
		if s.witness == nil || !s.witness.Saw(sig) {
			s.child.Signal(sig)
		}
	}
}

// drain handles the signals that came before a stop: when this process
// continues, the witness has forgotten them.
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

// stopSelf stops this process. Process 1 is not a shell's job and continues.
func stopSelf() {
	if unix.Getpid() != 1 {
		unix.Kill(unix.Getpid(), unix.SIGSTOP)
	}
}

// ExitAs ends this process like the program, by the same signal if one ended
// it. It does not return.
func ExitAs(status unix.WaitStatus) {
	if !status.Signaled() {
		os.Exit(status.ExitStatus())
	}
	sig := status.Signal()
	// Only the program leaves a core. Lowering a limit cannot fail.
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
