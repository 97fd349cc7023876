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

// A Mapping is a file mapped for reading and writing by all who have it open.
type Mapping struct {
	Bytes []byte
	file  *os.File
}

// LittleEndian reports whether words that this machine stores are those of the
// formats. If they are not, a file would not be recognized when it is opened.
func LittleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

// Errors of Open.
var (
	ErrBusy    = errors.New("another process has it")
	ErrForeign = errors.New("it holds something else, which would be overwritten: remove it or name another file")
)

// headSize is how much of a file tells what it is.
const headSize = 64

// Open maps the first size bytes of a file, which is made with mode 0600 if it
// is not there and made longer if it is too short; it is never made shorter.
// Its space is allocated before it is mapped: a store into a hole of a file on
// a full disk would end the program with SIGBUS, so that a full disk must be an
// error here, after which the file is as long as it was. The file is locked as
// long as it is mapped; the lock goes with the process.
//
// A file that has content is taken only if ours knows it by its first bytes, up
// to 64, or if it begins with zeros: whoever lays a file out writes the word
// that it is known by last.
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
		return nil, fmt.Errorf("it is no regular file")
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
			_ = f.Truncate(info.Size()) // it is locked: nobody has the new end
		}
		return nil, fmt.Errorf("allocate %d bytes: %w", size, err)
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &Mapping{Bytes: b, file: f}, nil
}

// allocate reserves the file's blocks. Where the file system cannot, they are
// written: as they are, where there is content.
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

// again calls until no signal got in between.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Release closes the file, for others to open, and leaves its memory mapped: for
// writers that take no lock and may be at it still.
func (m *Mapping) Release() error {
	// The mapping holds the file open, and a lock goes with the last who does.
	err := again(func() error { return syscall.Flock(int(m.file.Fd()), syscall.LOCK_UN) })
	return errors.Join(os.NewSyscallError("flock", err), m.file.Close())
}

// Close unmaps the file; its bytes must not be touched any more.
func (m *Mapping) Close() error {
	err := syscall.Munmap(m.Bytes)
	m.Bytes = nil
	if e := m.file.Close(); err == nil {
		err = e
	}
	return err
}
