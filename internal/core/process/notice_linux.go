package process

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ptrace events, in the second byte of a stop's status.
const (
	eventExit = unix.PTRACE_EVENT_EXIT
	eventStop = unix.PTRACE_EVENT_STOP
)

// A Notice is the kernel's report about a child or a traced thread: that it
// stopped or that it ended.
type Notice struct {
	PID int // 0 if there is nothing to report

	code   int32 // CLD_…
	status int32
}

// Codes of SIGCHLD's siginfo. Up to cldDumped they report an end.
const (
	cldDumped  = 3
	cldTrapped = 4
)

// Ended reports whether the thread is dead.
func (n Notice) Ended() bool { return n.PID != 0 && n.code <= cldDumped }

// Trapped reports whether the thread is in a ptrace stop, which its tracer
// ends, and not in a job-control stop, which its parent handles.
func (n Notice) Trapped() bool { return n.PID != 0 && n.code == cldTrapped }

// Signal returns the signal that a stop is for.
func (n Notice) Signal() unix.Signal { return unix.Signal(n.status & 0x7f) }

// Event returns the ptrace event that a stop is for, 0 if it is for a signal.
func (n Notice) Event() int { return int(n.status) >> 8 }

// Peek returns the kernel's notice of a thread without consuming it. With
// unix.WNOHANG it does not wait for one. Use it instead of wait4 for stops: the
// kernel clears the signal of a consumed stop, so if the tracer dies before it
// continues the thread, that signal is lost.
func Peek(tid, options int) (Notice, error) {
	// The head of siginfo_t as waitid fills it, on 64-bit machines.
	var info struct {
		signo, errno, code, _ int32
		pid                   int32
		uid                   uint32
		status                int32
		_                     [100]byte
	}
	for {
		err := unix.Waitid(unix.P_PID, tid, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT|unix.WALL|options, nil)
		if err != unix.EINTR {
			return Notice{int(info.pid), info.code, info.status}, err
		}
	}
}

// ExitMessage returns the exit status of a thread in its exit stop. 0 also
// means that the thread alone ends, because it exits or because another thread
// calls exec. Only its tracer may call ExitMessage.
func ExitMessage(tid int) (unix.WaitStatus, error) {
	var message uint64
	err := ptrace(unix.PTRACE_GETEVENTMSG, tid, uintptr(unsafe.Pointer(&message)))
	return unix.WaitStatus(message), err
}
