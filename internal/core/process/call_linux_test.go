package process

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A call is tried in a child, which may be killed: by SIGSYS, also by the one that Go's runtime
// would handle.
func TestCalls(t *testing.T) {
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	defer signal.Stop(children)
	for _, c := range []struct {
		call   Call
		action uint32
		want   error
	}{
		{Ptrace, unix.SECCOMP_RET_ALLOW, nil},
		{Ptrace, unix.SECCOMP_RET_KILL_PROCESS, &KilledError{Ptrace}},
		{Ptrace, unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), unix.EPERM},
		{ReadMemory, unix.SECCOMP_RET_ALLOW, nil},
		{ReadMemory, unix.SECCOMP_RET_KILL_THREAD, &KilledError{ReadMemory}},
		{ReadMemory, unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS), unix.ENOSYS},
		{CompareFiles, unix.SECCOMP_RET_ALLOW, nil},
		{CompareFiles, unix.SECCOMP_RET_TRAP, &KilledError{CompareFiles}},
		{OpenPidfd, unix.SECCOMP_RET_ALLOW, nil},
		{OpenPidfd, unix.SECCOMP_RET_KILL_PROCESS, &KilledError{OpenPidfd}},
	} {
		var got, set error
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // never unlocked: the thread ends with its filter
			if set = filter(probes[c.call].number, c.action); set == nil {
				got = c.call.try()
			}
		}()
		<-done
		if set != nil {
			t.Skip("no filter can be set here: ", set)
		}
		var killed, want *KilledError
		errors.As(got, &killed)
		errors.As(c.want, &want)
		if (want == nil) != (killed == nil) || want != nil && *killed != *want || want == nil && !errors.Is(got, c.want) {
			t.Errorf("%v under action %#x: %v, want %v", c.call, c.action, got, c.want)
		}
		if want != nil && !errors.Is(got, unix.EPERM) {
			t.Errorf("%v is not EPERM", got)
		}
	}
	select {
	case <-children:
		t.Error("a child that was tried with sent SIGCHLD")
	default:
	}
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG|unix.WALL, nil); err != unix.ECHILD {
		t.Errorf("a child is left: %d, %v", pid, err)
	}
}

// filter sets a filter for the calling thread alone.
func filter(call uintptr, action uint32) error {
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(call), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: action},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

func BenchmarkCall(b *testing.B) {
	for b.Loop() {
		if err := Ptrace.try(); err != nil {
			b.Fatal(err)
		}
	}
}
