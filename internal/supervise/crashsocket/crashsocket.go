//go:build linux

// Package crashsocket holds a dying Go program still for as long as its memory
// is being read, without any privilege.
//
// The Go runtime copies a fatal report to the descriptor that was given to
// debug.SetCrashOutput, in many small writes, with the world already stopped.
// Here that descriptor is one end of a stream socket pair whose send buffer is
// full but for one message: the report's first write fits and wakes us, a later
// one blocks, and the program stands there, alive and readable, until we read.
//
// So the holder looks and never reads before its capture is done, and it keeps
// a deadline of its own, after which it closes the socket and the program
// ends as it would have. A send timeout on the program's side is no backstop:
// the runtime retries.
package crashsocket

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An Event is what Wait reports.
type Event int

const (
	// Crash: the program has begun its fatal report and is held.
	Crash Event = iota + 1
	// Closed: no process has the program's end open any more. That is not
	// death: a program that calls SetCrashOutput itself closes it too.
	Closed
)

// A Socket is the holder's end. Its methods may be called from one goroutine at
// a time, Close from any.
type Socket struct {
	file   *os.File // non-blocking, so that Wait sleeps in the runtime's poller
	conn   syscall.RawConn
	filled int // our own bytes still in the queue, ahead of the report
	inode  uint64
}

// maxFill bounds the sends that fill a socket. Linux rounds the buffer up to
// 4.6 KB, which takes six; a kernel with a floor of its own takes more.
const maxFill = 1 << 16

// New makes a pair. The program's end is for the child, which must find it under
// the descriptor that the environment names; the caller closes its own copy as
// soon as the child runs, or Closed will never be seen.
func New() (s *Socket, program *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making the crash socket: %w", err)
	}
	s, err = fill(fds[0], fds[1])
	if err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, err
	}
	return s, os.NewFile(uintptr(fds[1]), "crash socket of the program"), nil
}

// fill sends single bytes into the program's end until it would block, then
// takes one back, which frees the room of one write, whatever its length.
func fill(holder, program int) (*Socket, error) {
	if err := unix.SetsockoptInt(program, unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil {
		return nil, fmt.Errorf("shrinking the crash socket's buffer: %w", err)
	}
	filled := 0
	for {
		err := unix.Sendto(program, []byte{0}, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("filling the crash socket: %w", err)
		}
		if filled++; filled == maxFill {
			return nil, fmt.Errorf("filling the crash socket: it took %d messages and is not full; it cannot hold a program", filled)
		}
	}
	if filled < 2 {
		return nil, fmt.Errorf("filling the crash socket: full after %d messages, so no write of the program could wake us", filled)
	}
	var b [1]byte
	if n, err := unix.Read(holder, b[:]); n != 1 {
		return nil, fmt.Errorf("freeing a slot of the crash socket: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(program, &st); err != nil {
		return nil, fmt.Errorf("crash socket: %w", err)
	}
	return Adopt(holder, filled-1, st.Ino)
}

// Adopt makes a Socket of a holder's end of which the program's, with that inode,
// was filled with that many bytes. It owns the descriptor from then on.
func Adopt(fd, filled int, inode uint64) (*Socket, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("crash socket: %w", err)
	}
	unix.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "crash socket")
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("crash socket: %w", err)
	}
	return &Socket{file: file, conn: conn, filled: filled, inode: inode}, nil
}

// Inode returns the inode of the program's end.
func (s *Socket) Inode() uint64 { return s.inode }

// Wait waits for the first event, without reading. It returns an error when the
// socket was closed by Close.
//
// The queue is never empty, since our own bytes stand in it, so readiness says
// nothing and only its edges do; the runtime's poller watches edges.
func (s *Socket) Wait() (Event, error) {
	var event Event
	err := s.conn.Read(func(fd uintptr) bool {
		event = s.look(int(fd))
		return event != 0
	})
	if err != nil {
		return 0, fmt.Errorf("watching the crash socket: %w", err)
	}
	return event, nil
}

// look reports what stands in the queue now.
func (s *Socket) look(fd int) Event {
	if n, err := unix.IoctlGetInt(fd, unix.SIOCINQ); err == nil && n > s.filled {
		return Crash
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	if n, err := unix.Poll(poll, 0); n == 1 && err == nil && poll[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0 {
		// Both may have come between the two looks: the report counts more.
		if n, err := unix.IoctlGetInt(fd, unix.SIOCINQ); err == nil && n > s.filled {
			return Crash
		}
		return Closed
	}
	return 0
}

// Pending tells whether a report has begun, now.
func (s *Socket) Pending() bool {
	pending := false
	s.conn.Control(func(fd uintptr) { pending = s.look(int(fd)) == Crash })
	return pending
}

// ErrTimeout says that the program did not finish its report in the time given.
var ErrTimeout = errors.New("the program did not finish its report in time")

// Release lets the program go: it reads to the end of the report, hands the
// first limit bytes of it out, and tells how long it was in all. The rest is
// read too, since a report that nobody reads would hold the program again. It
// returns ErrTimeout when the end has not come by the deadline, whatever was
// read being valid.
func (s *Socket) Release(limit int, deadline time.Time) (text []byte, total int64, err error) {
	s.file.SetReadDeadline(deadline)
	defer s.file.SetReadDeadline(time.Time{})
	buf := make([]byte, 16<<10)
	for {
		n, err := s.file.Read(buf)
		got := buf[:n]
		if skip := min(s.filled, len(got)); skip > 0 {
			s.filled -= skip
			got = got[skip:]
		}
		total += int64(len(got))
		if room := limit - len(text); room > 0 {
			text = append(text, got[:min(room, len(got))]...)
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return text, total, ErrTimeout
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
			return text, total, nil
		default:
			return text, total, fmt.Errorf("reading the crash report: %w", err)
		}
	}
}

// Answer tells a program that waits in meminspect.Snapshot whether its capture
// was taken.
func (s *Socket) Answer(taken bool) error {
	b := []byte{0}
	if taken {
		b[0] = 1
	}
	var err error
	cerr := s.conn.Control(func(fd uintptr) {
		err = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	})
	return errors.Join(cerr, err)
}

// Close closes the holder's end. A program that is held in its report, or that
// crashes later, no longer blocks.
func (s *Socket) Close() error { return s.file.Close() }
