package memory

import (
	"errors"
	"fmt"
	"io"
)

// A Memory has bytes at addresses.
//
// ReadAt fills p with the bytes from addr on and returns how many it could
// read. If n < len(p), err is not nil and wraps an *UnreadableError with the
// first unreadable address: addr plus n. The n bytes before it are correct.
// ReadAt never panics, never returns bytes of another address, and may be
// called from several goroutines.
type Memory interface {
	ReadAt(p []byte, addr Address) (n int, err error)
}

// A Viewer is a Memory that can lend its bytes without copying them.
//
// View returns the size bytes at addr, or false if they are not available in
// one piece. The bytes are valid while the Memory is open and must not be
// written.
type Viewer interface {
	Memory
	View(addr Address, size uint64) ([]byte, bool)
}

// A Segment is a contiguously mapped range of memory.
type Segment struct {
	Range
	Write, Exec bool
	// Zeros is the number of bytes at the end that are known to be zero without
	// reading: in a file, memory that it declares but does not store. They cost
	// nothing, so a file may declare any number.
	Zeros uint64
}

// Filled returns the segment without its zeros.
func (s Segment) Filled() Range {
	return RangeOf(s.Start, s.Size()-min(s.Zeros, s.Size()))
}

// A Mapped is a Memory that knows its segments, sorted by address and without
// overlaps.
type Mapped interface {
	Memory
	Segments() []Segment
}

// An UnreadableError reports the byte that could not be read, and why.
type UnreadableError struct {
	Addr Address
	Err  error // never nil
}

func (e *UnreadableError) Error() string { return fmt.Sprintf("read memory at %v: %v", e.Addr, e.Err) }
func (e *UnreadableError) Unwrap() error { return e.Err }

// ErrNotMapped is the reason for bytes outside all segments.
var ErrNotMapped = errors.New("not mapped")

// Unreadable returns an *UnreadableError for the byte at addr, for
// implementations of Memory.
func Unreadable(addr Address, why error) error { return &UnreadableError{Addr: addr, Err: why} }

// A Buffer is memory in one slice: Data is the memory at Base.
type Buffer struct {
	Base Address
	Data []byte
}

var _ interface {
	Viewer
	Mapped
} = Buffer{}

// ReadAt implements Memory.
func (b Buffer) ReadAt(p []byte, addr Address) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if addr < b.Base || uint64(addr-b.Base) >= uint64(len(b.Data)) {
		return 0, Unreadable(addr, ErrNotMapped)
	}
	n := copy(p, b.Data[addr-b.Base:])
	if n < len(p) {
		return n, Unreadable(addr.Add(uint64(n)), ErrNotMapped)
	}
	return n, nil
}

// View implements Viewer.
func (b Buffer) View(addr Address, size uint64) ([]byte, bool) {
	if addr < b.Base {
		return nil, false
	}
	off := uint64(addr - b.Base)
	if off > uint64(len(b.Data)) || size > uint64(len(b.Data))-off {
		return nil, false
	}
	return b.Data[off : off+size : off+size], true
}

// Segments implements Mapped.
func (b Buffer) Segments() []Segment {
	return []Segment{{Range: RangeOf(b.Base, uint64(len(b.Data))), Write: true}}
}

// A Section is the part of a file that is loaded at Range: the byte at
// Range.Start is the file's byte Offset.
type Section struct {
	Range
	File   io.ReaderAt
	Offset int64
}

// ReadAt implements Memory. If the file ends before the section does, the bytes
// are unreadable, with io.ErrUnexpectedEOF as the reason.
func (s Section) ReadAt(p []byte, addr Address) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !s.Contains(addr) {
		return 0, Unreadable(addr, ErrNotMapped)
	}
	inside := p
	if left := uint64(s.End - addr); uint64(len(p)) > left {
		inside = p[:left]
	}
	n, err := s.File.ReadAt(inside, s.Offset+int64(addr-s.Start))
	if n < len(inside) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return n, Unreadable(addr.Add(uint64(n)), err)
	}
	if n < len(p) {
		return n, Unreadable(addr.Add(uint64(n)), ErrNotMapped)
	}
	return n, nil
}
