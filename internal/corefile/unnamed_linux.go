package corefile

import (
	"os"

	"golang.org/x/sys/unix"
)

// unnamed returns an empty file in dir that never has a name, so that a process
// that is killed leaves none. If the file system has no such files, the name
// exists for a moment.
func unnamed(dir string) (*os.File, error) {
	if f, err := os.OpenFile(dir, unix.O_TMPFILE|os.O_EXCL|os.O_RDWR, 0o600); err == nil {
		return f, nil
	}
	return removed(dir)
}
