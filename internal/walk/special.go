package walk

import (
	"github.com/meminspect/meminspect/internal/core/memory"
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
	if init, ok := goobject.IsTimer(t); ok {
		w.addTimer(p, t, init, off)
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

// addTimer adds a time.Timer or a time.Ticker. The runtime's record follows those that the
// runtime allocated, not copies in other structs.
func (w *walker) addTimer(p *typePlan, t *gotypes.Type, init gotypes.Field, off uint64) {
	w.addSlots(p, t.Fields[0].Type, off)
	if record, ok := goobject.TimerOffset(w.cfg.Version); ok && t == p.typ {
		p.slots = append(p.slots, slot{off: init.Offset, op: opTimer, elem: w.timerPlan(), length: record - init.Offset, holder: p})
	}
}

// isTimer reports whether the runtime's record of a timer may be at addr: it calls a function.
// After a copy of a timer is other memory, whose type is not known and which an exclusion
// may cover.
func (w *walker) isTimer(addr memory.Address) bool {
	word, ok := w.pages.lasting(addr.Add(goobject.TimerFunc), wordBytes)
	if !ok {
		return true // it is missing
	}
	f := goobject.Pointer(word)
	if f%wordBytes != 0 {
		return false
	}
	entry, ok := w.pages.lasting(f, wordBytes)
	return ok && w.isText(goobject.FuncEntry(entry))
}

// timerPlan returns the plan of what the runtime records of a timer.
func (w *walker) timerPlan() *typePlan {
	if w.timer == nil {
		w.timer = w.newPlan("runtime.timer", goobject.TimerSize)
		w.timer.compiled = true
		w.timer.slots = []slot{{off: goobject.TimerFunc, op: opFunc, elem: w.timer, holder: w.timer}}
	}
	return w.timer
}

// addTrie adds the children of an inner node of sync.Map's trie (from Go 1.24).
// They may be any node; their first byte shows the kind.
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
