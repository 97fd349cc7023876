package value

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// errno returns the name and the text of an error number of Linux.
func errno(n uint64) (name, text string) {
	return unix.ErrnoName(syscall.Errno(n)), syscall.Errno(n).Error()
}
