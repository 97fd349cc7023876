package child

import "golang.org/x/sys/unix"

// request makes a ptrace call for the main thread whose last argument is a
// number. It must run on the keeper's thread. PTRACE_SEIZE may block until an
// exec ends, which may wait for other threads of ours, so Go's scheduler must
// know about the call.
func (c *Child) request(what int, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(what), uintptr(c.PID), 0, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
