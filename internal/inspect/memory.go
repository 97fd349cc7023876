package inspect

import (
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Lost is a range that a program's memory lacks, and why.
type Lost struct {
	memory.Range
	Why note.MarkReason
}

// A holed is memory without the ranges that are lost. A core may have a million of
// them: they are not pieces of the memory.
type holed struct {
	mem  *memory.Spliced
	lost []Lost // sorted, without overlaps
}

// without returns the memory with more holes.
func (h holed) without(lost []Lost) holed {
	if h.lost != nil {
		lost = slices.Concat(h.lost, lost)
	}
	byStart := func(a, b Lost) int { return a.Start.Compare(b.Start) }
	if !slices.IsSortedFunc(lost, byStart) {
		slices.SortStableFunc(lost, byStart)
	}
	end := memory.Address(0)
	h.lost = slices.DeleteFunc(lost, func(l Lost) bool { return l.Empty() })
	for i := range h.lost {
		l := &h.lost[i]
		l.Start = min(max(l.Start, end), l.End)
		end = max(end, l.End)
	}
	h.lost = slices.DeleteFunc(h.lost, func(l Lost) bool { return l.Empty() })
	return h
}

// holes returns the holes from the first one on that ends after an address.
func (h *holed) holes(addr memory.Address) []Lost {
	low, high := 0, len(h.lost)
	for low < high {
		if middle := (low + high) / 2; h.lost[middle].End <= addr {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return h.lost[low:]
}

// ReadAt is that of [memory.Memory].
func (h *holed) ReadAt(b []byte, addr memory.Address) (int, error) {
	holes := h.holes(addr)
	if len(b) == 0 || len(holes) == 0 || holes[0].Start >= addr.Add(uint64(len(b))) {
		return h.mem.ReadAt(b, addr)
	}
	n, err := h.mem.ReadAt(b[:max(holes[0].Start, addr)-addr], addr)
	if err == nil {
		err = memory.Unreadable(addr.Add(uint64(n)), memory.ErrNotMapped)
	}
	return n, err
}

// Segments is that of [memory.Mapped].
func (h *holed) Segments() []memory.Segment {
	cut := make([]memory.Range, len(h.lost))
	for i := range h.lost {
		cut[i] = h.lost[i].Range
	}
	rest := *h.mem
	rest.CutAll(cut)
	return rest.Segments()
}

// A program's objects lie in spans of 8 KiB or more: few values cross the end of a page.
const (
	pageSize = 16 << 10
	pageSets = 512
	setPages = 4
)

// A pages keeps the pages of memory that were read last. Values have a few bytes each and
// lie close together: to find each of them among the holes and in the file would be most
// of the work of printing a map.
type pages struct {
	mem  *holed
	sets []pageSet // by the number of the page, modulo their number
}

// A pageSet has the pages of one set, the one that was viewed last first.
type pageSet [setPages]*page

// view returns bytes in one page, false if they are not all in one or cannot be read.
// They are valid until the next call.
func (c *pages) view(addr memory.Address, size uint64) ([]byte, bool) {
	if c.sets == nil {
		c.sets = make([]pageSet, pageSets)
	}
	start := addr &^ (pageSize - 1)
	set := &c.sets[addr/pageSize%pageSets]
	if first := set[0]; first != nil && first.addr == start {
		return first.view(addr, size)
	}
	return c.find(set, start).view(addr, size)
}

// find makes a page the first one of its set.
func (c *pages) find(set *pageSet, start memory.Address) *page {
	i := 1
	for i < setPages-1 && set[i] != nil && set[i].addr != start {
		i++
	}
	p := set[i]
	copy(set[1:], set[:i])
	switch {
	case p == nil:
		p = &page{data: make([]byte, pageSize)}
		c.fill(p, start)
	case p.addr != start:
		c.fill(p, start)
	}
	set[0] = p
	return p
}

// A page is a page of memory, as far as it can be read.
type page struct {
	addr memory.Address
	data []byte
	have memory.Ranges
	last int // the part of have that was viewed last: the next one is often in it, or in the one after it
}

func (p *page) view(addr memory.Address, size uint64) ([]byte, bool) {
	i := p.part(addr)
	if i == len(p.have) || addr < p.have[i].Start || size > uint64(p.have[i].End-addr) {
		return nil, false
	}
	p.last = i
	off := uint64(addr - p.addr)
	return p.data[off : off+size : off+size], true
}

// part returns the first part that ends after an address.
func (p *page) part(addr memory.Address) int {
	for i := p.last; i < min(p.last+2, len(p.have)); i++ {
		if p.have[i].Contains(addr) {
			return i
		}
	}
	low, high := 0, len(p.have)
	for low < high {
		if middle := (low + high) / 2; p.have[middle].End <= addr {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// fill reads a page.
func (c *pages) fill(p *page, start memory.Address) {
	p.addr, p.have, p.last = start, p.have[:0], 0
	end := start.Add(pageSize)
	for at := start; at < end; {
		piece, ok := c.mem.mem.Next(at)
		if at = max(at, piece.Start); !ok || at >= end {
			return
		}
		n, _ := c.mem.mem.ReadAt(p.data[at-start:min(pageSize, uint64(piece.End-start))], at) // what is missing is found later
		if n == 0 {
			at = piece.End
			continue
		}
		p.add(c.mem, memory.RangeOf(at, uint64(n)))
		at = at.Add(uint64(n))
	}
}

// add adds the parts of a range that are not lost.
func (p *page) add(mem *holed, r memory.Range) {
	for _, hole := range mem.holes(r.Start) {
		if hole.Start >= r.End {
			break
		}
		p.have = p.have.Append(memory.Range{Start: r.Start, End: hole.Start})
		r.Start = hole.End
	}
	p.have = p.have.Append(r)
}
