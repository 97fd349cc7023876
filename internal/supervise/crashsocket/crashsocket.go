//go:build linux

// Package crashsocket stops a dying Go program while its memory is being read,
// without any privilege.
//
// The Go runtime copies a fatal report to the descriptor that was given to
// debug.SetCrashOutput, in many small writes, with the world already stopped.
// Here that descriptor is one end of a stream socket pair whose send buffer has
// room for only one message: the report's first write fits and wakes the
// supervisor, a later one blocks, and the program waits, alive and readable,
// until the supervisor reads.
//
// Each program makes its own pair when it starts, and sends the other end over
// a [Channel] that it inherited. The kernel identifies the sender.
//
// So the supervisor must not read before its capture is done. At its own
// deadline it closes the socket, and the program ends as it would have. A send
// timeout on the program's side does not help: the runtime retries.
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
	// Crash: the program has begun its fatal report and is stopped.
	Crash Event = iota + 1
	// Closed: all processes have closed the program's end. The program may be
	// alive: a program that calls SetCrashOutput itself closes it too.
	Closed
)

// A Socket is the supervisor's end. Its methods may be called from one
// goroutine at a time, Close from any.
type Socket struct {
	file   *os.File // non-blocking, so that Wait sleeps in the runtime's poller
	conn   syscall.RawConn
	filled int // the program's fill bytes still in the queue, before the report
	inode  uint64
}

// adopt makes a Socket of the supervisor's end of a pair. The program's end has
// that inode and was filled with that many bytes. adopt owns the descriptor,
// even if it fails.
func adopt(fd, filled int, inode uint64) (*Socket, error) {
	file, conn, err := pollable(fd, "crash socket")
	if err != nil {
		return nil, err
	}
	return &Socket{file: file, conn: conn, filled: filled, inode: inode}, nil
}

// pollable makes a file of a descriptor, which it owns, for use with the
// runtime's poller.
func pollable(fd int, name string) (*os.File, syscall.RawConn, error) {
	unix.CloseOnExec(fd)
	err := unix.SetNonblock(fd, true)
	file := os.NewFile(uintptr(fd), name)
	var conn syscall.RawConn
	if err == nil {
		conn, err = file.SyscallConn()
	}
	if err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return file, conn, nil
}

// Inode returns the inode of the program's end.
func (s *Socket) Inode() uint64 { return s.inode }

// Wait waits for the first event, without reading. It returns an error if Close
// closed the socket.
//
// The queue is never empty, because it contains the fill bytes, so only changes
// of readiness are meaningful; the runtime's poller is edge-triggered.
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

// look reports the current state of the queue.
func (s *Socket) look(fd int) Event {
	if n, err := unix.IoctlGetInt(fd, unix.SIOCINQ); err == nil && n > s.filled {
		return Crash
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	if n, err := unix.Poll(poll, 0); n == 1 && err == nil && poll[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0 {
		// Both may have come between the two checks: the report takes precedence.
		if n, err := unix.IoctlGetInt(fd, unix.SIOCINQ); err == nil && n > s.filled {
			return Crash
		}
		return Closed
	}
	return 0
}

// Pending reports whether a report has begun.
func (s *Socket) Pending() bool {
	pending := false
	s.conn.Control(func(fd uintptr) { pending = s.look(int(fd)) == Crash })
	return pending
}

// Writer returns the process that has begun a report, 0 if unknown. It differs
// from the registered process only after a fork without exec: then two
// processes share the program's end.
func (s *Socket) Writer() int {
	pid := 0
	s.conn.Control(func(fd uintptr) {
		// Skip the fill bytes, which the registered process sent before the report.
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEEK_OFF, s.filled) != nil {
			return
		}
		defer func() { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEEK_OFF, -1) }() // as it was set
		m, err := receive(int(fd), make([]byte, 1), unix.MSG_PEEK)
		if err == nil {
			pid = m.pid
			m.close()
		}
	})
	return pid
}

// ErrTimeout reports that the program did not finish its report in time.
var ErrTimeout = errors.New("the program did not finish its report in time")

// Release releases the program: it reads to the end of the report, and returns
// the first limit bytes of it and its total length. It reads the rest too,
// because an unread report would block the program again. It returns ErrTimeout
// if the end has not come by the deadline; the bytes read until then are valid.
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

// Answer reports to a program that waits in meminspect.Snapshot whether it was
// captured.
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

// Close closes the supervisor's end. If the program is stopped in its report,
// or crashes later, it no longer blocks.
func (s *Socket) Close() error { return s.file.Close() }
