package walk

import (
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// maxFuncs bounds the functions that are listed.
const maxFuncs = 1 << 16

// maxWaiters bounds the goroutines that are listed for one end of a channel.
const maxWaiters = 1 << 16

func (w *walker) channel(it *item) {
	w.compile(it.plan)
	elem := it.plan.chanElem
	if elem == nil {
		w.record(it.root, it.rank, UnknownLayout, it.addr, it.plan)
		return
	}
	w.compile(elem)
	data, ok := w.object(it, w.chans.Size)
	if !ok {
		return
	}
	var c goobject.Chan
	if !w.settled(it.addr, data, func() bool {
		var err error
		c, err = w.chans.Chan(data, elem.typ)
		return err == nil
	}) {
		w.record(it.root, it.rank, BadChan, it.addr, it.plan)
		return
	}
	if elem.size > 0 && c.Buf != 0 {
		for addr, n := range w.slots(&c) {
			w.push(item{addr: addr, plan: elem, count: n, root: it.root, rank: it.rank})
		}
	}
	w.waiters(it, c.Receivers, false)
	w.waiters(it, c.Senders, true)
}

// slots returns the parts of a channel's buffer to follow. An audit looks for
// values: no value is missing where only free slots are.
func (w *walker) slots(c *goobject.Chan) iter.Seq2[memory.Address, uint64] {
	if w.audit != nil {
		return c.Runs()
	}
	return func(yield func(memory.Address, uint64) bool) {
		if c.Cap > 0 {
			yield(c.Buf, c.Cap)
		}
	}
}

// waiters captures the list of goroutines that wait on a channel, and the
// values that the senders among them want to send.
func (w *walker) waiters(it *item, first memory.Address, sends bool) {
	if first != 0 {
		w.doubt() // their records are elsewhere
	}
	for waiter, err := range w.chans.Waiters(it.addr, first, w.pages.bytes, maxWaiters) {
		switch {
		case errors.Is(err, goobject.ErrUnreadable):
			w.record(it.root, it.rank, UnreadableMem, waiter.Start, it.plan)
			return
		case err != nil:
			if !w.lacks(it.root, waiter.Range) {
				w.record(it.root, it.rank, BadChan, it.addr, it.plan)
			}
			return
		}
		w.stats.Values++
		if it.rank >= own && w.capture(it.root, waiter.Start, waiter.Size()) < waiter.Size() {
			return
		}
		if sends && waiter.Elem != 0 && it.plan.chanElem.size > 0 {
			w.push(item{addr: waiter.Elem, plan: it.plan.chanElem, count: 1, root: it.root, rank: it.rank})
		}
	}
}

// closure captures a function value's code pointer, and the following variables
// if their layout is known.
func (w *walker) closure(it *item) {
	data, ok := w.object(it, wordBytes)
	if !ok {
		return
	}
	entry := goobject.FuncEntry(data)
	if !w.isText(entry) {
		w.record(it.root, it.rank, BadFunc, it.addr, it.plan)
		return
	}
	if it.rank >= own && len(w.funcs) < maxFuncs {
		w.funcs[entry] = struct{}{}
	}
	if w.image.Has(it.addr) {
		return // made by the linker: it has no variables
	}
	vars := w.closureVars(entry)
	if len(vars) == 0 {
		w.untyped(it.root)
		w.guessClosure(it)
		return
	}
	described := uint64(wordBytes)
	for i, v := range vars {
		if v.Type == nil || v.Offset > chunkBytes || w.unknown(it.addr.Add(v.Offset), v.Type) {
			w.untyped(it.root)
			continue
		}
		typ := w.heldType(it.addr, vars, i)
		if typ == nil {
			w.untyped(it.root)
			described = v.Offset + wordBytes
			continue
		}
		// They are a part of the function value, so they cost no depth.
		w.push(item{addr: it.addr.Add(v.Offset), plan: w.planOf(typ), count: 1, root: it.root, rank: it.rank})
		if v.Offset >= described+wordBytes {
			w.guessHole(it, described, v.Offset)
		}
		described = v.Offset + typ.Size
	}
	// Whether another one follows is not known: to read the heap's spans for the size
	// of each closure would hold the program too long.
}

// unknown reports whether a variable of a closure may have excluded values that its type does
// not show.
func (w *walker) unknown(at memory.Address, t *gotypes.Type) bool {
	if w.audit != nil {
		return w.audit.Closures[at] == unknownHeld
	}
	if !w.ex.active || !shaped(t) {
		return false
	}
	w.closures[at] = unknownHeld
	return true
}

// shaped reports whether the debug information describes a variable of a generic function by
// its shape: the underlying type of a type argument. The type argument itself, or a field of
// it, may be excluded. A name that is too long may have a shape in the part that is left out.
func shaped(t *gotypes.Type) bool {
	name := t.String()
	return strings.Contains(name, "go.shape.") || strings.Contains(name, "…")
}

// guessHole captures a part of a closure that the debug information does not
// describe: the compiler leaves out variables that its optimisations removed from the
// function.
func (w *walker) guessHole(it *item, from, to uint64) {
	w.untyped(it.root)
	if w.audit != nil || w.ex.active || it.rank < own {
		return
	}
	part := *it
	part.addr = it.addr.Add(from)
	if data, ok := w.guess(&part, min(guessBytes, to-from)); ok {
		w.guessTargets(it, data)
	}
}

// heldType returns the type of what the closure at addr has for its ith variable:
// the variable itself, or a pointer to it. It returns nil if it may be both, and
// one of them leads to excluded values.
func (w *walker) heldType(addr memory.Address, vars []ClosureVar, i int) *gotypes.Type {
	v := vars[i]
	if !v.Address {
		return v.Type
	}
	value, err := v.Type.Elem()
	if err != nil || value.Size > maxByValue {
		return v.Type
	}
	at := addr.Add(v.Offset)
	var how held
	if w.audit != nil {
		how = w.audit.Closures[at]
	} else {
		how = w.held(addr, vars, i, value)
		if how != pointerHeld {
			w.closures[at] = how
		}
	}
	switch how {
	case valueHeld:
		return value
	case unknownHeld:
		return nil
	}
	return v.Type
}

// heldTypes returns both types if it may be both.
func (w *walker) heldTypes(addr memory.Address, vars []ClosureVar, i int) []*gotypes.Type {
	if typ := w.heldType(addr, vars, i); typ != nil {
		return []*gotypes.Type{typ}
	}
	types := []*gotypes.Type{vars[i].Type}
	if value, err := vars[i].Type.Elem(); err == nil {
		types = append(types, value)
	}
	return types
}

// A held is what a closure has of a variable.
type held uint8

// Closures is what closures have of variables of which the debug information does not
// show it, by the address in the closure. An audit cannot find it out: the program may
// have ended.
type Closures map[memory.Address]held

const (
	pointerHeld held = iota
	valueHeld
	unknownHeld
)

// maxByValue is the size of the largest variable that the compiler captures by
// value, in bytes.
const maxByValue = 128

// noPointer reports whether a word cannot be a pointer.
func (w *walker) noPointer(at memory.Address) bool {
	data, ok := w.pages.bytes(at, wordBytes)
	if !ok {
		return false
	}
	ptr := goobject.Pointer(data)
	return ptr < lowest || ptr >= goobject.AddressSpace
}

// inRegisters reports whether the compiler keeps each value of a type in registers, in every
// release: then a variable whose address the function has is not in the closure, with a rare
// exception: a complex number that Go 1.25 captures in an inlined generic function is.
func inRegisters(t *gotypes.Type) bool {
	const maxWords, maxFields = 4, 4
	switch t.Kind {
	case gotypes.Array:
		return t.Len == 0
	case gotypes.Struct:
		return t.Size <= maxWords*wordBytes && len(t.Fields) <= maxFields && !slices.ContainsFunc(t.Fields, func(f gotypes.Field) bool { return !inRegisters(f.Type) })
	}
	return true
}

// held determines what the closure at addr has of its ith variable, of the type value: by
// the offset of the next one, by the size of the closure, or by what a pointer would
// point to.
func (w *walker) held(addr memory.Address, vars []ClosureVar, i int, value *gotypes.Type) held {
	v := vars[i]
	if inRegisters(value) && !w.noPointer(addr.Add(v.Offset)) {
		return pointerHeld
	}
	pointerEnd, valueEnd := v.Offset+wordBytes, v.Offset+value.Size
	if i+1 < len(vars) && value.Size > wordBytes {
		// A variable without a description may be between the two.
		switch next := vars[i+1].Offset; {
		case next < valueEnd:
			return pointerHeld
		case next < valueEnd+wordBytes:
			return valueHeld
		}
	}
	if slot, ok := w.objectAt(addr); ok && slot.Start == addr {
		switch {
		case slot.Size() < valueEnd:
			return pointerHeld
		case i+1 == len(vars) && slot.Size() > sizeClass(pointerEnd):
			return valueHeld
		}
	}
	data, ok := w.pages.bytes(addr.Add(v.Offset), wordBytes)
	if !ok {
		return pointerHeld
	}
	ptr := goobject.Pointer(data)
	if ptr < lowest || ptr >= goobject.AddressSpace || !ptr.Aligned(max(1, value.Align)) {
		return valueHeld
	}
	if target, ok := w.objectAt(ptr); ok && !target.Empty() && !target.ContainsRange(memory.Range{Start: ptr, End: ptr.Add(value.Size)}) {
		return valueHeld
	}
	if w.ex.active {
		p := w.planOf(value)
		if w.compile(p); !p.leaf() {
			return unknownHeld
		}
	}
	return pointerHeld
}

// sizeClass returns the size of the slot of an object in the heap, of Go 1.16 and later.
// Larger sizes than those of small closures are rounded up by an eighth at most, so the
// result is then too large.
func sizeClass(size uint64) uint64 {
	up := func(unit uint64) uint64 { return (size + unit - 1) / unit * unit }
	switch {
	case size <= 32:
		return up(8)
	case size <= 256:
		return up(16)
	case size <= 512:
		return up(32)
	}
	return size + size/8 + 8
}

// objectAt returns the object, variable or mapping with an address in it, or an empty
// range. It reports false if the heap's objects are not known.
func (w *walker) objectAt(addr memory.Address) (memory.Range, bool) {
	if w.cfg.Object == nil {
		return memory.Range{}, false
	}
	return w.cfg.Object(addr)
}

// closureVars returns the captured variables of the function literal with this
// entry, or none if unknown.
func (w *walker) closureVars(entry memory.Address) []ClosureVar {
	if w.cfg.Closure == nil {
		return nil
	}
	return w.cfg.Closure(entry)
}

// guessBytes is the number of bytes captured of a closure with unknown layout,
// and of its apparent pointers' targets.
const guessBytes = 64

// guessClosure captures the first bytes of a closure, and of the targets of
// apparent pointers in it: captured variables of a function literal have no
// runtime type, but debuggers know them from debug information. If anything is
// excluded, it captures nothing of unknown type.
func (w *walker) guessClosure(it *item) {
	if w.audit != nil || w.ex.active || it.rank < own {
		return
	}
	if data, ok := w.guess(it, guessBytes); ok {
		w.guessTargets(it, data[wordBytes:])
	}
}

// guessTargets captures the first bytes of the targets of apparent pointers in a
// closure.
func (w *walker) guessTargets(it *item, data []byte) {
	for ; len(data) >= wordBytes; data = data[wordBytes:] {
		ptr := goobject.Pointer(data)
		if ptr >= lowest && ptr < goobject.AddressSpace && !w.image.Has(ptr) && !w.code.Has(ptr) {
			w.push(item{addr: ptr, plan: w.bytePlan(), count: 1, root: it.root, rank: it.rank, kind: itemGuess})
		}
	}
}

// guess captures size bytes at an item, or as many as its page has.
func (w *walker) guess(it *item, size uint64) ([]byte, bool) {
	size = min(size, pageSize-uint64(it.addr)&(pageSize-1))
	data, ok := w.pages.lasting(it.addr, size)
	if !ok {
		return nil, false // it was not a pointer
	}
	w.stats.Values++
	return data, w.capture(it.root, it.addr, size) == size
}

// isText reports whether addr is in the program's code, as far as known.
func (w *walker) isText(addr memory.Address) bool {
	if len(w.code) == 0 {
		return addr >= lowest && addr < goobject.AddressSpace
	}
	return w.code.Has(addr)
}

// weak follows a weak pointer's handle: a word that points to the value while
// it is alive.
func (w *walker) weak(it *item) {
	w.stats.Values++
	if !it.addr.Aligned(wordBytes) {
		w.record(it.root, it.rank, BadPointer, it.addr, it.plan)
		return
	}
	data, ok := w.pages.bytes(it.addr, wordBytes)
	if !ok {
		w.record(it.root, it.rank, UnreadableMem, it.addr, it.plan)
		return
	}
	ptr := goobject.Pointer(data)
	if it.rank >= own && w.capture(it.root, it.addr, wordBytes) < wordBytes || w.blank(it.addr) {
		return
	}
	if ptr != 0 {
		w.push(item{addr: ptr, plan: it.plan, count: 1, root: it.root, rank: it.rank})
	}
}

// trieNode follows a node of sync.Map's hash trie (from Go 1.24): an entry or
// an inner node.
func (w *walker) trieNode(it *item) {
	data, ok := w.pages.bytes(it.addr, 1)
	if !ok {
		w.record(it.root, it.rank, UnreadableMem, it.addr, it.plan)
		return
	}
	entry, err := it.plan.trie.IsEntry(data[0])
	if err != nil {
		w.record(it.root, it.rank, UnknownLayout, it.addr, it.plan)
		return
	}
	node := *it
	node.kind = itemValues
	if entry {
		node.plan = it.plan.trieEntry
	}
	w.values(&node)
}
