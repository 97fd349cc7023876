package corefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/meminspect/meminspect/internal/plainfile"
)

// Save writes a core to the file at path, with mode 0600. A regular file
// appears under its name only when it is complete and on the disk; a failed
// write leaves nothing and keeps the existing file. It writes in place to what
// [plainfile.InPlace] reports.
func Save(path string, form Form, write func(io.Writer) error) error {
	var err error
	switch info, staterr := os.Stat(path); {
	case staterr == nil && plainfile.InPlace(path, info.Mode()):
		err = writeInPlace(path, form, write)
	case staterr != nil || info.Mode().IsRegular():
		err = replace(path, form, write)
	case info.IsDir():
		err = fmt.Errorf("%s is a directory: name a file in it", path)
	default: // a disk, a socket
		err = fmt.Errorf("%s is not a regular file: name another", path)
	}
	if err != nil {
		return fmt.Errorf("save core: %w", err)
	}
	return nil
}

func replace(path string, form Form, write func(io.Writer) error) (err error) {
	removeAbandoned(filepath.Dir(path))
	f, err := createLocked(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := WriteFile(f, form, write); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// partial is the pattern of the names of files that become cores when they are
// complete. Their writers hold locks on them.
const partial = ".meminspect-core-*"

// createLocked creates a file, with mode 0600, and locks it.
func createLocked(dir string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(dir, partial)
		if err != nil {
			return nil, err
		}
		lock(f) // a system without locks has no abandoned files removed
		created, err := f.Stat()
		there, lerr := os.Lstat(f.Name())
		if err == nil && lerr == nil && os.SameFile(created, there) {
			return f, nil
		}
		f.Close() // another writer considered it abandoned before it was locked
	}
}

// removeAbandoned removes the files of killed writers: the kernel has released
// their locks.
func removeAbandoned(dir string) {
	paths, err := filepath.Glob(filepath.Join(dir, partial))
	if err != nil {
		return
	}
	for _, path := range paths {
		f, err := plainfile.Open(path)
		if err != nil {
			continue
		}
		if lock(f) {
			os.Remove(path)
		}
		f.Close()
	}
}

// WriteFile writes a core to f, waits until it is on the disk, and closes f
// in any case.
func WriteFile(f *os.File, form Form, write func(io.Writer) error) error {
	err := form.Write(f, write)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// writeInPlace is for files that must not be replaced: as root, a rename would
// remove /dev/null for every process.
func writeInPlace(path string, form Form, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(form.Write(f, write), f.Close())
}
