package memory

import (
	"bytes"
	"errors"
	"iter"
)

// searchChunk is the number of bytes searched at a time.
const searchChunk = 256 << 10

// pageSize is the granularity of unreadable memory.
const pageSize = 4096

// Search yields the addresses of pattern that are multiples of align (a power
// of two), in the segments that want accepts (nil accepts all), in order. It
// skips unreadable pages. It does not find a pattern across the border of two
// segments, nor one in a segment's known zeros.
func Search(mem Mapped, pattern []byte, align uint64, want func(Segment) bool) iter.Seq[Address] {
	return func(yield func(Address) bool) {
		if len(pattern) == 0 || len(pattern) > searchChunk/2 {
			return
		}
		s := searcher{mem: mem, pattern: pattern, align: align, yield: yield}
		for _, seg := range mem.Segments() {
			if want != nil && !want(seg) {
				continue
			}
			// The pattern may end in zeros, and so extend into them.
			r := seg.Filled()
			if r.End = r.End.Add(uint64(len(pattern))); r.End > seg.End {
				r.End = seg.End
			}
			if !s.segment(r) {
				return
			}
		}
	}
}

type searcher struct {
	mem     Mapped
	pattern []byte
	align   uint64
	yield   func(Address) bool
	buf     []byte
}

// segment searches r; it reports whether to continue with the next.
func (s *searcher) segment(r Range) bool {
	overlap := Address(len(s.pattern) - 1)
	for at := r.Start; r.Size() >= uint64(len(s.pattern)) && at < r.End-overlap; {
		size := min(uint64(r.End-at), searchChunk)
		data, bad := s.read(at, size)
		if !s.chunk(data, at) {
			return false
		}
		switch {
		case bad: // the byte after data is unreadable, and so is its page
			at = (at.Add(uint64(len(data))) | (pageSize - 1)).Add(1)
		case at.Add(size) >= r.End:
			return true
		default:
			at = at.Add(size) - overlap
		}
	}
	return true
}

// read returns the readable bytes of the size bytes at addr, and whether some
// were unreadable.
func (s *searcher) read(addr Address, size uint64) (data []byte, bad bool) {
	if viewer, ok := s.mem.(Viewer); ok {
		if view, ok := viewer.View(addr, size); ok {
			return view, false
		}
	}
	if s.buf == nil {
		s.buf = make([]byte, searchChunk)
	}
	n, err := s.mem.ReadAt(s.buf[:size], addr)
	var unreadable *UnreadableError
	if err != nil && errors.As(err, &unreadable) && unreadable.Addr != addr.Add(uint64(n)) {
		n = 0 // violates its contract: use nothing
	}
	return s.buf[:n], uint64(n) < size
}

// chunk yields the hits in data, whose address is base; it reports whether to
// continue.
func (s *searcher) chunk(data []byte, base Address) bool {
	for off := 0; ; {
		i := bytes.Index(data[off:], s.pattern)
		if i < 0 {
			return true
		}
		hit := base.Add(uint64(off + i))
		if hit.Aligned(s.align) && !s.yield(hit) {
			return false
		}
		off += i + 1
	}
}
