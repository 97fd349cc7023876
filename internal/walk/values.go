package walk

import (
	"encoding/binary"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/runtime/format/note"
)

var le = binary.LittleEndian

// pushRoot queues a root's own bytes.
func (w *walker) pushRoot(i int) {
	root := &w.cfg.Roots[i]
	p := w.planOf(root.Type)
	rank := maxRank
	if root.Depth >= 0 {
		rank = min(maxRank, int(own)+root.Depth)
	}
	count := max(root.Count, 1)
	whole := count
	if root.Bytes > 0 && p.size > 0 {
		whole = min(count, root.Bytes/p.size)
	}
	it := item{addr: root.Addr, plan: p, count: whole, root: int32(i), rank: uint16(rank)}
	w.push(it)
	if rest := rootBytes(root) - mul(whole, p.size); rest > 0 {
		it.addr, it.plan, it.count = root.Addr.Add(mul(whole, p.size)), w.bytePlan(), rest
		it.rank = own
		w.push(it)
	}
}

// rootBytes returns the size of a root's own memory.
func rootBytes(root *Root) uint64 {
	size := mul(max(root.Count, 1), root.Type.Size)
	if root.Bytes > 0 {
		size = min(size, root.Bytes)
	}
	return size
}

// values walks count consecutive values.
func (w *walker) values(it *item) {
	w.compile(it.plan)
	for it.plan.array != nil { // the elements of an array are values like others
		it.count, it.plan = mul(it.count, it.plan.length), it.plan.array
		w.compile(it.plan)
	}
	if it.plan.leaf() && it.plan.size > chunkBytes {
		it.count, it.plan = mul(it.count, it.plan.size), w.bytePlan()
	}
	p := it.plan
	if p.size == 0 || it.count == 0 {
		return
	}
	if !p.leaf() && !it.addr.Aligned(wordBytes) && len(p.slots) > 0 {
		w.record(it.root, it.rank, BadPointer, it.addr, p)
		return
	}
	if w.ex.hides(it.addr) {
		return
	}
	n := min(it.count, max(chunkBytes/p.size, 1))
	total := n * p.size
	w.effort += int(total / pageSize)
	readable := w.pages.readable(it.addr, total, it.sparse())
	if readable < total {
		w.unreadable(it, it.addr.Add(readable))
		total = readable
	}
	allowed := total
	if it.rank >= own {
		allowed = w.capture(it.root, it.addr, total)
	}
	w.elements(it, allowed/p.size)
	if readable < n*p.size {
		return
	}
	rest := *it
	if allowed < total {
		// The part that the budget cuts off may still contain excluded values.
		done := allowed / p.size
		rest.addr, rest.count, rest.rank = it.addr.Add(done*p.size), it.count-done, w.shadowRank()
		w.push(rest)
		return
	}
	if it.count > n {
		rest.addr, rest.count = it.addr.Add(total), it.count-n
		w.again(rest)
	}
}

// sparse reports whether the walk reads only a few bytes of an item, to check
// that they exist: bulk data without pointers.
func (it *item) sparse() bool {
	return it.kind == itemValues && it.plan.compiled && it.plan.leaf() && mul(it.count, it.plan.size) > probeBytes
}

func (w *walker) unreadable(it *item, addr memory.Address) {
	w.record(it.root, it.rank, UnreadableMem, addr, it.plan)
	if w.audit != nil {
		return
	}
	root := &w.cfg.Roots[it.root]
	if it.rank >= own && memory.RangeOf(root.Addr, rootBytes(root)).Contains(addr) {
		w.roots[it.root].unreadable = true
	}
}

// elements follows the first n values of an item, whose bytes are readable.
func (w *walker) elements(it *item, n uint64) {
	p := it.plan
	w.stats.Values++
	if p.leaf() {
		return
	}
	for i := uint64(0); i < n; i++ {
		addr := it.addr.Add(i * p.size)
		root, fresh := w.visit(it, addr)
		if !fresh {
			continue
		}
		if i > 0 {
			w.stats.Values++
		}
		if p.size > chunkBytes {
			w.giant(p, addr, root, it.rank)
			continue
		}
		data, ok := w.pages.bytes(addr, p.size)
		if !ok {
			w.unreadable(it, addr)
			return
		}
		w.follow(p, addr, data, root, it.rank)
	}
}

// visit reports whether to follow an element of an item, and for which root.
func (w *walker) visit(it *item, addr memory.Address) (root int32, fresh bool) {
	if w.audit != nil {
		return w.enterElement(it, addr)
	}
	// Values with pointers are aligned; others may share a word.
	return it.root, len(it.plan.slots) == 0 || w.pages.visit(addr, it.plan.id, it.rank)
}

// follow queues the targets of a value's pointers. It must not call
// pages.bytes, whose scratch memory may contain data.
func (w *walker) follow(p *typePlan, addr memory.Address, data []byte, root int32, rank uint16) {
	if p.array != nil {
		w.loop(p.array, p.length, addr, data, root, rank)
		return
	}
	for i := range p.slots {
		s := &p.slots[i]
		if s.op == opLoop || !w.blank(addr.Add(s.off)) {
			w.slot(s, addr.Add(s.off), data[s.off:], root, rank)
		}
	}
	for i := range p.secrets {
		s := &p.secrets[i]
		w.ex.meet(s, addr.Add(s.off))
	}
}

// giant follows a value that is too big to be read in one piece.
func (w *walker) giant(p *typePlan, addr memory.Address, root int32, rank uint16) {
	for i := range p.slots {
		s := &p.slots[i]
		at := addr.Add(s.off)
		if s.op == opLoop {
			w.slot(s, at, nil, root, rank)
			continue
		}
		if w.blank(at) {
			continue
		}
		data, ok := w.pages.bytes(at, s.op.width())
		if !ok {
			w.record(root, rank, UnreadableMem, at, p)
			return
		}
		w.slot(s, at, data, root, rank)
	}
	for i := range p.secrets {
		s := &p.secrets[i]
		w.ex.meet(s, addr.Add(s.off))
	}
}

// deeper returns the rank after following a pointer from a value of this rank.
func (w *walker) deeper(rank uint16) uint16 {
	switch {
	case rank == maxRank || rank == shadow || rank == 0:
		return rank
	case rank == own:
		return w.shadowRank()
	}
	return rank - 1
}

// shadowRank returns the rank of values that are not captured.
func (w *walker) shadowRank() uint16 {
	if w.ex.byType {
		return shadow
	}
	return 0
}

// slot follows one pointer or header; data begins at it.
func (w *walker) slot(s *slot, addr memory.Address, data []byte, root int32, rank uint16) {
	if s.op == opLoop {
		w.loop(s.elem, s.length, addr, data, root, rank)
		return
	}
	first := goobject.Pointer(data)
	if first == 0 {
		return
	}
	next := item{addr: first, plan: s.elem, count: 1, root: root, rank: w.deeper(rank)}
	switch s.op {
	case opPointer:
		switch {
		case s.elem.opaque:
			next.rank = w.opaqueRank(rank)
		case s.elem.free:
			next.rank = rank
		}
	case opString:
		var length uint64
		if !w.settled(addr, data[:s.op.width()], func() bool {
			var err error
			next.addr, length, err = goobject.String(data)
			return err == nil
		}) {
			w.record(root, rank, BadHeader, addr, s.holder)
			return
		}
		next.count = length
	case opSlice:
		var header memory.Slice
		if !w.settled(addr, data[:s.op.width()], func() bool {
			var err error
			header, err = goobject.Slice(data, s.elem.size)
			return err == nil
		}) {
			w.record(root, rank, BadHeader, addr, s.holder)
			return
		}
		if s.elem.size == 0 {
			return
		}
		next.addr, next.count = header.Data, header.Len
	case opEface, opIface:
		w.iface(s, addr, data, root, rank)
		return
	case opMap:
		next.kind = itemMap
	case opChan:
		next.kind = itemChan
	case opFunc:
		next.kind = itemClosure
	case opWeak:
		next.kind = itemWeak
	case opTimer: // a part of the timer
		if data[0] != 1 || !w.isTimer(addr.Add(s.length)) {
			return
		}
		next.addr, next.rank = addr.Add(s.length), rank
	case opTrie: // the map was paid for with the pointer to its root
		next.kind, next.rank = itemTrie, rank
	case opUnknown:
		w.untyped(root)
		return
	case opBroken:
		w.record(root, rank, UnknownLayout, addr, s.holder)
		return
	}
	if rank == own && next.rank < own && next.count > 0 {
		w.omit(next.addr, note.Depth)
	}
	w.push(next)
}

// opaqueRank returns the rank of the runtime's own objects: their bytes are
// captured, but following them would capture the scheduler.
func (w *walker) opaqueRank(rank uint16) uint16 {
	if rank > own {
		return own
	}
	return 0
}

// loop follows an array within a value.
func (w *walker) loop(elem *typePlan, length uint64, addr memory.Address, data []byte, root int32, rank uint16) {
	size := mul(length, elem.size)
	if data == nil || size > pageSize {
		// The bytes are captured with the containing value; this is the same value,
		// so it costs no depth.
		w.push(item{addr: addr, plan: elem, count: length, root: root, rank: rank})
		return
	}
	for i := range length {
		off := i * elem.size
		w.follow(elem, addr.Add(off), data[off:], root, rank)
	}
}

// iface follows an interface: its dynamic type first.
func (w *walker) iface(s *slot, addr memory.Address, data []byte, root int32, rank uint16) {
	var p *typePlan
	kind := BadItab
	if s.op == opEface {
		kind = BadType
	}
	if !w.settled(addr, data[:goobject.InterfaceSize], func() bool {
		word := goobject.Pointer(data)
		if kind == BadType {
			p = w.dynamic(word)
		} else {
			p = w.itab(word, s.typ)
		}
		return p != nil || word == 0
	}) {
		w.record(root, rank, kind, addr, s.holder)
		return
	}
	if p == nil { // it has become nil
		return
	}
	if p.direct {
		// The data word is the value, so it costs no depth.
		w.compile(p)
		w.follow(p, addr.Add(goobject.InterfaceData), data[goobject.InterfaceData:goobject.InterfaceSize], root, rank)
		return
	}
	if ptr := goobject.Pointer(data[goobject.InterfaceData:]); ptr != 0 && p.size > 0 {
		if rank == own {
			w.omit(ptr, note.Depth)
		}
		w.push(item{addr: ptr, plan: p, count: 1, root: root, rank: w.deeper(rank)})
	}
}
