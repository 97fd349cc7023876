//go:build linux && !meminspect_off

package meminspect

import (
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/meminspect/meminspect/runtime/format/crashenv"
	"github.com/meminspect/meminspect/runtime/internal/crash"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// crashInode is the inode of our end of the crash socket, 0 if there is none.
var crashInode atomic.Uint64

// channel is the descriptor of the supervisor's channel in our process, and its
// inode; an inode of 0 means no channel.
var channel struct {
	fd    atomic.Int64
	inode atomic.Uint64
}

func init() {
	crash.Register = registerCrash
	crash.Registered = func() bool { return crashInode.Load() != 0 }
	// The variable and the channel stay for the programs that this one starts:
	// each registers itself. A failure is not reported: the anchor's crash
	// descriptor shows a supervisor who registered.
	if fd, inode, ok := crashenv.Parse(os.Getenv(crashenv.Variable)); ok && isSocket(fd, inode) && !secure() {
		registerCrash(fd)
	}
}

// registerCrash creates a crash socket, sends one end to the supervisor over
// the channel, and makes the Go runtime copy a fatal report to the other end.
// The supervisor stops the dying program by not reading. registerCrash starts
// no goroutine and leaves the channel unchanged.
func registerCrash(over int) bool {
	own, other, r, ok := crashSocket()
	if !ok {
		return false
	}
	// SetCrashOutput uses a duplicate that is closed on exec. The original is
	// closed here, so that a program that calls SetCrashOutput itself leaves no
	// end open and the supervisor notices.
	f := os.NewFile(uintptr(own), "crash socket")
	defer f.Close()
	sent := send(over, r.Encode(), other)
	syscall.Close(other)
	if !sent || debug.SetCrashOutput(f, debug.CrashOptions{}) != nil {
		return false
	}
	crashInode.Store(r.Inode)
	registry.SetCrashFD(duplicate(own, r.Inode))
	var st syscall.Stat_t
	if syscall.Fstat(over, &st) == nil {
		channel.fd.Store(int64(over))
		channel.inode.Store(st.Ino)
	}
	return true
}

// maxFill bounds the bytes that fill a crash socket. Linux rounds the buffer up
// to 4.6 KB, which takes six bytes; a kernel with a larger minimum takes more.
const maxFill = 1 << 16

// crashSocket makes a socket pair whose own end has room for exactly one write:
// the first write of a fatal report wakes the supervisor, the next one blocks.
// Both ends carry credentials, so that the kernel identifies the writer.
func crashSocket() (own, other int, r crashenv.Registration, ok bool) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, r, false
	}
	own, other = fds[0], fds[1]
	if r.Filled, ok = fill(own, other); ok {
		var st syscall.Stat_t
		ok = syscall.Fstat(own, &st) == nil
		r.Inode = st.Ino
	}
	if !ok {
		syscall.Close(own)
		syscall.Close(other)
	}
	return own, other, r, ok
}

// fill sends single bytes until it would block, then takes one back, which
// makes room for one write of any length. It returns the number of bytes left.
func fill(own, other int) (filled uint32, ok bool) {
	if syscall.SetsockoptInt(own, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1) != nil ||
		syscall.SetsockoptInt(own, syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1) != nil ||
		syscall.SetsockoptInt(other, syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1) != nil {
		return 0, false
	}
	b := []byte{0}
	for filled < maxFill {
		switch _, err := syscall.SendmsgN(own, b, nil, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL); err {
		case nil:
			filled++
		case syscall.EINTR:
		case syscall.EAGAIN:
			if filled < 2 {
				return 0, false
			}
			n, err := syscall.Read(other, b) // does not block: bytes are there
			return filled - 1, n == 1 && err == nil
		default:
			return 0, false
		}
	}
	return 0, false
}

// sendWait bounds how long a program waits at its start for a supervisor that
// does not read its channel.
const sendWait = 100 // milliseconds; an untyped constant, see TestConstants

// send sends a message and a descriptor over the channel.
func send(channel int, message []byte, fd int) bool {
	rights := syscall.UnixRights(fd)
	for waited := time.Duration(0); waited < sendWait*time.Millisecond; waited += time.Millisecond {
		switch syscall.Sendmsg(channel, message, rights, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL) {
		case nil:
			return true
		case syscall.EAGAIN:
			time.Sleep(time.Millisecond)
		case syscall.EINTR:
		default:
			return false
		}
	}
	return false
}

// askToLook asks the supervisor to read the anchor now. It need not arrive: the
// supervisor also reads it now and then.
func askToLook() {
	fd := int(channel.fd.Load())
	if isSocket(fd, channel.inode.Load()) {
		_, _ = syscall.SendmsgN(fd, crashenv.EncodeLook(), nil, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
	}
}

// isSocket reports whether descriptor fd is the socket with the given inode.
func isSocket(fd int, inode uint64) bool {
	var st syscall.Stat_t
	for {
		err := syscall.Fstat(fd, &st)
		if err == syscall.EINTR {
			continue
		}
		return err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFSOCK && st.Ino == inode
	}
}

// duplicate returns the number of the runtime's duplicate of the socket fd: the
// lowest number that was free, so a short search finds it. It returns -1 if the
// number is unknown.
func duplicate(fd int, inode uint64) int {
	for n := 0; n < fd+64; n++ {
		if n != fd && isSocket(n, inode) {
			return n
		}
	}
	return -1
}
