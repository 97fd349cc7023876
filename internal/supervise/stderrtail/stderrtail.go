//go:build linux

// Package stderrtail passes a program's standard error on and keeps its end, in which
// the Go runtime reports why a program died.
package stderrtail

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/crashtext"
)

const (
	// piece is how many bytes are read at once.
	piece = 32 << 10

	// maxHead bounds the beginning of a report that is longer than the tail.
	maxHead = 16 << 10

	// maxSettled bounds what one call of Settle reads: processes that the program
	// started may write all the time. It is more than a pipe holds by default.
	maxSettled = 1 << 20
)

// A Tail is the pipe to which a program writes its standard error. One goroutine
// reads it and writes to the real one. If that blocks, the pipe becomes full, and
// the program blocks as it would alone. If its reader is gone, the pipe is closed,
// and the program gets SIGPIPE as it would alone.
type Tail struct {
	out  int // the real standard error
	size int // bytes to keep
	wake int // an eventfd
	done chan struct{}

	mu     sync.Mutex
	pipe   int    // our end, -1 if it is closed
	queue  []byte // read, and not written yet
	ending bool   // nothing more is to be read

	tail  []byte // the last bytes, at least size if there were as many
	total int64  // bytes read
	head  []byte // the beginning of the last report
	begin int64  // where that was, -1 if there was none
}

// Start makes the pipe and begins to pass on what the program writes to out, which
// is a descriptor. The caller closes the program's end when the program has it.
func Start(out, size int) (*Tail, *os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("standard error: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.SetNonblock(fds[0], true)
	}
	if err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, fmt.Errorf("standard error: %w", err)
	}
	t := &Tail{out: out, size: size, pipe: fds[0], wake: wake, done: make(chan struct{}), begin: -1}
	go t.pass()
	return t, os.NewFile(uintptr(fds[1]), "standard error"), nil
}

// pass passes everything on.
func (t *Tail) pass() {
	defer close(t.done)
	// A write to a pipe without a reader must not raise SIGPIPE in this process,
	// which passes signals on. The thread ends with this goroutine.
	runtime.LockOSThread()
	var set unix.Sigset_t
	set.Val[0] = 1 << (unix.SIGPIPE - 1)
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil) // with these arguments it cannot fail
	for {
		data, more := t.next()
		switch {
		case len(data) > 0:
			if errors.Is(writeAll(t.out, data), unix.EPIPE) {
				t.closePipe()
				return
			}
		case !more:
			return
		case t.wait():
			t.closePipe()
			return
		}
	}
}

// next returns bytes to write, if there are any. It reports whether more may come.
func (t *Tail) next() (data []byte, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	more = !t.ending
	if len(t.queue) == 0 && more {
		more = t.read()
	}
	data, t.queue = t.queue, nil
	return data, more
}

// read reads one piece, if there is one, and reports whether the pipe may have more
// now or later. The caller has the lock.
func (t *Tail) read() bool {
	if t.pipe < 0 {
		return false
	}
	buf := make([]byte, piece)
	n, err := unix.Read(t.pipe, buf)
	switch {
	case n > 0:
		t.queue = append(t.queue, buf[:n]...)
		t.keep(buf[:n])
		return true
	case err == nil: // no process has the other end
		return false
	}
	return err == unix.EAGAIN || err == unix.EINTR
}

// wait waits until the pipe has bytes or the state has changed. It reports whether
// the reader of the real standard error is gone.
func (t *Tail) wait() (gone bool) {
	t.mu.Lock()
	fds := []unix.PollFd{{Fd: int32(t.pipe), Events: unix.POLLIN}, {Fd: int32(t.wake), Events: unix.POLLIN}, {Fd: int32(t.out)}}
	t.mu.Unlock()
	if _, err := unix.Poll(fds, -1); err != nil {
		return false
	}
	if fds[1].Revents != 0 {
		_, _ = unix.Read(t.wake, make([]byte, 8)) // it only wakes
	}
	return fds[2].Revents&unix.POLLERR != 0
}

func (t *Tail) closePipe() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pipe >= 0 {
		unix.Close(t.pipe)
		t.pipe = -1
	}
}

// writeAll writes data. An error other than EPIPE loses it, as it would be lost by
// a program that ignores errors of its log.
func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		switch err {
		case nil:
			data = data[n:]
		case unix.EINTR:
		case unix.EAGAIN: // others have made it non-blocking
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1); err != nil && err != unix.EINTR {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// headlines begin the report of a dying program.
var headlines = [][]byte{[]byte("panic: "), []byte("fatal error: "), []byte("SIG")}

// keep adds bytes to the tail. The caller has the lock.
func (t *Tail) keep(data []byte) {
	// A line may have begun in an earlier piece.
	const longest = len("fatal error: ")
	before := t.tail[max(0, len(t.tail)-longest):]
	text := append(bytes.Clone(before), data...)
	start := t.total - int64(len(before))
	from := -1
	for i := range text {
		if i > 0 && text[i-1] != '\n' || i == 0 && start > 0 {
			continue
		}
		for _, h := range headlines {
			if bytes.HasPrefix(text[i:], h) && start+int64(i) > t.begin {
				from = i
			}
		}
	}
	t.tail = append(t.tail, data...)
	t.total += int64(len(data))
	switch {
	case from >= 0:
		t.begin, t.head = start+int64(from), bytes.Clone(text[from:min(len(text), from+maxHead)])
	case t.begin >= 0 && len(t.head) < maxHead:
		t.head = append(t.head, data[:min(len(data), maxHead-len(t.head))]...)
	}
	if len(t.tail) > 2*t.size+piece {
		t.tail = append([]byte(nil), t.tail[len(t.tail)-t.size:]...)
	}
}

// Settle reads what the program has written until now, without waiting for it to be
// passed on. Call it when the program is stopped or dead.
func (t *Tail) Settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for read := 0; read < maxSettled; {
		before := len(t.queue)
		if !t.read() || len(t.queue) == before {
			break
		}
		read += len(t.queue) - before
	}
	t.wakeUp()
}

func (t *Tail) wakeUp() {
	_, _ = unix.Write(t.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // it fails if it is awake
}

// Last returns the last bytes, and how many there were in all.
func (t *Tail) Last() (tail []byte, total int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.tail[max(0, len(t.tail)-t.size):]), t.total
}

// Report returns the report of the Go runtime with which the program ended, nil if
// its standard error does not end with one. A report that is longer than the tail is
// cut: it has its beginning.
func (t *Tail) Report() (text []byte, cut bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.begin < 0 || !crashtext.Ends(t.tail) {
		return nil, false
	}
	if first := t.total - int64(len(t.tail)); t.begin >= first {
		return bytes.Clone(t.tail[t.begin-first:]), false
	}
	return bytes.Clone(t.head), true
}

// Finish passes on what is left, for at most wait, and ends. It returns our end of
// the pipe if processes that the program started still have the other one: else nil.
func (t *Tail) Finish(wait time.Duration) *os.File {
	t.Settle()
	t.mu.Lock()
	t.ending = true
	t.wakeUp()
	t.mu.Unlock()
	select {
	case <-t.done:
	case <-time.After(wait): // nothing reads the real standard error
		return nil
	}
	unix.Close(t.wake)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pipe < 0 {
		return nil
	}
	fds := []unix.PollFd{{Fd: int32(t.pipe), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 0); err == nil && fds[0].Revents&unix.POLLIN == 0 && fds[0].Revents&unix.POLLHUP != 0 {
		unix.Close(t.pipe)
		t.pipe = -1
		return nil
	}
	_ = unix.SetNonblock(t.pipe, false)
	f := os.NewFile(uintptr(t.pipe), "standard error")
	t.pipe = -1
	return f
}
