package coreimage

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// A reading through the kernel costs several times a copy. So a region is read
// directly if it is an object of the garbage collector or a variable that Go code of
// the executable declares: no code unmaps these. All other memory is read through the
// kernel.

// ownMemory returns the span's memory itself if it may be read directly, else nil.
// readable is the memory that can be read, variables that of Go variables; both are
// sorted and without overlaps.
func (s *span) ownMemory(readable, variables []elfcore.Range) []byte {
	if !mayReadDirectly || !within(s.Range, readable) {
		return nil
	}
	for _, r := range s.regions {
		all := r.memory()
		if r.hold == nil || s.Start < all.Start || s.End > all.End {
			continue
		}
		if within(s.Range, variables) || registry.OnHeap(r.hold) {
			return unsafe.Slice((*byte)(unsafe.Add(r.hold, s.Start-all.Start)), s.Len())
		}
	}
	return nil
}

// within reports whether one of the ranges has all of r.
func within(r elfcore.Range, all []elfcore.Range) bool {
	over := elfcore.Overlapping(all, r)
	return len(over) == 1 && over[0].Start <= r.Start && r.End <= over[0].End
}

// maxPiece is the number of bytes that are copied or compared at a time: the runtime
// cannot interrupt that, and pages that were swapped out take time.
const maxPiece = 16 << 10

// copyBlock reads the block of the span into p.
func (c *image) copyBlock(p []byte, s *span, block elfcore.Range) {
	done := c.direct(s, block, func(own []byte) {
		for at := 0; at < len(own); {
			at += copy(p[at:], own[at:min(at+maxPiece, len(own))])
		}
	})
	if !done {
		c.fill(p, block.Start, true)
	}
}

// copyAndSum is copyBlock, and returns the checksum of the copy.
func (c *image) copyAndSum(p []byte, s *span, block elfcore.Range) (sum uint64) {
	if !c.direct(s, block, func(own []byte) { sum = c.keys.copy(p, own) }) {
		c.fill(p, block.Start, true)
		sum = c.keys.sum(p)
	}
	return sum
}

// unchanged reports whether the block of the span still has what is in p.
func (c *image) unchanged(p []byte, s *span, block elfcore.Range) (same bool) {
	done := c.direct(s, block, func(own []byte) {
		same = true
		for at := 0; same && at < len(own); at += maxPiece {
			end := min(at+maxPiece, len(own))
			same = bytes.Equal(p[at:end], own[at:end])
		}
	})
	if !done {
		same = bytes.Equal(p, c.again(block))
	}
	return same
}

// sumAgain returns the checksum of what the block of the span has now.
func (c *image) sumAgain(s *span, block elfcore.Range) (sum uint64) {
	if !c.direct(s, block, func(own []byte) { sum = c.keys.sum(own) }) {
		sum = c.keys.sum(c.again(block))
	}
	return sum
}

// again reads a block once more, through the kernel.
func (c *image) again(block elfcore.Range) []byte {
	if n := uint64(cap(c.b)); n < block.Len() {
		c.b = newBlock(min(max(block.Len(), 2*n), blockSize))
	}
	b := c.b[:block.Len()]
	c.fill(b, block.Start, false)
	return b
}

// readDirectly calls use with the block of the span's own memory. It returns false if
// the span has none, or if use faults: then the kernel must read the memory.
func readDirectly(s *span, block elfcore.Range, use func(own []byte)) (done bool) {
	if s.own == nil {
		return false
	}
	own := s.own[block.Start-s.Start : block.End-s.Start]
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch e := recover().(type) {
		case nil:
		case runtime.Error: // the fault
			s.own, done = nil, false
		default:
			panic(e)
		}
	}()
	use(own)
	return true
}
