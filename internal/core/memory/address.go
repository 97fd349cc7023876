// Package memory is a Go program seen from outside: addresses, memory that is
// read through one method, and a small reader of Go's words on top of it. The
// program may be an executable file, a core, or a process that is stopped or
// running; the packages below this one do not care.
//
// Nothing here panics on what it reads: memory of a dying program, or of a
// hostile file, may hold anything. All programs are 64-bit and little-endian.
package memory

import (
	"cmp"
	"fmt"
	"math"
)

// An Address is a place in the program's memory.
type Address uint64

// Add returns the address n bytes further on. It stops at the highest address
// instead of wrapping, so that an end computed from a lying size is never
// before its start.
func (a Address) Add(n uint64) Address {
	if uint64(a) > math.MaxUint64-n {
		return math.MaxUint64
	}
	return a + Address(n)
}

// Sub returns how many bytes a lies behind b; negative when before it.
func (a Address) Sub(b Address) int64 { return int64(a - b) }

// Aligned reports whether a is a multiple of n, a power of two.
func (a Address) Aligned(n uint64) bool { return uint64(a)&(n-1) == 0 }

// Compare orders addresses, for package slices.
func (a Address) Compare(b Address) int { return cmp.Compare(a, b) }

func (a Address) String() string { return fmt.Sprintf("0x%x", uint64(a)) }

// A Range is the half-open interval [Start, End) of memory. One whose End is
// not behind its Start is empty.
type Range struct {
	Start, End Address
}

// RangeOf returns the range of size bytes from start on, cut at the end of the
// address space.
func RangeOf(start Address, size uint64) Range { return Range{start, start.Add(size)} }

// Empty reports whether r holds no byte.
func (r Range) Empty() bool { return r.End <= r.Start }

// Size is the number of bytes in r.
func (r Range) Size() uint64 {
	if r.Empty() {
		return 0
	}
	return uint64(r.End - r.Start)
}

// Contains reports whether the byte at a lies in r.
func (r Range) Contains(a Address) bool { return r.Start <= a && a < r.End }

// ContainsRange reports whether every byte of s lies in r. The empty range
// lies in any.
func (r Range) ContainsRange(s Range) bool {
	return s.Empty() || r.Start <= s.Start && s.End <= r.End
}

// Overlaps reports whether r and s share a byte.
func (r Range) Overlaps(s Range) bool { return !r.Intersect(s).Empty() }

// Intersect returns the bytes that r and s share.
func (r Range) Intersect(s Range) Range {
	both := Range{max(r.Start, s.Start), min(r.End, s.End)}
	if both.Empty() {
		return Range{}
	}
	return both
}

// CompareEnd compares r with an address for [slices.BinarySearchFunc], which
// then finds the first of some sorted ranges that ends after the address. Types
// that embed a Range can be searched with it as well.
func (r Range) CompareEnd(a Address) int {
	if r.End <= a {
		return -1
	}
	return 1
}

func (r Range) String() string { return fmt.Sprintf("[%v,%v)", r.Start, r.End) }
