package walk

import (
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// addSpecial adds the slots of types whose unsafe.Pointers have a known target.
func (w *walker) addSpecial(p *typePlan, t *gotypes.Type, off uint64) bool {
	if !t.Named {
		return false
	}
	if ptr, ok := goobject.TypedPointerOf(t); ok {
		op := opPointer
		if ptr.Weak {
			op = opWeak
		}
		p.slots = append(p.slots, slot{off: off + ptr.Offset, op: op, elem: w.planFor(p, ptr.Elem), holder: p})
		return true
	}
	switch {
	case t.PkgPath == "internal/abi" && t.Name() == "Type":
		// Its other pointers belong to the runtime.
		if f, ok := t.Field("Equal"); ok {
			w.addSlots(p, f.Type, off+f.Offset)
		}
		return true
	case goobject.IsTrieNode(t):
		return w.addTrie(p, t, off)
	}
	return false
}

// addTrie adds the children of an inner node of sync.Map's trie (from Go 1.24).
// They may be any node; their first byte tells the kind.
func (w *walker) addTrie(p *typePlan, t *gotypes.Type, off uint64) bool {
	trie, err := goobject.TrieOf(t)
	if err != nil {
		return false
	}
	inner := w.planFor(p, t)
	if inner.trie == nil {
		inner.trie, inner.trieEntry = trie, w.trieEntryPlan()
	}
	for i := range trie.Count {
		p.slots = append(p.slots, slot{off: off + trie.Children + i*wordBytes, op: opTrie, elem: inner, holder: p})
	}
	return true
}

// trieEntryPlan makes the plan of the entries of a sync.Map, whose type has no
// descriptor.
func (w *walker) trieEntryPlan() *typePlan {
	entry := w.newPlan("internal/sync.entry[interface {},interface {}]", goobject.TrieEntrySize)
	entry.compiled = true
	entry.slots = []slot{
		{off: goobject.TrieEntryNext, op: opPointer, elem: entry, holder: entry},
		{off: goobject.TrieEntryKey, op: opEface, holder: entry},
		{off: goobject.TrieEntryValue, op: opEface, holder: entry},
	}
	return entry
}
