package walk

import (
	"math/bits"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A mapPlan is the layout of a map's storage: groups of eight slots, be they
// the groups of a swiss table or buckets. Both begin with eight control bytes.
type mapPlan struct {
	swiss     bool
	key, elem *plan
	// The key of slot i stands at keys + i*keyStride of its group, or a pointer
	// to it when keyIndirect is set; elements likewise.
	keys, keyStride           uint64
	elems, elemStride         uint64
	keyIndirect, elemIndirect bool
	overflow                  uint64 // offset of a bucket's pointer to the next one
	group                     *plan  // stands for a group: its number and size
	table                     *plan  // stands for a table
}

const (
	slotsPerGroup = 8
	mapHeaderSize = 48 // of both kinds, in all versions
	tableSize     = 32
	mostTable     = 1024 // slots of a swiss table
	mostB         = 48   // buckets are 1<<B
	mostDepth     = 40   // a directory is 1<<depth
)

// live reports whether a slot with this control byte holds an entry.
func (m *mapPlan) live(ctrl byte) bool {
	if m.swiss {
		return ctrl&0x80 == 0
	}
	return ctrl >= 5 // below are empty, and evacuated to the new buckets
}

// A storage is a part of a map's memory that a header or a table points at.
type storage struct {
	kind  itemKind
	addr  memory.Address
	count uint64
}

// header decodes a map's header. It returns what the map is stored in, whether
// somebody was writing to the map, and whether the header makes sense.
func (m *mapPlan) header(h []byte) (parts []storage, writing, ok bool) {
	if m.swiss {
		used, dir, length, depth := le.Uint64(h), memory.Address(le.Uint64(h[16:])), le.Uint64(h[24:]), h[32]
		writing = h[34] != 0
		switch {
		case length == 0 && dir == 0:
			return nil, writing, used == 0
		case length == 0:
			return []storage{{itemGroups, dir, 1}}, writing, used <= slotsPerGroup
		}
		return []storage{{itemDirectory, dir, length}}, writing, dir != 0 && depth <= mostDepth && length == 1<<depth
	}
	const writingFlag, sameSizeFlag = 4, 8
	flags, b := h[8], h[9]
	buckets, old := memory.Address(le.Uint64(h[16:])), memory.Address(le.Uint64(h[24:]))
	writing = flags&writingFlag != 0
	if b > mostB {
		return nil, writing, false
	}
	if buckets != 0 {
		parts = append(parts, storage{itemBuckets, buckets, 1 << b})
	}
	if old != 0 {
		n := uint64(1) << b
		if flags&sameSizeFlag == 0 {
			if b == 0 {
				return nil, writing, false
			}
			n >>= 1
		}
		parts = append(parts, storage{itemBuckets, old, n})
	}
	return parts, writing, true
}

// tableGroups decodes a swiss table: its groups, and whether it makes sense.
func tableGroups(t []byte) (storage, bool) {
	capacity, data, mask := uint64(le.Uint16(t[2:])), memory.Address(le.Uint64(t[16:])), le.Uint64(t[24:])
	index := int64(le.Uint64(t[8:])) // -1 in a table that was split and belongs to no map any more
	ok := data != 0 && mask < mostTable && bits.OnesCount64(mask+1) == 1 &&
		(mask+1)*slotsPerGroup == capacity && index >= 0
	return storage{itemGroups, data, mask + 1}, ok
}

func (w *walker) mapHeader(it *item) {
	w.compile(it.plan)
	m := it.plan.m
	if m == nil {
		w.record(it.root, it.rank, UnknownLayout, it.addr, it.plan)
		return
	}
	h, ok := w.object(it, mapHeaderSize)
	if !ok {
		return
	}
	parts, writing, ok := m.header(h)
	if writing {
		w.record(it.root, it.rank, MapWriting, it.addr, it.plan)
		w.writing = append(w.writing, it.addr)
	}
	if !ok {
		w.record(it.root, it.rank, BadMap, it.addr, it.plan)
		return
	}
	for _, part := range parts {
		w.push(item{addr: part.addr, plan: it.plan, count: part.count, root: it.root, rank: it.rank, kind: part.kind})
	}
}

// object captures and returns the size bytes of an object that is not a value
// of its plan's type. It reports false when there is nothing more to do.
func (w *walker) object(it *item, size uint64) ([]byte, bool) {
	w.stats.Values++
	if !it.addr.Aligned(wordBytes) {
		w.record(it.root, it.rank, BadPointer, it.addr, it.plan)
		return nil, false
	}
	if w.ex.hides(it.addr) || !w.pages.visit(it.addr, it.plan.id, it.rank) {
		return nil, false
	}
	data, ok := w.pages.bytes(it.addr, size)
	if !ok {
		w.record(it.root, it.rank, UnreadableMem, it.addr, it.plan)
		return nil, false
	}
	if it.rank >= own && w.capture(it.root, it.addr, size) < size {
		return nil, false
	}
	return data, true
}

// mapDirectory goes through a swiss map's pointers to tables.
func (w *walker) mapDirectory(it *item) {
	n := min(it.count, chunkBytes/wordBytes)
	w.stats.Values++
	data, ok := w.pages.bytes(it.addr, n*wordBytes)
	if !ok || !it.addr.Aligned(wordBytes) {
		w.record(it.root, it.rank, UnreadableMem, it.addr, it.plan)
		return
	}
	if it.rank >= own && w.capture(it.root, it.addr, n*wordBytes) < n*wordBytes {
		return
	}
	last := memory.Address(0)
	for i := uint64(0); i < n; i++ {
		table := memory.Address(le.Uint64(data[i*wordBytes:]))
		if table == last { // a table of lesser depth stands in several entries
			continue
		}
		last = table
		w.push(item{addr: table, plan: it.plan, count: 1, root: it.root, rank: it.rank, kind: itemTable})
	}
	if it.count > n {
		rest := *it
		rest.addr, rest.count = it.addr.Add(n*wordBytes), it.count-n
		w.again(rest)
	}
}

func (w *walker) mapTable(it *item) {
	holder := it.plan
	it.plan = holder.m.table
	t, ok := w.object(it, tableSize)
	if !ok {
		return
	}
	groups, ok := tableGroups(t)
	if !ok {
		w.record(it.root, it.rank, BadMap, it.addr, holder)
		return
	}
	w.push(item{addr: groups.addr, plan: holder, count: groups.count, root: it.root, rank: it.rank, kind: itemGroups})
}

// mapGroups follows the keys and elements of groups, and of buckets.
func (w *walker) mapGroups(it *item) {
	m := it.plan.m
	size := m.group.size
	n := min(it.count, max(chunkBytes/size, 1))
	if !it.addr.Aligned(wordBytes) || w.pages.readable(it.addr, n*size, false) < n*size {
		w.record(it.root, it.rank, UnreadableMem, it.addr, it.plan)
		return
	}
	if it.rank >= own && w.capture(it.root, it.addr, n*size) < n*size {
		return
	}
	for i := uint64(0); i < n; i++ {
		addr := it.addr.Add(i * size)
		w.stats.Values++
		if !w.pages.visit(addr, m.group.id, it.rank) {
			continue
		}
		data, ok := w.pages.bytes(addr, size)
		if !ok {
			return
		}
		w.mapGroup(m, addr, data, it)
	}
	if it.count > n {
		rest := *it
		rest.addr, rest.count = it.addr.Add(n*size), it.count-n
		w.again(rest)
	}
}

func (w *walker) mapGroup(m *mapPlan, addr memory.Address, data []byte, it *item) {
	for i := uint64(0); i < slotsPerGroup; i++ {
		alive := m.live(data[i])
		w.mapSlot(m.key, m.keyIndirect, alive, addr, data, m.keys+i*m.keyStride, it)
		w.mapSlot(m.elem, m.elemIndirect, alive, addr, data, m.elems+i*m.elemStride, it)
	}
	if m.swiss {
		return
	}
	if next := memory.Address(le.Uint64(data[m.overflow:])); next != 0 {
		w.push(item{addr: next, plan: it.plan, count: 1, root: it.root, rank: it.rank, kind: itemBuckets})
	}
}

// mapSlot follows the key or the element at an offset of a group.
func (w *walker) mapSlot(p *plan, indirect, alive bool, group memory.Address, data []byte, off uint64, it *item) {
	switch {
	case indirect:
		if ptr := memory.Address(le.Uint64(data[off:])); alive && ptr != 0 {
			// It is a part of the map like one that stands in the group.
			w.push(item{addr: ptr, plan: p, count: 1, root: it.root, rank: it.rank})
		}
	case alive:
		w.follow(p, group.Add(off), data[off:off+p.size], it.root, it.rank)
	case w.ex.byType: // an entry may have been here
		w.ex.coverParts(p, group.Add(off))
	}
}
