package walk

import (
	"math/bits"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// capture marks [addr, addr+size) as captured and returns the number of newly
// captured bytes.
func (s *pages) capture(addr memory.Address, size uint64) (fresh uint64) {
	for size > 0 {
		p := s.at(addr)
		off := uint64(addr) & (pageSize - 1)
		n := min(pageSize-off, size)
		fresh += s.capturePart(p, off, n)
		size -= n
		if addr = addr.Add(n); uint64(addr)&(pageSize-1) != 0 {
			break // the end of the address space
		}
	}
	return fresh
}

func (s *pages) capturePart(p *page, off, n uint64) uint64 {
	if p.full {
		return 0
	}
	if n == pageSize {
		fresh := uint64(pageSize)
		if p.captured != nil {
			for _, w := range p.captured {
				fresh -= uint64(bits.OnesCount64(w))
			}
		}
		p.full, p.captured = true, nil
		return fresh
	}
	if p.captured == nil {
		p.captured = take(&s.bits, 256)
	}
	fresh := 0
	for n > 0 {
		bit := off & 63
		span := min(64-bit, n)
		mask := ^uint64(0) >> (64 - span) << bit
		w := &p.captured[off>>6]
		fresh += bits.OnesCount64(mask &^ *w)
		*w |= mask
		off += span
		n -= span
	}
	return uint64(fresh)
}

// fresh returns how many bytes of [addr, addr+size) are not captured.
func (s *pages) fresh(addr memory.Address, size uint64) (n uint64) {
	for size > 0 {
		off := uint64(addr) & (pageSize - 1)
		part := min(pageSize-off, size)
		p := s.find(addr)
		switch {
		case p == nil || !p.full && p.captured == nil:
			n += part
		case !p.full:
			for i := off; i < off+part; {
				bit := i & 63
				span := min(64-bit, off+part-i)
				mask := ^uint64(0) >> (64 - span) << bit
				n += uint64(bits.OnesCount64(mask &^ p.captured[i>>6]))
				i += span
			}
		}
		size -= part
		if addr = addr.Add(part); uint64(addr)&(pageSize-1) != 0 {
			break
		}
	}
	return n
}

// visited reports whether a value of a plan was walked at addr with at least
// this rank.
func (p *page) visited(addr memory.Address, plan uint32, rank uint16) bool {
	if p.marks == nil {
		return false
	}
	m := p.marks[(uint64(addr)&(pageSize-1))/wordBytes]
	return uint32(m>>rankBits) == plan && uint16(m&maxRank) >= rank
}

// visit marks that a value of a plan is walked at addr, an aligned address. It
// reports false if that was done before with at least this rank.
//
// If two plans start at one word (a struct and its first field), the later one
// wins. The earlier one may then be walked again, which costs only time: no
// byte is captured twice and every step counts.
func (s *pages) visit(addr memory.Address, plan uint32, rank uint16) bool {
	p := s.at(addr)
	if p.visited(addr, plan, rank) {
		return false
	}
	if p.marks == nil {
		p.marks = take(&s.mark, 64)
	}
	p.marks[(uint64(addr)&(pageSize-1))/wordBytes] = visitMark(plan<<rankBits | uint32(rank))
	return true
}

// begin marks that a value begins at addr.
func (s *pages) begin(addr memory.Address) {
	if !addr.Aligned(wordBytes) {
		return
	}
	p := s.at(addr)
	if p.starts == nil {
		p.starts = take(&s.start, 256)
	}
	n := uint64(addr) & (pageSize - 1) / wordBytes
	p.starts[n>>6] |= 1 << (n & 63)
}

// begins reports whether begin marked addr.
func (p *page) begins(addr memory.Address) bool {
	n := uint64(addr) & (pageSize - 1) / wordBytes
	return p.starts != nil && p.starts[n>>6]>>(n&63)&1 != 0
}

// affordable returns how many bytes from addr can be captured if at most most
// of them may be new.
func (s *pages) affordable(addr memory.Address, size, most uint64) uint64 {
	for done := uint64(0); done < size; {
		n := min(pageSize-uint64(addr.Add(done))&(pageSize-1), size-done)
		fresh := s.fresh(addr.Add(done), n)
		if fresh > most {
			for n = 0; s.fresh(addr.Add(done), n+1) <= most; n++ {
			}
			return done + n
		}
		most -= fresh
		done += n
	}
	return size
}

// readable returns how many bytes from addr can be read. With sparse it checks
// only the last page of each chunk: memory is mapped in pieces. It goes no
// further than the walk may.
func (s *pages) readable(addr memory.Address, size uint64, sparse bool) uint64 {
	step := uint64(pageSize)
	if sparse {
		step = chunkBytes
	}
	for done := uint64(0); done < size; {
		if s.count > s.most {
			return done
		}
		off := uint64(addr.Add(done)) & (pageSize - 1)
		n := min(step-off, size-done)
		last := addr.Add(done + n - 1)
		p := s.at(last)
		s.need(p)
		switch p.state {
		case pageMissing:
			if sparse {
				return done + s.readable(addr.Add(done), n, false)
			}
			return done
		case pagePatchy:
			b := make([]byte, n)
			if got, _ := s.mem.ReadAt(b, addr.Add(done)); uint64(got) < n {
				return done + uint64(max(got, 0))
			}
		}
		done += n
	}
	return size
}

// nextBit returns the first bit from off that is set (or clear), or pageSize.
func nextBit(b *[pageSize / 64]uint64, off int, set bool) int {
	for off < pageSize {
		w := b[off>>6]
		if !set {
			w = ^w
		}
		w >>= off & 63
		if w != 0 {
			return off + bits.TrailingZeros64(w)
		}
		off = (off | 63) + 1
	}
	return pageSize
}
