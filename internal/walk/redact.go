package walk

import (
	"errors"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
)

// redactReachable covers what a value of an excluded type leads to: the bytes
// of strings and slices, the targets of pointers, values in interfaces, tables
// of maps, buffers of channels. In those (depth 1) it covers strings and other
// data without pointers, and goes no further: an excluded field that points
// back at its owner must not redact the program.
//
// p is a raw plan: exclusions hide nothing from it.
func (x *excluder) redactReachable(rule int, p *typePlan, addr memory.Address, depth int) {
	w := x.w
	w.compile(p)
	if len(p.slots) == 0 && p.array == nil || !addr.Aligned(wordBytes) {
		return
	}
	if p.array != nil {
		x.redactEach(rule, p.array, addr, p.length, depth)
		return
	}
	for i := range p.slots {
		s := &p.slots[i]
		x.redactSlot(rule, s, addr.Add(s.off), depth)
	}
}

func (x *excluder) redactEach(rule int, p *typePlan, addr memory.Address, n uint64, depth int) {
	x.w.compile(p)
	if p.leaf() && p.array == nil {
		return
	}
	for i := range min(n, maxReachable) {
		x.redactReachable(rule, p, addr.Add(i*p.size), depth)
	}
	if n > maxReachable {
		x.blind++
	}
}

// read returns bytes that an excluded value leads to.
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

// remember keeps a copy of what was read, to compare it with a later reading.
// It copies because data may be part of a page that is dropped.
func (x *excluder) remember(addr memory.Address, data []byte) {
	const most = 64 << 20
	if x.seenBytes += len(data); x.seenBytes > most {
		x.seenAll = false
		return
	}
	x.seen = append(x.seen, memory.Piece{Addr: addr, Data: slices.Clone(data)})
}

// words reads the n words of a header; nil if they are unreadable.
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

func (x *excluder) redactSlot(rule int, s *slot, addr memory.Address, depth int) {
	if s.op == opLoop {
		x.redactEach(rule, s.elem, addr, s.length, depth)
		return
	}
	words := x.words(addr, s.op.width()/wordBytes)
	if words == nil || words[0] == 0 {
		return
	}
	ptr := memory.Address(words[0])
	switch s.op {
	case opString:
		x.coverReachable(rule, ptr, words[1])
	case opSlice:
		// Old values may remain after the length, so use the capacity.
		x.target(rule, s.elem, ptr, max(words[1], words[2]), depth)
	case opPointer:
		x.target(rule, s.elem, ptr, 1, depth)
	case opWeak:
		if held := x.words(ptr, 1); held != nil && held[0] != 0 {
			x.coverReachable(rule, ptr, wordBytes)
			x.target(rule, s.elem, memory.Address(held[0]), 1, depth)
		}
	case opTimer:
		x.coverReachable(rule, addr.Add(s.length), s.elem.size)
	case opUnknown:
		if depth == 0 {
			x.coverObject(rule, ptr)
		}
	case opEface, opIface:
		x.redactInterface(rule, s, words, addr, depth)
	case opMap:
		if depth == 0 {
			x.redactMap(rule, s.elem, ptr)
		}
	case opChan:
		if depth == 0 {
			x.redactChan(rule, s.elem, ptr)
		}
	case opFunc:
		if depth == 0 {
			x.redactClosure(rule, ptr)
		}
	case opTrie:
		if depth == 0 {
			x.redactTrie(rule, s.elem, ptr)
		}
	}
}

// target covers n values that an excluded one points to.
func (x *excluder) target(rule int, p *typePlan, addr memory.Address, n uint64, depth int) {
	x.w.compile(p)
	leaf := len(p.slots) == 0 && (p.array == nil || p.typ.PtrBytes == 0)
	if depth > 0 && !leaf {
		return
	}
	x.coverReachable(rule, addr, mul(n, p.size))
	if !leaf {
		x.redactEach(rule, p, addr, n, depth+1)
	}
}

func (x *excluder) redactInterface(rule int, s *slot, words []uint64, addr memory.Address, depth int) {
	var p *typePlan
	if s.op == opEface {
		p = x.w.dynamic(memory.Address(words[0]))
	} else {
		p = x.w.itab(memory.Address(words[0]), s.typ)
	}
	switch {
	case p == nil:
		if depth == 0 {
			x.coverObject(rule, memory.Address(words[1]))
		}
	case p.direct:
		x.redactReachable(rule, x.w.rawPlan(p.typ), addr.Add(goobject.InterfaceData), depth)
	default:
		x.target(rule, x.w.rawPlan(p.typ), memory.Address(words[1]), 1, depth)
	}
}

func (x *excluder) redactMap(rule int, p *typePlan, addr memory.Address) {
	x.w.compile(p)
	m := p.m
	if m == nil {
		x.coverObject(rule, addr)
		return
	}
	data, ok := x.read(addr, goobject.MapHeaderSize)
	if !ok {
		return
	}
	x.coverReachable(rule, addr, goobject.MapHeaderSize)
	h, err := m.Header(data)
	if err != nil {
		x.blind++
		return
	}
	for piece := range m.Pieces(h, x.read, 16*maxReachable) {
		switch {
		case errors.Is(piece.Err, goobject.ErrLimit):
			x.blind++
			return
		case errors.Is(piece.Err, goobject.ErrUnreadable):
			continue
		case piece.Err != nil:
			x.blind++
		}
		x.coverReachable(rule, piece.Start, piece.Size())
		for key, elem := range m.Entries(piece) {
			x.redactEntry(rule, m.key, m.IndirectKey, key)
			x.redactEntry(rule, m.elem, m.IndirectElem, elem)
		}
	}
}

func (x *excluder) redactEntry(rule int, p *typePlan, indirect bool, addr memory.Address) {
	if !indirect {
		x.redactReachable(rule, p, addr, 1)
	} else if ptr := x.words(addr, 1); ptr != nil {
		x.target(rule, p, memory.Address(ptr[0]), 1, 0)
	}
}

func (x *excluder) redactChan(rule int, p *typePlan, addr memory.Address) {
	chans := x.w.chans
	data, ok := x.read(addr, chans.Size)
	if !ok {
		return
	}
	x.w.compile(p)
	if p.chanElem == nil {
		x.coverObject(rule, addr)
		return
	}
	x.w.compile(p.chanElem)
	c, err := chans.Chan(data, p.chanElem.typ)
	if err != nil {
		x.coverObject(rule, addr)
		return
	}
	x.coverReachable(rule, addr, chans.Size)
	x.target(rule, p.chanElem, c.Buf, c.Cap, 0)
	for waiter, err := range chans.Waiters(addr, c.Senders, x.read, maxReachable) {
		if err != nil && !errors.Is(err, goobject.ErrUnreadable) {
			x.blind++
		}
		if waiter.Elem != 0 {
			x.target(rule, p.chanElem, waiter.Elem, 1, 0)
		}
	}
}

func (x *excluder) redactClosure(rule int, addr memory.Address) {
	words := x.words(addr, 1)
	if words == nil {
		return
	}
	vars := x.w.closureVars(memory.Address(words[0]))
	for i, v := range vars {
		if v.Type != nil {
			for _, typ := range x.w.heldTypes(addr, vars, i) {
				x.coverReachable(rule, addr.Add(v.Offset), typ.Size)
				x.redactReachable(rule, x.w.rawPlan(typ), addr.Add(v.Offset), 1)
			}
		}
	}
}

// redactTrie covers the entries of a sync.Map.
func (x *excluder) redactTrie(rule int, inner *typePlan, root memory.Address) {
	anySlot := slot{op: opEface, holder: inner.trieEntry}
	for node := range inner.trie.Nodes(root, x.read, maxReachable) {
		switch {
		case errors.Is(node.Err, goobject.ErrLimit):
			x.blind++
			return
		case errors.Is(node.Err, goobject.ErrUnreadable):
			continue
		case node.Err != nil:
			x.blind++
			continue
		}
		x.coverReachable(rule, node.Start, node.Size())
		if node.Entry {
			x.redactSlot(rule, &anySlot, node.Key, 0)
			x.redactSlot(rule, &anySlot, node.Value, 0)
		}
	}
}
