package memory

import (
	"errors"
	"fmt"
	"io"
)

// A Memory is something whose bytes have addresses.
//
// ReadAt fills p with the bytes from addr on and returns how many it could
// read. When n < len(p), err is not nil and, however wrapped, an
// *UnreadableError that names the first address that could not be read: addr
// plus n. The n bytes before it are right. ReadAt never panics, never answers
// with bytes of another address, and may be called from several goroutines.
type Memory interface {
	ReadAt(p []byte, addr Address) (n int, err error)
}

// A Viewer is a Memory that can lend its bytes without copying them.
//
// View returns the size bytes at addr, or false when they are not all there in
// one piece. The bytes are valid as long as the Memory is open and must not be
// written.
type Viewer interface {
	Memory
	View(addr Address, size uint64) ([]byte, bool)
}

// A Segment is a range of memory that is mapped as one.
type Segment struct {
	Range
	Write, Exec bool
	// Zeros is how many bytes at the end are known to be zeros without a look:
	// in a file, what it only claims to need. They cost nothing, so a file may
	// claim any number.
	Zeros uint64
}

// Filled is the segment without its zeros.
func (s Segment) Filled() Range {
	return RangeOf(s.Start, s.Size()-min(s.Zeros, s.Size()))
}

// A Mapped is a Memory that knows its segments, sorted by address and without
// overlaps.
type Mapped interface {
	Memory
	Segments() []Segment
}

// An UnreadableError says which byte could not be read, and why.
type UnreadableError struct {
	Addr Address
	Err  error // never nil
}

func (e *UnreadableError) Error() string { return fmt.Sprintf("read memory at %v: %v", e.Addr, e.Err) }
func (e *UnreadableError) Unwrap() error { return e.Err }

// ErrNotMapped is why a byte cannot be read that belongs to no segment.
var ErrNotMapped = errors.New("not mapped")

// Unreadable returns an *UnreadableError for the byte at addr, for those who
// implement Memory.
func Unreadable(addr Address, why error) error { return &UnreadableError{Addr: addr, Err: why} }

// A Buffer is memory that is held whole: Data stands at Base.
type Buffer struct {
	Base Address
	Data []byte
}

var _ interface {
	Viewer
	Mapped
} = Buffer{}

// ReadAt is Memory's.
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

// View is Viewer's.
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

// Segments is Mapped's.
func (b Buffer) Segments() []Segment {
	return []Segment{{Range: RangeOf(b.Base, uint64(len(b.Data))), Write: true}}
}

// A Section is the part of a file that stands at Range in memory: the byte at
// Range.Start is the file's byte Offset.
type Section struct {
	Range
	File   io.ReaderAt
	Offset int64
}

// ReadAt is Memory's. Where the file ends before the section does, the bytes
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
