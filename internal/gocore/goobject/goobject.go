// Package goobject decodes the objects of a Go program from their bytes: maps,
// channels, sync.Map, interfaces, functions, strings and slices, for every
// release that package gotypes can read types of. It is the only package that
// knows their layouts and the bounds of what is believed about them. Capturing
// asks it where an object's bytes are, reading asks it what they mean.
//
// A decoder takes bytes and returns addresses and numbers; it reads no memory.
// [MapType.Pieces], [Trie.Nodes] and [ChanLayout.Waiters] read a whole object
// with the decoders, through a [ReadFunc], and stop at a limit that the caller
// sets. What a decoder returns was checked against the object's type and
// against itself. Bytes that do not pass give [ErrInconsistent], never a guess:
// a program may run while it is read, and a core may be hostile.
package goobject

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// AddressSpace is where the addresses of a program end, and the bound of the
// bytes that an object can have: runtime.maxAlloc of 64-bit systems.
const AddressSpace = 1 << 48

// Errors of decoders and readers of whole objects.
var (
	// ErrInconsistent is wrapped when an object does not fit its type or itself.
	ErrInconsistent = errors.New("inconsistent")
	// ErrUnreadable is set where a part of an object cannot be read.
	ErrUnreadable = errors.New("unreadable")
	// ErrLimit is set when an object has more parts than its reader may visit.
	ErrLimit = errors.New("limit reached")
	// ErrUnknown is wrapped when a type is not of the form that its name promises.
	ErrUnknown = errors.New("unknown layout")
)

// A ReadFunc returns the size bytes at addr, or false when one of them cannot
// be read. The bytes are valid until the next call.
type ReadFunc func(addr memory.Address, size uint64) ([]byte, bool)

// pointer reads the pointer at addr.
func (read ReadFunc) pointer(addr memory.Address) (memory.Address, bool) {
	b, ok := read(addr, memory.PtrSize)
	if !ok {
		return 0, false
	}
	return Pointer(b), true
}

var le = binary.LittleEndian

// Pointer decodes the pointer with which b begins.
func Pointer(b []byte) memory.Address { return memory.Address(le.Uint64(b)) }

// size returns n*each, or AddressSpace when that is more.
func size(n, each uint64) uint64 {
	if each != 0 && n > AddressSpace/each {
		return AddressSpace
	}
	return n * each
}

// stored reports whether n parts of each bytes, with pointers or counters in
// them, can be at addr.
func stored(addr memory.Address, n, each uint64) bool {
	return addr.Aligned(memory.PtrSize) && inside(addr, n, each)
}

// inside reports whether n parts of each bytes fit between addr and the end of
// the address space.
func inside(addr memory.Address, n, each uint64) bool {
	return addr != 0 && addr < AddressSpace && size(n, each) < uint64(AddressSpace-addr)
}

func inconsistent(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInconsistent, fmt.Sprintf(format, args...))
}

func unknown(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnknown, fmt.Sprintf(format, args...))
}
