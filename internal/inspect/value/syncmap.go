package value

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// emptyInterface is the type of any: what a sync.Map's keys and values are.
var emptyInterface = &gotypes.Type{Kind: gotypes.Interface, Size: goobject.InterfaceSize}

// syncMap reads a sync.Map as the map that it is. It reports false when t is
// not what this project knows as one.
func (r *reader) syncMap(v *Value, t *gotypes.Type, addr memory.Address, depth int) bool {
	m, err := goobject.SyncMapOf(t)
	if err != nil {
		return false
	}
	v.Shape = Map
	e := entries{r: r, v: v, at: pointed{addr: addr, typ: t}, follow: depth > 0, depth: depth - 1, key: (*reader).any}
	if m.Trie != nil {
		e.elem = func(addr memory.Address) *Value { return r.any(addr, depth-1) }
		e.read(func() { e.readTrie(m, addr) })
	} else {
		e.elem = func(addr memory.Address) *Value { return r.syncEntry(addr, depth-1) }
		e.read(func() { e.readPair(m, addr) })
	}
	if v.Absent != "" {
		*v = Value{Type: v.Type, Addr: addr, Absent: v.Absent}
		return true
	}
	e.finish()
	if e.lost != "" {
		v.Notes = append(v.Notes, "some of its entries are "+string(e.lost))
	}
	return true
}

// any reads the interface at addr.
func (r *reader) any(addr memory.Address, depth int) *Value {
	v := r.blank("interface {}", addr)
	data, ok := r.fetch(addr, goobject.InterfaceSize)
	if !ok {
		return r.absent(v, addr, goobject.InterfaceSize)
	}
	r.iface(v, emptyInterface, data, addr, max(depth, 0))
	return v
}

// readTrie finds the entries of a sync.Map of Go 1.24 or later.
func (e *entries) readTrie(m *goobject.SyncMap, addr memory.Address) {
	at := addr.Add(m.Root)
	root, ok := e.r.pointer(at)
	if !ok {
		e.r.absent(e.v, at, memory.PtrSize)
		return
	}
	for node := range m.Trie.Nodes(root, e.r.fetch, e.r.partsLeft()) {
		e.r.parts--
		switch {
		case node.Err != nil && !e.lose(node.Range, node.Err):
			return
		case node.Err != nil && node.Root: // whether it has entries is not known
			e.v.Absent = e.lost
			return
		case node.Entry:
			e.add(node.Key, node.Value)
		}
	}
}

// readPair finds the entries of a sync.Map of before Go 1.24.
func (e *entries) readPair(m *goobject.SyncMap, addr memory.Address) {
	at := addr.Add(m.Dirty)
	entries, ok := e.r.pointer(at)
	if ok && entries == 0 {
		at = addr.Add(m.Read)
		var read memory.Address
		if read, ok = e.r.pointer(at); ok && read == 0 {
			return
		}
		if ok {
			at = read.Add(m.ReadMap)
			entries, ok = e.r.pointer(at)
		}
	}
	switch {
	case !ok:
		e.r.absent(e.v, at, memory.PtrSize)
	case entries != 0:
		e.readMap(m.Entries, entries)
	}
}

// syncEntry reads the value of an entry of a sync.Map of two maps, from the
// pointer to the entry; nil when the key was deleted.
func (r *reader) syncEntry(addr memory.Address, depth int) *Value {
	v := r.blank("interface {}", addr)
	entry, ok := r.pointer(addr)
	if !ok {
		return r.absent(v, addr, memory.PtrSize)
	}
	at := entry.Add(goobject.EntryValue)
	value, ok := r.pointer(at)
	switch {
	case !ok:
		return r.absent(v, at, memory.PtrSize)
	case value == 0:
		return nil
	}
	return r.any(value, depth)
}
