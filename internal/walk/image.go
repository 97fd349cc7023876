package walk

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// ReadRest reads the captured memory that the walk did not need to read:
// strings and other bulk data. The memory must be the same as during the walk.
// After it, Bytes has all captured memory. progress, if not nil, is called now
// and then with the number of bytes read.
func (r *Result) ReadRest(progress func(done uint64)) error {
	return r.pages.readRest(progress)
}

// Unread returns the number of bytes that ReadRest will read, or slightly more.
func (r *Result) Unread() (n uint64) {
	for _, p := range r.pages.table {
		if p != nil && p.data == nil && (p.full || p.captured != nil) {
			n += pageSize
		}
	}
	return n
}

// Bytes returns the captured memory after ReadRest, by address, in pieces that may
// touch. It is not copied, and needs no process.
func (r *Result) Bytes() iter.Seq2[memory.Address, []byte] {
	return func(yield func(memory.Address, []byte) bool) {
		for _, p := range r.pages.capturedPages() {
			if p.data == nil {
				continue
			}
			base := memory.Address(p.num << pageShift)
			for off := 0; off < pageSize; {
				start, end := p.run(off)
				if start < pageSize && !yield(base.Add(uint64(start)), p.data[start:end:end]) {
					return
				}
				off = end
			}
		}
	}
}

// Pages returns the pages with captured bytes.
func (r *Result) Pages() (all memory.Ranges) {
	for _, p := range r.pages.capturedPages() {
		all = all.Append(memory.RangeOf(memory.Address(p.num<<pageShift), pageSize))
	}
	return all
}

// Count returns the number of pieces in Bytes, or slightly more.
func (r *Result) Count() (n int) {
	for _, p := range r.pages.table {
		switch {
		case p == nil:
		case p.full:
			n++
		case p.captured != nil:
			last := uint64(0)
			for _, w := range p.captured {
				n += bits.OnesCount64(w &^ (w<<1 | last>>63))
				last = w
			}
		}
	}
	return n
}

// Holes returns the unreadable parts of Bytes. The bytes there are zero.
func (r *Result) Holes() memory.Ranges { return r.pages.holes }

// capturedPages returns the pages with captured bytes, by address.
func (s *pages) capturedPages() []*page {
	all := make([]*page, 0, s.count)
	for _, p := range s.table {
		if p != nil && p.state != pageMissing && (p.full || p.captured != nil) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *page) int { return cmp.Compare(a.num, b.num) })
	return all
}

// run returns the first captured bytes of a page from off on: from start to end.
// If no more are captured, both are pageSize.
func (p *page) run(off int) (start, end int) {
	if p.full {
		return off, pageSize
	}
	start = nextBit(p.captured, off, true)
	if start == pageSize {
		return pageSize, pageSize
	}
	return start, nextBit(p.captured, start, false)
}

// ranges returns the captured memory, sorted and merged.
func (s *pages) ranges() memory.Ranges {
	var out memory.Ranges
	for _, p := range s.capturedPages() {
		out = p.appendRuns(out)
	}
	return out
}

func (p *page) appendRuns(out memory.Ranges) memory.Ranges {
	base := memory.Address(p.num << pageShift)
	for off := 0; off < pageSize; {
		start, end := p.run(off)
		if start == pageSize {
			break
		}
		out = out.Append(memory.Range{Start: base.Add(uint64(start)), End: base.Add(uint64(end))})
		off = end
	}
	return out
}

// readRest reads the captured bytes of the pages that were not read: whole runs
// of pages in one piece, and of others only the captured bytes.
func (s *pages) readRest(progress func(done uint64)) error {
	var rest memory.Ranges
	var unread []*page
	for _, p := range s.capturedPages() {
		if p.data == nil {
			rest = p.appendRuns(rest)
			unread = append(unread, p)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	data, holes, err := memory.Gather(s.mem, rest, pageSize, s.arena, progress)
	if err != nil {
		return err
	}
	s.holes = memory.RangesOf(holes...)
	i := 0 // the first range of rest with captured bytes of a page
	for _, p := range unread {
		base := memory.Address(p.num << pageShift)
		if p.full {
			for rest[i].End <= base {
				i++
			}
			p.data = (*[pageSize]byte)(data[i][base-rest[i].Start:])
			continue
		}
		p.data = (*[pageSize]byte)(s.block(1))
		end := base.Add(pageSize)
		for k := i; k < len(rest) && rest[k].Start < end; k++ {
			if part := rest[k].Intersect(memory.Range{Start: base, End: end}); !part.Empty() {
				copy(p.data[part.Start-base:], data[k][part.Start-rest[k].Start:part.End-rest[k].Start])
			}
		}
		for i < len(rest) && rest[i].End <= end {
			i++
		}
	}
	return nil
}
