// Package witness distinguishes a signal to a process group from one to a
// single process.
//
// A supervisor that shares the process group of its program must not forward a
// signal that the program received too: a server that ends at once on its
// second SIGTERM would see two. The kernel does not report the target of a
// signal. So a second process, the witness, is in the group. It starts with all
// signals blocked, so that the kernel keeps what it receives, from its first
// instruction on. Go's runtime unblocks those that end a process: one of them
// ends the witness, which is detected too, and another one is started. A signal
// that the witness also received was sent to the group.
package witness

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/reap"
)

// A Witness is that process. One goroutine may use it at a time.
type Witness struct {
	command []string
	cmd     *exec.Cmd
	ask     *os.File
	tell    *os.File
}

// Start starts the witness. The command calls [Run] with its standard input and
// output, before it or Go's package signal unblocks a signal.
func Start(command []string) (*Witness, error) {
	w := &Witness{command: command, cmd: exec.Command(command[0], command[1:]...)}
	w.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	in, ask, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the witness of signals: %w", err)
	}
	defer in.Close()
	tell, out, err := os.Pipe()
	if err != nil {
		ask.Close()
		return nil, fmt.Errorf("start the witness of signals: %w", err)
	}
	defer out.Close()
	w.cmd.Stdin, w.cmd.Stdout = in, out
	w.ask, w.tell = ask, tell
	if err := withSignalsBlocked(func() error { return reap.Start(w.cmd) }); err != nil {
		ask.Close()
		tell.Close()
		return nil, fmt.Errorf("start the witness of signals: %w", err)
	}
	return w, nil
}

// withSignalsBlocked calls f with all signals blocked on its thread. A process
// that f starts inherits that.
func withSignalsBlocked(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) //nolint:errcheck // it was valid
	return f()
}

const (
	// delay is how much later than this process the witness may receive a signal:
	// the kernel sends a signal to all processes of a group within one call.
	delay = 5 * time.Millisecond
	// maxWait bounds the wait for a stopped witness.
	maxWait = 2 * time.Second
)

// Saw reports whether the witness received a signal, which this process has
// just received, since the last call for that signal. If the witness does not
// answer because it is stopped, Saw assumes that it received the signals of a
// terminal.
func (w *Witness) Saw(sig unix.Signal) bool {
	time.Sleep(delay)
	saw, err := w.answer(sig)
	if err == nil && !saw {
		// A thread of the witness may be about to end it.
		time.Sleep(delay)
		saw, err = w.answer(sig)
	}
	switch {
	case err == nil:
		return saw
	case errors.Is(err, os.ErrDeadlineExceeded):
		return sig == unix.SIGINT || sig == unix.SIGQUIT || sig == unix.SIGTSTP || sig == unix.SIGWINCH
	}
	w.wait() // its end of the pipes is closed: it has ended
	status, known := w.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if another, err := Start(w.command); err == nil {
		*w = *another
	}
	const quit = 2 // the status of a Go program that SIGQUIT ends
	return known && (status.Signaled() && status.Signal() == sig || sig == unix.SIGQUIT && status.ExitStatus() == quit)
}

func (w *Witness) answer(sig unix.Signal) (saw bool, err error) {
	if err := w.tell.SetReadDeadline(time.Now().Add(maxWait)); err != nil {
		return false, err
	}
	if _, err := w.ask.Write([]byte{byte(sig)}); err != nil {
		return false, err
	}
	b := []byte{0}
	_, err = w.tell.Read(b)
	return b[0] != 0, err
}

// Close ends the witness, even if it is stopped.
func (w *Witness) Close() {
	_ = w.cmd.Process.Kill() // it may have ended
	w.wait()
}

// wait waits for the end of the witness.
func (w *Witness) wait() {
	w.ask.Close()
	reap.Wait(w.cmd) //nolint:errcheck // it has nothing to report
	w.tell.Close()
}

// Run is the witness process: for each signal number in in, it writes whether
// it has received the signal since the last request. It returns when in ends.
func Run(in io.Reader, out io.Writer) {
	b := []byte{0}
	for {
		if _, err := in.Read(b); err != nil {
			return // the supervisor has ended
		}
		if received(unix.Signal(b[0])) {
			b[0] = 1
		} else {
			b[0] = 0
		}
		if _, err := out.Write(b); err != nil {
			return
		}
	}
}

// received reports whether a blocked signal is pending, and takes it.
func received(sig unix.Signal) bool {
	set := uint64(1) << (uint(sig) - 1)
	var now unix.Timespec
	got, _, errno := unix.Syscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(&now)), unsafe.Sizeof(set), 0, 0)
	return errno == 0 && unix.Signal(got) == sig
}
