//go:build linux

package crashsocket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/crashenv"
)

// A Channel is the supervisor's end of a socket whose other end all its
// descendants inherit. Each that embeds the runtime sends its crash socket over
// it. Accept may be called from one goroutine at a time, Close from any.
type Channel struct {
	// Look, if not nil, is called by Accept when a registered program asks for a
	// look at its anchor.
	Look func(pid int)

	file *os.File
	conn syscall.RawConn
}

// NewChannel makes a channel, and the end that the programs inherit. The caller
// closes its own copy of that end as soon as the first program runs.
func NewChannel() (*Channel, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making the channel for crash sockets: %w", err)
	}
	programs := os.NewFile(uintptr(fds[1]), "channel of the programs")
	c, err := AdoptChannel(fds[0])
	if err != nil {
		programs.Close()
		return nil, nil, err
	}
	return c, programs, nil
}

// AdoptChannel makes a Channel of the supervisor's end of a socket pair. It
// owns the descriptor, even if it fails.
func AdoptChannel(fd int) (*Channel, error) {
	file, conn, err := pollable(fd, "channel for crash sockets")
	if err != nil {
		return nil, err
	}
	// From here on the kernel adds the sender to each message. The second option
	// exists since Linux 6.5.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		file.Close()
		return nil, fmt.Errorf("channel for crash sockets: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSPIDFD, 1)
	return &Channel{file: file, conn: conn}, nil
}

// A Registered is a registered program.
type Registered struct {
	Socket *Socket
	PID    int

	pidfd int
}

// Accept waits for the next program to register. It returns io.EOF if no
// process still has the other end open, and an error after Close.
func (c *Channel) Accept() (*Registered, error) {
	var r *Registered
	var err error
	if werr := c.conn.Read(func(fd uintptr) bool {
		r, err = c.next(int(fd))
		return !errors.Is(err, unix.EAGAIN)
	}); werr != nil {
		return nil, fmt.Errorf("waiting for programs to register: %w", werr)
	}
	return r, err
}

// Pending returns a program that has already registered, nil if there is none.
func (c *Channel) Pending() *Registered {
	var r *Registered
	c.conn.Control(func(fd uintptr) { r, _ = c.next(int(fd)) })
	return r
}

// next returns the next valid registration in the queue.
func (c *Channel) next(fd int) (*Registered, error) {
	for {
		m, err := receive(fd, make([]byte, crashenv.RegistrationSize+1), 0)
		if err != nil {
			return nil, err
		}
		if crashenv.IsLook(m.data) {
			if c.Look != nil && m.pid > 0 {
				c.Look(m.pid)
			}
			m.close()
			continue
		}
		if r, err := m.registered(); err == nil {
			return r, nil
		}
	}
}

// Inherited reports whether a process has the other end open.
func (c *Channel) Inherited() bool {
	gone := false
	c.conn.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(poll, 0)
		gone = n == 1 && err == nil && poll[0].Revents&unix.POLLHUP != 0
	})
	return !gone
}

// Stop ends Accept. Pending still returns queued registrations.
func (c *Channel) Stop() { c.file.SetReadDeadline(time.Now()) }

// Close closes the channel. Programs that start later are not captured.
func (c *Channel) Close() error { return c.file.Close() }

// Inode returns the inode of a file, such as the programs' end of the channel.
func Inode(f *os.File) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return st.Ino, nil
}

// A message is a received message, with the kernel's record of its sender.
type message struct {
	data   []byte
	pid    int   // of the sender in our PID namespace; 0 if unknown
	pidfd  int   // of the sender, -1 if the kernel provides none
	rights []int // attached descriptors
}

// receive receives or peeks at one message without waiting.
func receive(fd int, buf []byte, flags int) (*message, error) {
	oob := make([]byte, 256)
	var n, used int
	var err error
	for {
		n, used, _, _, err = unix.Recvmsg(fd, buf, oob, flags|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	m := &message{data: buf[:n], pidfd: -1}
	controls, err := unix.ParseSocketControlMessage(oob[:used])
	if err != nil {
		return nil, err
	}
	for i := range controls {
		c := &controls[i]
		switch c.Header.Type {
		case unix.SCM_CREDENTIALS:
			if cred, err := unix.ParseUnixCredentials(c); err == nil {
				m.pid = int(cred.Pid)
			}
		case unix.SCM_RIGHTS:
			if fds, err := unix.ParseUnixRights(c); err == nil {
				m.rights = append(m.rights, fds...)
			}
		case unix.SCM_PIDFD:
			if len(c.Data) >= 4 {
				m.pidfd = int(int32(binary.NativeEndian.Uint32(c.Data)))
			}
		}
	}
	if n == 0 && m.pid == 0 {
		m.close()
		return nil, io.EOF
	}
	return m, nil
}

// close closes the descriptors that came with the message.
func (m *message) close() {
	for _, fd := range append(m.rights, m.pidfd) {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

var errMessage = errors.New("not a registration")

// registered makes a Registered of a message, and takes ownership of its
// descriptors.
func (m *message) registered() (*Registered, error) {
	r, ok := crashenv.ParseRegistration(m.data)
	if !ok || m.pid <= 0 || len(m.rights) != 1 {
		m.close()
		return nil, errMessage
	}
	s, err := adopt(m.rights[0], int(r.Filled), r.Inode)
	if err == nil && m.pidfd < 0 {
		// Linux before 6.5. The PID is still the sender's if the sender still has its
		// end of the socket.
		if err = process.OpenPidfd.Killed(); err == nil {
			m.pidfd, err = unix.PidfdOpen(m.pid, 0)
		}
		if err == nil && s.HungUp() {
			err = errMessage
		}
	}
	if err != nil {
		if s != nil {
			s.Close()
		}
		m.rights = nil
		m.close()
		return nil, err
	}
	return &Registered{Socket: s, PID: m.pid, pidfd: m.pidfd}, nil
}

// HungUp reports whether all processes have closed the program's end.
func (s *Socket) HungUp() bool {
	gone := false
	s.conn.Control(func(fd uintptr) { gone = s.look(int(fd)) == Closed })
	return gone
}

// Alive reports whether the process has not ended, so that PID still belongs to
// it.
func (r *Registered) Alive() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(r.pidfd), Events: unix.POLLIN}}, 0)
	return n == 0 && err == nil
}

// Close releases the supervisor's resources for the program. If the program is
// stopped in its report, or crashes later, it does not block.
func (r *Registered) Close() error {
	return errors.Join(r.Socket.Close(), unix.Close(r.pidfd))
}
