package corefile

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// InMemory returns an empty file that is in memory only. The caller closes it.
func InMemory(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
