package walk

import (
	"strings"

	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// addSpecial adds the slots of types whose unsafe.Pointers have a known target.
func (w *walker) addSpecial(p *plan, t *gotypes.Type, off uint64) bool {
	if !t.Named {
		return false
	}
	name := t.Name()
	switch {
	case t.PkgPath == "sync/atomic" && strings.HasPrefix(name, "Pointer["):
		return w.addTyped(p, t, off, opPointer, "v")
	case t.PkgPath == "weak" && strings.HasPrefix(name, "Pointer["):
		return w.addTyped(p, t, off, opWeak, "u")
	case t.PkgPath == "internal/abi" && name == "Type":
		// What else it points at is for the runtime.
		if f, ok := t.Field("Equal"); ok {
			w.addSlots(p, f.Type, off+f.Offset)
		}
		return true
	case t.PkgPath == "internal/sync" && strings.HasPrefix(name, "indirect["):
		return w.addTrie(p, t, off, name)
	}
	return false
}

// addTyped adds the pointer of an atomic or a weak pointer.
func (w *walker) addTyped(p *plan, t *gotypes.Type, off uint64, op slotOp, field string) bool {
	at, elem, ok := t.TypedPointer(field)
	if !ok {
		return false
	}
	p.slots = append(p.slots, slot{off: off + at, op: op, elem: w.planFor(p, elem), holder: p})
	return true
}

// addTrie adds the children of an inner node of the trie behind sync.Map, from
// Go 1.24 on. Their type is that of a node; what they are, an entry or an inner
// node, stands in their first byte. Entries have no type that could be found,
// but for sync.Map their layout is known: a node, a pointer to the next one
// with the same hash, and two empty interfaces.
func (w *walker) addTrie(p *plan, t *gotypes.Type, off uint64, name string) bool {
	children, ok := t.Field("children")
	if !ok || name != "indirect[interface {},interface {}]" || children.Type.Kind != gotypes.Array ||
		children.Type.Size != mul(children.Type.Len, wordBytes) || children.Type.Len > 256 {
		return false
	}
	inner := w.planFor(p, t)
	if inner.trieEntry == nil {
		entry := w.newPlan("internal/sync.entry[interface {},interface {}]", 6*wordBytes)
		entry.compiled = true
		entry.slots = []slot{
			{off: wordBytes, op: opPointer, elem: entry, holder: entry},
			{off: 2 * wordBytes, op: opEface, holder: entry},
			{off: 4 * wordBytes, op: opEface, holder: entry},
		}
		inner.trieEntry = entry
	}
	for i := range children.Type.Len {
		p.slots = append(p.slots, slot{off: off + children.Offset + i*wordBytes, op: opTrie, elem: inner, holder: p})
	}
	return true
}
