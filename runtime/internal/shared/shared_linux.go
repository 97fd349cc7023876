// Package shared maps files that outlive the program: log rings, tables of
// contents, pstore zones.
package shared

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// A Mapping is a file mapped for reading and writing, shared by all processes
// that open it.
type Mapping struct {
	Bytes []byte
	file  *os.File
}

// LittleEndian reports whether this machine stores words in the byte order of
// the formats. Otherwise a reader would not recognize a file.
func LittleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

// Errors of Open.
var (
	ErrBusy    = errors.New("another process has it")
	ErrForeign = errors.New("it holds something else, which would be overwritten: remove it or name another file")
)

// headSize is the number of bytes that identify a file.
const headSize = 64

// Open maps the first size bytes of a file. It creates the file with mode 0600
// if it does not exist, extends it if it is too short, and never truncates it.
// It allocates the file's space before mapping: a store into a hole of a file
// on a full disk would end the program with SIGBUS. So a full disk is an error
// of Open, which then restores the file's length. The file stays locked while
// it is mapped; the lock ends with the process.
//
// Open accepts a file with content only if ours recognizes its first bytes, up
// to 64, or if it begins with zeros: a writer that lays out a file writes the
// identifying word last.
func Open(path string, size int, ours func(head []byte) bool) (*Mapping, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	m, err := mapFile(f, size, ours)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return m, nil
}

func mapFile(f *os.File, size int, ours func(head []byte) bool) (*Mapping, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is not a regular file")
	}
	if err := again(func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrBusy
	} else if err != nil {
		return nil, os.NewSyscallError("flock", err)
	}
	head := make([]byte, headSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if word := min(n, 8); !bytes.Equal(head[:word], make([]byte, word)) && !ours(head[:n]) {
		return nil, ErrForeign
	}
	if err := allocate(f, size); err != nil {
		if now, e := f.Stat(); e == nil && now.Size() > info.Size() {
			_ = f.Truncate(info.Size()) // safe: the file is locked, so no other process uses the new end
		}
		return nil, fmt.Errorf("allocate %d bytes: %w", size, err)
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &Mapping{Bytes: b, file: f}, nil
}

// allocate reserves the file's blocks. If the file system cannot, allocate
// writes them, and keeps existing content.
func allocate(f *os.File, size int) error {
	err := again(func() error { return syscall.Fallocate(int(f.Fd()), 0, 0, int64(size)) })
	if !errors.Is(err, syscall.EOPNOTSUPP) && !errors.Is(err, syscall.ENOSYS) {
		return err
	}
	buf := make([]byte, 64<<10)
	for at := 0; at < size; {
		n := min(len(buf), size-at)
		got, _ := f.ReadAt(buf[:n], int64(at))
		for i := range buf[got:n] {
			buf[got+i] = 0
		}
		if _, err := f.WriteAt(buf[:n], int64(at)); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// again repeats call until no signal interrupts it.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Release closes the file, so that others can open it, but keeps its memory
// mapped for writers that take no lock and may still be writing.
func (m *Mapping) Release() error {
	// The mapping keeps the file open, and a lock lasts until the last reference
	// is gone.
	err := again(func() error { return syscall.Flock(int(m.file.Fd()), syscall.LOCK_UN) })
	return errors.Join(os.NewSyscallError("flock", err), m.file.Close())
}

// Close unmaps the file; its memory must not be used afterwards.
func (m *Mapping) Close() error {
	err := syscall.Munmap(m.Bytes)
	m.Bytes = nil
	if e := m.file.Close(); err == nil {
		err = e
	}
	return err
}
