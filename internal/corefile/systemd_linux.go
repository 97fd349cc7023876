package corefile

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// attributeOf returns an attribute of a file, "" if it has none.
func attributeOf(path, name string) string {
	value := make([]byte, 4096)
	n, err := unix.Lgetxattr(path, name, value)
	if err != nil {
		return ""
	}
	return string(value[:n])
}

func signalName(n int) string { return unix.SignalName(syscall.Signal(n)) }
