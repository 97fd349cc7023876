// Package plainfile opens files whose directory other users may write to: a spool
// for example below /tmp, or a path that a core names. Another user can put a symbolic
// link there, which leads to a file that only this user may read or write, or a
// named pipe or a device, which blocks or does something when it is opened.
package plainfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Errors of files that are not opened.
var (
	ErrSymlink    = errors.New("is a symbolic link, which another user may have made")
	ErrNotRegular = errors.New("not a regular file")
)

// InPlace reports whether path, which has that mode, is written in place: a character
// device, a named pipe, or a name in /dev or /proc, such as /dev/stdout, which leads to an
// open file. A rename to it would remove it for every process.
func InPlace(path string, mode fs.FileMode) bool {
	if mode&(fs.ModeCharDevice|fs.ModeNamedPipe) != 0 {
		return true
	}
	path = filepath.Clean(path)
	return mode.IsRegular() && (strings.HasPrefix(path, "/dev/") || strings.HasPrefix(path, "/proc/")) && !strings.HasPrefix(path, "/dev/shm/")
}

// Open opens a regular file for reading.
func Open(path string) (*os.File, error) { return OpenFile(path, os.O_RDONLY, 0) }

// OpenFile is os.OpenFile for regular files: it follows no symbolic link at the end
// of path, and opens no pipe, device or socket.
func OpenFile(path string, flag int, perm fs.FileMode) (*os.File, error) {
	return open(path, flag|noFollow, perm)
}

// OpenLink is Open for a path that the user names: it follows symbolic links.
func OpenLink(path string) (*os.File, error) { return open(path, os.O_RDONLY, 0) }

func open(path string, flag int, perm fs.FileMode) (*os.File, error) {
	// A pipe without a writer would block, and a device may act, when it is opened.
	f, err := os.OpenFile(path, flag|nonBlock, perm)
	switch {
	case err != nil && flag&noFollow != 0 && isLink(path):
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrSymlink}
	case err != nil:
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// Read returns the contents of a regular file of at most limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("read %s: it has more than %d bytes", path, limit)
	}
	return b, err
}

// Replace writes a file that appears when it is whole, in place of an older one. Its mode
// is 0600. partial begins the name of the file until then: one that is left was being
// written by a process that was killed.
func Replace(path, partial string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), partial+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
