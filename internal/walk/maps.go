package walk

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
)

// A mapPlan describes how to walk the maps of one type.
type mapPlan struct {
	*goobject.MapType
	key, elem *typePlan
	group     *typePlan // represents groups or buckets: their number and size
	table     *typePlan // represents tables
}

// extentKinds maps the extents of a map's storage to items.
var extentKinds = [...]itemKind{goobject.Groups: itemGroups, goobject.Buckets: itemBuckets, goobject.Directory: itemDirectory}

func (w *walker) mapHeader(it *item) {
	w.compile(it.plan)
	m := it.plan.m
	if m == nil {
		w.record(it.root, it.rank, UnknownLayout, it.addr, it.plan)
		return
	}
	data, ok := w.object(it, goobject.MapHeaderSize)
	if !ok {
		return
	}
	var h goobject.MapHeader
	var err error
	w.settled(it.addr, data, func() bool {
		h, err = m.Header(data)
		return err == nil && !h.Writing
	})
	if h.Writing {
		w.record(it.root, it.rank, MapWriting, it.addr, it.plan)
		w.writing = append(w.writing, it.addr)
	}
	if err != nil {
		w.record(it.root, it.rank, BadMap, it.addr, it.plan)
		return
	}
	for _, e := range h.Storage {
		w.pushExtent(it, it.plan, e)
	}
}

// pushExtent queues a part of the storage of a map, whose plan is p.
func (w *walker) pushExtent(it *item, p *typePlan, e goobject.Extent) {
	w.push(item{addr: e.Addr, plan: p, count: e.Count, root: it.root, rank: it.rank, kind: extentKinds[e.Kind]})
}

// object captures and returns the size bytes of an object that is not a value
// of its plan's type. It reports false if nothing is left to do.
func (w *walker) object(it *item, size uint64) ([]byte, bool) {
	w.stats.Values++
	if !it.addr.Aligned(wordBytes) {
		w.record(it.root, it.rank, BadPointer, it.addr, it.plan)
		return nil, false
	}
	if w.ex.hides(it.addr) || w.audit == nil && !w.pages.visit(it.addr, it.plan.id, it.rank) {
		return nil, false
	}
	data, ok := w.pages.bytes(it.addr, size)
	if !ok {
		w.record(it.root, it.rank, UnreadableMem, it.addr, it.plan)
		return nil, false
	}
	if it.rank >= own && w.capture(it.root, it.addr, size) < size || w.blank(it.addr) {
		return nil, false
	}
	return data, true
}

// mapDirectory visits a swiss map's pointers to tables.
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
		table := goobject.Pointer(data[i*wordBytes:])
		if table == last { // a table of a lesser depth has several consecutive entries
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
	data, ok := w.object(it, goobject.TableSize)
	if !ok {
		return
	}
	var groups goobject.Extent
	if !w.settled(it.addr, data, func() bool {
		var err error
		groups, err = holder.m.Table(data)
		return err == nil
	}) {
		w.record(it.root, it.rank, BadMap, it.addr, holder)
		return
	}
	w.pushExtent(it, holder, groups)
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
		if w.audit == nil && !w.pages.visit(addr, m.group.id, it.rank) {
			continue
		}
		data, ok := w.pages.bytes(addr, size)
		if !ok {
			return
		}
		if w.blank(addr) {
			continue
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
	for i := range uint64(goobject.Slots) {
		live := m.Live(data[i])
		w.mapSlot(m.key, m.IndirectKey, live, addr, data, m.KeyOffset(i), it)
		w.mapSlot(m.elem, m.IndirectElem, live, addr, data, m.ElemOffset(i), it)
	}
	if next := m.Next(data); next != 0 {
		w.push(item{addr: next, plan: it.plan, count: 1, root: it.root, rank: it.rank, kind: itemBuckets})
	}
}

// mapSlot follows the key or the element at an offset of a group.
func (w *walker) mapSlot(p *typePlan, indirect, live bool, group memory.Address, data []byte, off uint64, it *item) {
	switch {
	case indirect:
		if ptr := goobject.Pointer(data[off:]); live && ptr != 0 && !w.blank(group.Add(off)) {
			// It is a part of the map, like a key or element in the group.
			w.push(item{addr: ptr, plan: p, count: 1, root: it.root, rank: it.rank})
		}
	case live:
		w.follow(p, group.Add(off), data[off:off+p.size], it.root, it.rank)
	case w.ex.byType: // a deleted entry may have been here
		w.ex.coverParts(p, group.Add(off))
	}
}
