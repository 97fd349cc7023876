package walk

import (
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// holds covers what a value of an excluded type holds directly: a string's and
// a slice's bytes, a pointer's target, an interface's value, a map's tables, a
// channel's buffer. In what those hold (depth 1) it covers texts and other
// bulk data without pointers, and goes no further: an excluded field that
// points back at its owner must not erase the program.
//
// p is a plan that exclusions do not hide anything from.
func (x *excluder) holds(rule int, p *plan, addr memory.Address, depth int) {
	w := x.w
	w.compile(p)
	if len(p.slots) == 0 && p.array == nil || !addr.Aligned(wordBytes) {
		return
	}
	if p.array != nil {
		x.holdsEach(rule, p.array, addr, p.length, depth)
		return
	}
	for i := range p.slots {
		s := &p.slots[i]
		x.holdsSlot(rule, s, addr.Add(s.off), depth)
	}
}

func (x *excluder) holdsEach(rule int, p *plan, addr memory.Address, n uint64, depth int) {
	x.w.compile(p)
	if p.leaf() && p.array == nil {
		return
	}
	for i := range min(n, mostHeld) {
		x.holds(rule, p, addr.Add(i*p.size), depth)
	}
	if n > mostHeld {
		x.blind++
	}
}

// read returns bytes of what an excluded value holds.
func (x *excluder) read(addr memory.Address, size uint64) ([]byte, bool) {
	data, ok := x.w.pages.lasting(addr, size)
	if !ok {
		x.lose(addr, size)
	}
	if ok && x.w.cfg.Moving {
		x.remember(addr, data)
	}
	return data, ok
}

// remember keeps what was read, to hold it against a later reading: a copy,
// since data may be a part of a page that is forgotten.
func (x *excluder) remember(addr memory.Address, data []byte) {
	const most = 64 << 20
	if x.seenBytes += len(data); x.seenBytes > most {
		x.seenAll = false
		return
	}
	x.seen = append(x.seen, memory.Piece{Addr: addr, Data: slices.Clone(data)})
}

// words reads the n words of a header; nil when they cannot be read.
func (x *excluder) words(addr memory.Address, n uint64) []uint64 {
	data, ok := x.read(addr, n*wordBytes)
	if !ok {
		return nil
	}
	words := make([]uint64, n)
	for i := range words {
		words[i] = le.Uint64(data[i*wordBytes:])
	}
	return words
}

func (x *excluder) holdsSlot(rule int, s *slot, addr memory.Address, depth int) {
	if s.op == opLoop {
		x.holdsEach(rule, s.elem, addr, s.length, depth)
		return
	}
	words := x.words(addr, s.op.width()/wordBytes)
	if words == nil || words[0] == 0 {
		return
	}
	ptr := memory.Address(words[0])
	switch s.op {
	case opString:
		x.coverHeld(rule, ptr, words[1])
	case opSlice:
		// Behind the length may stand what was there before: the capacity counts.
		x.target(rule, s.elem, ptr, max(words[1], words[2]), depth)
	case opPointer:
		x.target(rule, s.elem, ptr, 1, depth)
	case opWeak:
		if held := x.words(ptr, 1); held != nil && held[0] != 0 {
			x.coverHeld(rule, ptr, wordBytes)
			x.target(rule, s.elem, memory.Address(held[0]), 1, depth)
		}
	case opUnknown:
		if depth == 0 {
			x.coverHeld(rule, ptr, unknownTarget)
		}
	case opEface, opIface:
		x.holdsIface(rule, s, words, addr, depth)
	case opMap:
		if depth == 0 {
			x.holdsMap(rule, s.elem, ptr)
		}
	case opChan:
		if depth == 0 {
			x.holdsChan(rule, s.elem, ptr)
		}
	case opFunc:
		if depth == 0 {
			x.holdsClosure(rule, ptr)
		}
	case opTrie:
		if depth == 0 {
			x.holdsTrie(rule, s.elem, ptr, mostHeld)
		}
	}
}

// target covers n values that an excluded one points at.
func (x *excluder) target(rule int, p *plan, addr memory.Address, n uint64, depth int) {
	x.w.compile(p)
	leaf := len(p.slots) == 0 && (p.array == nil || p.typ.PtrBytes == 0)
	if depth > 0 && !leaf {
		return
	}
	x.coverHeld(rule, addr, mul(n, p.size))
	if !leaf {
		x.holdsEach(rule, p, addr, n, depth+1)
	}
}

func (x *excluder) holdsIface(rule int, s *slot, words []uint64, addr memory.Address, depth int) {
	var p *plan
	if s.op == opEface {
		p = x.w.dynamic(memory.Address(words[0]))
	} else {
		p = x.w.itab(memory.Address(words[0]), s.typ)
	}
	switch {
	case p == nil:
		if depth == 0 {
			x.coverHeld(rule, memory.Address(words[1]), unknownTarget)
		}
	case p.direct:
		x.holds(rule, x.w.rawPlan(p.typ), addr.Add(wordBytes), depth)
	default:
		x.target(rule, x.w.rawPlan(p.typ), memory.Address(words[1]), 1, depth)
	}
}

func (x *excluder) holdsMap(rule int, p *plan, addr memory.Address) {
	x.w.compile(p)
	m := p.m
	if m == nil {
		x.coverHeld(rule, addr, unknownTarget)
		return
	}
	h, ok := x.read(addr, mapHeaderSize)
	if !ok {
		return
	}
	x.coverHeld(rule, addr, mapHeaderSize)
	parts, _, ok := m.header(h)
	if !ok {
		x.blind++
		return
	}
	left := uint64(16 * mostHeld) // groups and tables
	for _, part := range parts {
		if part.kind != itemDirectory {
			x.holdsGroups(rule, m, part, &left)
			continue
		}
		x.coverHeld(rule, part.addr, mul(part.count, wordBytes))
		last := memory.Address(0)
		for i := range part.count {
			if left == 0 {
				x.blind++
				return
			}
			left--
			word := x.words(part.addr.Add(i*wordBytes), 1)
			if word == nil {
				break
			}
			table := memory.Address(word[0])
			if table == last { // a table of lesser depth stands in several entries
				continue
			}
			last = table
			t, ok := x.read(table, tableSize)
			if !ok {
				continue
			}
			x.coverHeld(rule, table, tableSize)
			if groups, ok := tableGroups(t); ok {
				x.holdsGroups(rule, m, groups, &left)
			} else {
				x.blind++
			}
		}
	}
}

func (x *excluder) holdsGroups(rule int, m *mapPlan, part storage, left *uint64) {
	x.coverHeld(rule, part.addr, mul(part.count, m.group.size))
	for i := uint64(0); i < part.count; i++ {
		addr := part.addr.Add(i * m.group.size)
		for addr != 0 {
			if *left == 0 {
				x.blind++
				return
			}
			*left--
			data, ok := x.read(addr, m.group.size)
			if !ok {
				break
			}
			x.coverHeld(rule, addr, m.group.size)
			for k := uint64(0); k < slotsPerGroup; k++ {
				if m.live(data[k]) {
					x.holdsEntry(rule, m.key, m.keyIndirect, addr, data, m.keys+k*m.keyStride)
					x.holdsEntry(rule, m.elem, m.elemIndirect, addr, data, m.elems+k*m.elemStride)
				}
			}
			if addr = 0; !m.swiss {
				addr = memory.Address(le.Uint64(data[m.overflow:]))
			}
		}
	}
}

func (x *excluder) holdsEntry(rule int, p *plan, indirect bool, group memory.Address, data []byte, off uint64) {
	if indirect {
		x.target(rule, p, memory.Address(le.Uint64(data[off:])), 1, 0)
		return
	}
	x.holds(rule, p, group.Add(off), 1)
}

func (x *excluder) holdsChan(rule int, p *plan, addr memory.Address) {
	h, ok := x.read(addr, x.w.layout.chanSize)
	if !ok {
		return
	}
	x.w.compile(p)
	if p.chanElem == nil {
		x.coverHeld(rule, addr, unknownTarget)
		return
	}
	x.w.compile(p.chanElem)
	c, ok := decodeChannel(h, p.chanElem.typ.Addr, p.chanElem.size)
	if !ok {
		x.coverHeld(rule, addr, unknownTarget)
		return
	}
	x.coverHeld(rule, addr, x.w.layout.chanSize)
	x.target(rule, p.chanElem, c.buf, c.length, 0)
	waiter := c.sender
	for n := 0; waiter != 0; n++ {
		if n == mostHeld {
			x.blind++
			return
		}
		s := x.words(waiter, x.w.layout.sudogElem/wordBytes+1)
		if s == nil {
			return
		}
		x.target(rule, p.chanElem, memory.Address(s[x.w.layout.sudogElem/wordBytes]), 1, 0)
		waiter = memory.Address(s[sudogNext/wordBytes])
	}
}

func (x *excluder) holdsClosure(rule int, addr memory.Address) {
	words := x.words(addr, 1)
	if words == nil || x.w.cfg.Closure == nil {
		return
	}
	for _, v := range x.w.cfg.Closure(memory.Address(words[0])) {
		if v.Type != nil {
			x.coverHeld(rule, addr.Add(v.Offset), v.Type.Size)
			x.holds(rule, x.w.rawPlan(v.Type), addr.Add(v.Offset), 1)
		}
	}
}

// holdsTrie covers the entries of a sync.Map.
func (x *excluder) holdsTrie(rule int, inner *plan, addr memory.Address, left int) {
	queue := []memory.Address{addr}
	for len(queue) > 0 && left > 0 {
		addr, queue = queue[0], queue[1:]
		left--
		kind, ok := x.read(addr, 1)
		if !ok {
			continue
		}
		p := inner
		if kind[0] != 0 {
			p = inner.trieEntry
		}
		x.w.compile(p)
		x.coverHeld(rule, addr, p.size)
		for i := range p.slots {
			s := &p.slots[i]
			switch {
			case s.op == opTrie:
				if word := x.words(addr.Add(s.off), 1); word != nil && word[0] != 0 {
					queue = append(queue, memory.Address(word[0]))
				}
			case s.op == opEface:
				x.holdsSlot(rule, s, addr.Add(s.off), 0)
			}
		}
	}
	if len(queue) > 0 {
		x.blind++
	}
}
