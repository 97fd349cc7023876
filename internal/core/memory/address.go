// Package memory represents the memory of a Go program seen from outside:
// addresses, an interface with one read method, and a small reader of Go's
// words on top of it. The program may be an executable file, a core, or a
// process that is stopped or running; the packages that use this one need not
// know.
//
// Nothing here panics on the data it reads: the memory of a dying program, or a
// malicious file, may contain anything. All programs are 64-bit and
// little-endian.
package memory

import (
	"cmp"
	"fmt"
	"math"
)

// An Address is an address in the program's memory.
type Address uint64

// Add returns a+n. It saturates at the highest address, so that an end computed
// from a wrong size is never before its start.
func (a Address) Add(n uint64) Address {
	if uint64(a) > math.MaxUint64-n {
		return math.MaxUint64
	}
	return a + Address(n)
}

// Sub returns the distance from b to a in bytes; it is negative if a is before
// b.
func (a Address) Sub(b Address) int64 { return int64(a - b) }

// Aligned reports whether a is a multiple of n, a power of two.
func (a Address) Aligned(n uint64) bool { return uint64(a)&(n-1) == 0 }

// Compare orders addresses, for package slices.
func (a Address) Compare(b Address) int { return cmp.Compare(a, b) }

func (a Address) String() string { return fmt.Sprintf("0x%x", uint64(a)) }

// A Range is the half-open interval [Start, End) of memory. It is empty if End
// <= Start.
type Range struct {
	Start, End Address
}

// RangeOf returns the range of size bytes from start, cut at the end of the
// address space.
func RangeOf(start Address, size uint64) Range { return Range{start, start.Add(size)} }

// Empty reports whether r contains no byte.
func (r Range) Empty() bool { return r.End <= r.Start }

// Size returns the number of bytes in r.
func (r Range) Size() uint64 {
	if r.Empty() {
		return 0
	}
	return uint64(r.End - r.Start)
}

// Contains reports whether the byte at a is in r.
func (r Range) Contains(a Address) bool { return r.Start <= a && a < r.End }

// ContainsRange reports whether every byte of s is in r. Every range contains
// the empty range.
func (r Range) ContainsRange(s Range) bool {
	return s.Empty() || r.Start <= s.Start && s.End <= r.End
}

// Overlaps reports whether r and s share a byte.
func (r Range) Overlaps(s Range) bool { return !r.Intersect(s).Empty() }

// Intersect returns the bytes that are in both r and s.
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
