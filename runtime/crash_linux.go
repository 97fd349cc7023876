//go:build linux && !meminspect_off

package meminspect

import (
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"github.com/meminspect/meminspect/runtime/format/crashenv"
	"github.com/meminspect/meminspect/runtime/internal/crash"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// crashInode is the inode of the crash socket that was adopted, 0 if none was.
var crashInode atomic.Uint64

func init() {
	crash.Adopt = adoptCrashSocket
	crash.Adopted = func() bool { return crashInode.Load() != 0 }
	// The variable goes whatever it says: our children have no such socket.
	// Nothing is reported, as there is nobody to report to: a supervisor sees
	// by the anchor's crash descriptor whether its socket was taken.
	if value, ok := os.LookupEnv(crashenv.Variable); ok {
		os.Unsetenv(crashenv.Variable)
		if fd, inode, ok := crashenv.Parse(value); ok {
			adoptCrashSocket(fd, inode)
		}
	}
}

// adoptCrashSocket makes the socket that a supervisor left for us the place to
// which the runtime copies a fatal report; the supervisor holds the dying
// program by not reading. It takes nothing else on: no goroutine, no handler.
// A descriptor that is not the socket meant is left alone.
func adoptCrashSocket(fd int, inode uint64) bool {
	if !isSocket(fd, inode) {
		return false
	}
	// SetCrashOutput works on a duplicate that is closed on exec. Ours is
	// closed here, so that a program that calls SetCrashOutput itself leaves no
	// end open and the supervisor learns of it.
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "crash socket")
	defer f.Close()
	if debug.SetCrashOutput(f, debug.CrashOptions{}) != nil {
		return false
	}
	crashInode.Store(inode)
	registry.SetCrashFD(duplicate(fd, inode))
	return true
}

// isSocket tells whether descriptor fd is the socket with that inode.
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

// duplicate returns the number under which the runtime keeps its copy of the
// socket fd: the lowest that was free, so a short search finds it. -1 says that
// there is one of an unknown number.
func duplicate(fd int, inode uint64) int {
	for n := 0; n < fd+64; n++ {
		if n != fd && isSocket(n, inode) {
			return n
		}
	}
	return -1
}
