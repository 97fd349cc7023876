//go:build linux && !meminspect_off

package meminspect

import (
	"syscall"
	"time"

	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// snapshotWait is how long Snapshot waits for its capture.
const snapshotWait = 3 // seconds; an untyped constant, see TestConstants

// snapshot increments the anchor's count, which the supervisor reads, and waits
// for the byte that the supervisor sends to our end of the crash socket: 1 for
// a completed capture, 0 for a refusal. It never sends anything over that socket,
// because a byte from this end means a crash.
func snapshot(reason string) bool {
	fd, inode := registry.CrashFD(), crashInode.Load()
	if fd <= 0 || !isSocket(fd, inode) {
		return false
	}
	// Discard an answer to an earlier call that timed out.
	for {
		if _, ok := answer(fd, inode); !ok {
			break
		}
	}
	registry.RequestSnapshot(reason)
	askToLook()
	for end := time.Now().Add(snapshotWait * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if b, ok := answer(fd, inode); ok {
			return b == 1
		}
	}
	return false
}

// answer receives one byte from this end of the crash socket without waiting.
// It checks the inode each time: a program that calls SetCrashOutput itself has
// closed the socket, and another file may now have its number.
func answer(fd int, inode uint64) (byte, bool) {
	if !isSocket(fd, inode) {
		return 0, false
	}
	var b [1]byte
	n, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_DONTWAIT)
	return b[0], n == 1 && err == nil
}
