package corefile

import (
	"io/fs"
	"os"
)

// A LimitedFile is a file with a maximum number of bytes. Holes do not count.
type LimitedFile struct {
	file *os.File
	left int64
	full error
}

// Limit returns f with at most n bytes to write. A write that does not fit
// writes nothing and returns full.
func Limit(f *os.File, n int64, full error) *LimitedFile {
	return &LimitedFile{file: f, left: n, full: full}
}

func (l *LimitedFile) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		return 0, l.full
	}
	n, err := l.file.Write(p)
	l.left -= int64(n)
	return n, err
}

// Seek implements io.Seeker.
func (l *LimitedFile) Seek(offset int64, whence int) (int64, error) {
	return l.file.Seek(offset, whence)
}

// Truncate sets the length, so that the file may end in a hole.
func (l *LimitedFile) Truncate(size int64) error { return l.file.Truncate(size) }

// Stat describes the file.
func (l *LimitedFile) Stat() (fs.FileInfo, error) { return l.file.Stat() }
