//go:build unix

package corefile

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// free returns how many bytes of a file's file system this process may still use.
func free(f *os.File) int64 {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return math.MaxInt64 // writing will fail
	}
	return int64(st.Bavail) * int64(st.Bsize) //nolint:unconvert // an int32 on 386
}
