//go:build unix

package corefile

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock locks a file as long as it is open, and reports false if another process has
// it locked.
func lock(f *os.File) bool { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil }
