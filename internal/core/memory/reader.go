package memory

import (
	"encoding/binary"
	"fmt"
)

// PtrSize is the size of a pointer in every program that this project reads.
const PtrSize = 8

// A Reader reads Go's words from a Memory. It has no state and may be copied.
// Each method returns a zero value with any error.
type Reader struct {
	Memory
}

// Uint8 reads the byte at addr.
func (r Reader) Uint8(addr Address) (uint8, error) {
	var b [1]byte
	if err := r.fill(b[:], addr); err != nil {
		return 0, err
	}
	return b[0], nil
}

// Uint16 reads two bytes at addr.
func (r Reader) Uint16(addr Address) (uint16, error) {
	var b [2]byte
	if err := r.fill(b[:], addr); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint16(b[:]), nil
}

// Uint32 reads four bytes at addr.
func (r Reader) Uint32(addr Address) (uint32, error) {
	var b [4]byte
	if err := r.fill(b[:], addr); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

// Uint64 reads eight bytes at addr.
func (r Reader) Uint64(addr Address) (uint64, error) {
	var b [8]byte
	if err := r.fill(b[:], addr); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// Pointer reads the pointer at addr.
func (r Reader) Pointer(addr Address) (Address, error) {
	v, err := r.Uint64(addr)
	return Address(v), err
}

// Bytes reads size bytes at addr. It rejects a size above limit before it reads
// or allocates anything: sizes come from untrusted memory.
func (r Reader) Bytes(addr Address, size, limit uint64) ([]byte, error) {
	if size > limit {
		return nil, fmt.Errorf("read memory at %v: %d bytes, which is over the limit of %d", addr, size, limit)
	}
	if size == 0 {
		return nil, nil
	}
	// Copy: lent memory may be overwritten or unmapped later.
	if viewer, ok := r.Memory.(Viewer); ok {
		if view, ok := viewer.View(addr, size); ok {
			return append([]byte(nil), view...), nil
		}
	}
	// Read the last byte first: a wrong size below the limit then costs no
	// allocation of that size.
	if size > pageBytes {
		if _, err := r.Uint8(addr.Add(size - 1)); err != nil {
			return nil, fmt.Errorf("the last of %d bytes: %w", size, err)
		}
	}
	b := make([]byte, size)
	if err := r.fill(b, addr); err != nil {
		return nil, err
	}
	return b, nil
}

// Text reads size bytes at addr as a string, as Bytes does.
func (r Reader) Text(addr Address, size, limit uint64) (string, error) {
	b, err := r.Bytes(addr, size, limit)
	return string(b), err
}

// A Slice is the header of a Go slice.
type Slice struct {
	Data     Address
	Len, Cap uint64
}

// Slice reads the slice header at addr.
func (r Reader) Slice(addr Address) (Slice, error) {
	var b [3 * PtrSize]byte
	if err := r.fill(b[:], addr); err != nil {
		return Slice{}, err
	}
	return Slice{
		Data: Address(binary.LittleEndian.Uint64(b[0:])),
		Len:  binary.LittleEndian.Uint64(b[8:]),
		Cap:  binary.LittleEndian.Uint64(b[16:]),
	}, nil
}

// String reads the Go string whose header is at addr; more than limit bytes are
// an error.
func (r Reader) String(addr Address, limit uint64) (string, error) {
	var b [2 * PtrSize]byte
	if err := r.fill(b[:], addr); err != nil {
		return "", err
	}
	return r.Text(Address(binary.LittleEndian.Uint64(b[0:])), binary.LittleEndian.Uint64(b[8:]), limit)
}

// fill reads all of p.
func (r Reader) fill(p []byte, addr Address) error {
	n, err := r.ReadAt(p, addr)
	if n == len(p) {
		return nil
	}
	if err == nil {
		err = Unreadable(addr.Add(uint64(n)), ErrNotMapped)
	}
	return err
}
