package process

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Unwrap returns EPERM, which is what other filters answer.
func (e *KilledError) Unwrap() error { return unix.EPERM }

// Killed returns a [KilledError] if the filter of this process kills it for the call, nil if
// the call may be tried.
func (c Call) Killed() error {
	var killed *KilledError
	if err := c.Filtered(); errors.As(err, &killed) {
		return killed
	}
	return nil
}

// Filtered returns what a seccomp filter of this process answers to the call: a
// [KilledError], an error number, or nil if it lets the call through or if there is no
// filter. The call is tried once, in a child. A filter that is set after that is not noticed.
func (c Call) Filtered() error { return answers[c]() }

var answers = func() (all [len(callNames)]func() error) {
	for c := range all {
		all[c] = sync.OnceValue(func() error {
			if !hasFilter() {
				return nil
			}
			return Call(c).try()
		})
	}
	return all
}()

// probes make each call so that it has no effect: there is no process 0, and no
// process -1.
var probes = [...]struct{ number, first, second uintptr }{
	Ptrace:       {unix.SYS_PTRACE, unix.PTRACE_SEIZE, 0},
	ReadMemory:   {unix.SYS_PROCESS_VM_READV, 0, 0},
	CompareFiles: {unix.SYS_KCMP, 0, 0},
	OpenPidfd:    {unix.SYS_PIDFD_OPEN, ^uintptr(0), 0},
}

// try makes the call in a child and returns what a filter of this thread answers.
func (c Call) try() error {
	probe := probes[c]
	status, err := inChild(probe.number, probe.first, probe.second)
	switch {
	case err != nil:
		return nil //nolint:nilerr // nothing is known, as without this function
	case status.Signaled():
		return &KilledError{c}
	}
	switch errno := unix.Errno(status.ExitStatus()); errno {
	case unix.EPERM, unix.EACCES, unix.ENOSYS:
		return errno
	}
	return nil // it was made, and failed for its arguments
}

func hasFilter() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err == nil && bytes.Contains(status, []byte("\nSeccomp:\t2\n"))
}

// inChild makes a system call in a child and returns its status. If the call returns, the exit
// status is its error number.
func inChild(number, first, second uintptr) (unix.WaitStatus, error) {
	// The child has this thread only. All signals are blocked on it, so that it runs no
	// handler of Go's runtime, and a filter that sends SIGSYS ends it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, err
	}
	pid, errno := forkCall(number, first, second)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) // it was valid
	if errno != 0 {
		return 0, errno
	}
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(int(pid), &status, unix.WALL, nil)
		if err != unix.EINTR {
			return status, err
		}
	}
}

// forkCall makes a child that makes a system call and ends. The child is a copy of this process
// in which Go's scheduler does not run, so it makes raw system calls only, on the
// stack that there is.
//
// It ends without a signal: no handler of SIGCHLD is called, and no code that waits for any
// child takes it. It leaves no core if it is killed.
//
//go:nosplit
//go:norace
func forkCall(number, first, second uintptr) (pid uintptr, errno syscall.Errno) {
	pid, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, 0, 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0, 0, 0, 0)
	_, _, errno = syscall.RawSyscall6(number, first, second, 0, 0, 0, 0)
	for {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_EXIT_GROUP, uintptr(errno), 0, 0, 0, 0, 0)
	}
}
