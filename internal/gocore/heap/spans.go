package heap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A span is a run of pages that holds objects of one size.
type span struct {
	base     uint64
	size     uint64 // bytes of all its pages
	elem     uint64 // bytes of an object's slot
	alloc    uint64 // address of a bit for each slot: allocated when it was last swept
	mark     uint64 // address of a bit for each slot: marked by the collection under way, or not yet swept
	large    uint64 // address of the type of a single large object
	specials uint64 // address of the first runtime.special
	word     uint64 // number of its first word, of those of spans that are scanned; see typedGraph
	first    uint32 // number of its first slot
	nelems   uint32
	free     uint32 // slots below it are in use
	divMul   uint32 // offset*divMul>>32 is offset/elem
	sweepgen uint32
	count    uint16 // objects in use, as the runtime counts
	class    uint8
	arena    bool // a chunk of a user arena: its mask is elsewhere
}

func (s *span) noscan() bool  { return s.class&1 != 0 }
func (s *span) isLarge() bool { return s.class>>1 == 0 }

var errNotSpan = errors.New("not a span")

// decode reads a runtime.mspan that holds objects. Its parts are checked against
// each other: wrong offsets cannot give a span. state is the span's state.
func (l *Layout) decode(b []byte) (s span, state uint8, err error) {
	le := binary.LittleEndian
	pages := le.Uint64(b[spanPages:])
	s = span{base: le.Uint64(b[spanBase:])}
	state = b[l.class+1]
	if state > spanManual || s.base%pageSize != 0 {
		return s, state, fmt.Errorf("%w: state %d, base %#x", errNotSpan, state, s.base)
	}
	if state == 0 {
		return s, state, nil
	}
	if pages == 0 || pages > maxPages || s.base == 0 || s.base > 1<<56 {
		return s, state, fmt.Errorf("%w: %d pages at %#x", errNotSpan, pages, s.base)
	}
	s.size = pages << pageShift
	if state == spanManual {
		return s, state, nil
	}
	s.elem = le.Uint64(b[l.elemSize:])
	nelems, free := le.Uint64(b[spanFreeIndex+8:]), le.Uint64(b[spanFreeIndex:])
	if !l.wide {
		nelems, free = uint64(le.Uint16(b[l.nelems:])), uint64(le.Uint16(b[spanFreeIndex:]))
	}
	s.class, s.divMul = b[l.class], le.Uint32(b[l.sweepgen+4:])
	if s.elem == 0 || s.elem%memory.PtrSize != 0 || nelems == 0 || nelems > s.size/s.elem || free > nelems {
		return s, state, fmt.Errorf("%w: %d objects of %d bytes in %d, the first free one is %d", errNotSpan, nelems, s.elem, s.size, free)
	}
	if s.isLarge() && nelems != 1 || !s.isLarge() && s.divMul != ^uint32(0)/uint32(s.elem)+1 {
		return s, state, fmt.Errorf("%w: class %d with %d objects of %d bytes, divided by %#x", errNotSpan, s.class>>1, nelems, s.elem, s.divMul)
	}
	if s.isLarge() {
		s.divMul = 0
	}
	s.nelems, s.free = uint32(nelems), uint32(free)
	s.alloc, s.mark = le.Uint64(b[l.alloc:]), le.Uint64(b[l.alloc+8:])
	s.sweepgen = le.Uint32(b[l.sweepgen:])
	s.count = le.Uint16(b[l.count:])
	s.specials = le.Uint64(b[l.specials:])
	s.arena = b[l.arena] != 0
	if l.large >= 0 {
		s.large = le.Uint64(b[l.large:])
	}
	return s, state, nil
}

// A pageTable finds the span of an address: a table of the arenas between the
// lowest and the highest, and for each arena in use a table of its pages.
type pageTable struct {
	low    uint64   // number of the first arena
	arenas []uint32 // number of the arena's table plus 1, 0 for none
	pages  []uint32 // arenaPages for each table: index of the span plus 1, 0 for none
}

const (
	arenaShift = 26
	arenaPages = 1 << (arenaShift - pageShift)
)

// newPageTable makes a table for spans, which may come in any order.
func newPageTable(spans []span) (pageTable, error) {
	t := pageTable{low: ^uint64(0)}
	high, pages := uint64(0), uint64(0)
	for i := range spans {
		s := &spans[i]
		t.low = min(t.low, s.base>>arenaShift)
		high = max(high, (s.base+s.size-1)>>arenaShift)
		pages += s.size >> pageShift
	}
	if len(spans) == 0 {
		return pageTable{}, nil
	}
	const maxArenas = 1 << 22 // 48 bits of addresses
	if high-t.low >= maxArenas || pages > maxPages {
		return t, fmt.Errorf("%w: %d pages between %#x and %#x", errNotSpan, pages, t.low<<arenaShift, high<<arenaShift)
	}
	t.arenas = make([]uint32, high-t.low+1)
	for i := range spans {
		s := &spans[i]
		for a := s.base >> arenaShift; a <= (s.base+s.size-1)>>arenaShift; a++ {
			if t.arenas[a-t.low] == 0 {
				t.pages = append(t.pages, make([]uint32, arenaPages)...)
				t.arenas[a-t.low] = uint32(len(t.pages) / arenaPages)
			}
		}
		if err := t.fill(s, i); err != nil {
			return t, err
		}
	}
	return t, nil
}

// fill makes the i-th span the owner of its pages.
func (t *pageTable) fill(s *span, i int) error {
	for a := s.base; a < s.base+s.size; a += pageSize {
		p := &t.pages[t.index(a)]
		if *p != 0 {
			return fmt.Errorf("%w: two of them at %#x", errNotSpan, a)
		}
		*p = uint32(i + 1)
	}
	return nil
}

// index returns the place of an address whose arena has a table.
func (t *pageTable) index(addr uint64) uint64 {
	return uint64(t.arenas[addr>>arenaShift-t.low]-1)*arenaPages | addr>>pageShift%arenaPages
}

// sorted returns the spans by address. The table is what sorts them.
func (t *pageTable) sorted(spans []span) []span {
	out := make([]span, 0, len(spans))
	for _, a := range t.arenas {
		if a == 0 {
			continue
		}
		pages := t.pages[(a-1)*arenaPages : a*arenaPages]
		for k, p := range pages {
			if p == 0 {
				continue
			}
			// A span over several pages is taken at its first.
			if n := len(out); n > 0 && out[n-1].base == spans[p-1].base {
				pages[k] = uint32(n)
				continue
			}
			out = append(out, spans[p-1])
			pages[k] = uint32(len(out))
		}
	}
	return out
}

// A bitset is a bit for each of many numbers.
type bitset []uint64

func newBitset(n uint32) bitset { return make(bitset, (uint64(n)+63)/64) }

func (b bitset) has(i uint32) bool { return b[i/64]>>(i%64)&1 != 0 }
func (b bitset) set(i uint32)      { b[i/64] |= 1 << (i % 64) }

// or sets the first n bits of from at the bits from i on, and returns how many
// those are.
func (b bitset) or(i uint32, from []byte, n uint32) int {
	count := 0
	for at := uint32(0); at < n; at += 64 {
		var word [8]byte
		copy(word[:], from[at/8:min(uint32(len(from)), at/8+8)])
		w := binary.LittleEndian.Uint64(word[:])
		if left := n - at; left < 64 {
			w &= 1<<left - 1
		}
		count += bits.OnesCount64(w)
		k, shift := (i+at)/64, (i+at)%64
		b[k] |= w << shift
		if high := w >> (64 - shift); shift > 0 && high != 0 {
			b[k+1] |= high
		}
	}
	return count
}
