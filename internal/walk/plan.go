package walk

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// A typePlan is a type as the walk sees it: the pointers in its values, and the
// exclusions in them. It is created when the type is met and compiled when the
// first value of it is walked, so that recursive types are no problem.
type typePlan struct {
	id       uint32
	typ      *gotypes.Type // nil for untyped memory: bytes, groups, tables
	name     string
	size     uint64
	direct   bool // an interface contains the value itself
	raw      bool // made as if nothing were excluded
	opaque   bool // an object of the Go runtime: not followed
	free     bool // a part of the value that points to it: costs no depth
	compiled bool
	underWay bool // being compiled: its content is not known yet

	slots   []slot
	secrets []secret
	array   *typePlan // the elements' plan, if this is an array with something to follow
	length  uint64

	m         *mapPlan
	chanElem  *typePlan
	trie      *goobject.Trie // for an inner node of a hash trie
	trieEntry *typePlan      // and the plan of its entries
}

// leaf reports whether a value only needs to be captured. A plan that is being
// compiled is not a leaf: a type may lead back to itself through its arrays and
// maps.
func (p *typePlan) leaf() bool {
	return p.compiled && !p.underWay && len(p.slots) == 0 && len(p.secrets) == 0 && p.array == nil
}

// A slot is a place in a value with a pointer or a header.
type slot struct {
	off    uint64
	op     slotOp
	elem   *typePlan     // the target's plan; for a map, channel or function its own plan
	typ    *gotypes.Type // for an interface, its type
	length uint64        // for an array within a value
	holder *typePlan     // the value's plan, for records
}

type slotOp uint8

const (
	opPointer slotOp = iota
	opString
	opSlice
	opEface
	opIface
	opMap
	opChan
	opFunc
	opWeak
	opTrie
	opTimer   // init of a time.Timer; length is the distance to what the runtime records of it
	opLoop    // an array of values inside the value
	opUnknown // an unsafe.Pointer; only in raw plans and in audits
	opBroken  // its type cannot be read
)

// width returns the size of a slot in bytes.
func (op slotOp) width() uint64 {
	switch op {
	case opString:
		return goobject.StringSize
	case opEface, opIface:
		return goobject.InterfaceSize
	case opSlice:
		return goobject.SliceSize
	}
	return wordBytes
}

// A secret is an excluded part of a value.
type secret struct {
	off, size uint64
	rule      int // index of the exclusion
	raw       *typePlan
}

// Limits of one plan: types come from the walked, untrusted memory.
const (
	maxSlots    = 1 << 14
	maxUnrolled = 16 // maximum element slots into which an array within a value is unrolled
)

func (w *walker) planOf(t *gotypes.Type) *typePlan { return w.planIn(w.plans, t, false) }

// rawPlan returns the plan of a type as if nothing were excluded.
func (w *walker) rawPlan(t *gotypes.Type) *typePlan {
	if !w.ex.byType {
		return w.planOf(t)
	}
	return w.planIn(w.raws, t, true)
}

func (w *walker) planIn(plans map[*gotypes.Type]*typePlan, t *gotypes.Type, raw bool) *typePlan {
	if p := plans[t]; p != nil {
		return p
	}
	p := w.newPlan(t.String(), t.Size)
	p.typ, p.direct, p.raw, p.opaque = t, t.Direct, raw, isOpaque(t)
	p.free = goobject.IsSyncMapPart(t)
	plans[t] = p
	if !raw {
		w.types = append(w.types, t)
		w.factsOf(t)
	}
	return p
}

// factsOf records what debuggers read in addition to the descriptor when they
// print a type: the function value that compares its values.
func (w *walker) factsOf(t *gotypes.Type) {
	if fn := t.Equal; fn >= lowest && fn < goobject.AddressSpace && fn.Aligned(wordBytes) {
		w.facts = append(w.facts, memory.RangeOf(fn, wordBytes))
	}
}

func (w *walker) newPlan(name string, size uint64) *typePlan {
	p := &typePlan{id: uint32(len(w.numbered)), name: name, size: size}
	w.numbered = append(w.numbered, p)
	return p
}

// bytePlan returns the plan of bytes.
func (w *walker) bytePlan() *typePlan {
	if w.text == nil {
		w.text = w.newPlan("byte", 1)
		w.text.compiled = true
	}
	return w.text
}

// runtimeObjects are types that lead to the whole scheduler. Ordinary values
// contain pointers to them (a timer's, a waiting goroutine's).
var runtimeObjects = map[string]bool{
	"g": true, "m": true, "p": true, "mspan": true, "mheap": true, "mcache": true, "sudog": true, "hchan": true,
	"timer": true, "timers": true, "pollDesc": true, "_panic": true, "_defer": true, "synctestBubble": true,
	"schedt": true, "moduledata": true,
}

func isOpaque(t *gotypes.Type) bool {
	switch t.PkgPath {
	case "runtime":
		return runtimeObjects[t.Name()]
	case "internal/abi": // type descriptors: the facts contain the needed ones
		return t.Name() != "Type"
	}
	return false
}

// compile finds a plan's slots.
func (w *walker) compile(p *typePlan) {
	if p.compiled {
		return
	}
	p.compiled, p.underWay = true, true
	defer func() { p.underWay = false }()
	t := p.typ
	if !p.raw {
		if rule := w.ex.typeRule(t); rule >= 0 {
			p.secrets = []secret{{size: p.size, rule: rule, raw: w.rawPlan(t)}}
			return
		}
	}
	if t.PtrBytes == 0 && !w.ex.byType {
		return
	}
	switch t.Kind {
	case gotypes.Array:
		elem, err := t.Elem()
		if err != nil || t.Len == 0 || elem.Size == 0 {
			return
		}
		array := w.planFor(p, elem)
		if w.compile(array); !array.leaf() {
			p.array, p.length = array, t.Len
		}
	case gotypes.Map:
		p.m = w.mapPlan(p)
		p.slots = []slot{{op: opMap, elem: p, holder: p}}
	case gotypes.Chan:
		p.slots = []slot{{op: opBroken, elem: p, holder: p}}
		if elem, err := t.Elem(); err == nil {
			p.chanElem = w.planFor(p, elem)
			p.slots[0].op = opChan
		}
	default:
		w.addSlots(p, t, 0)
	}
}

// planFor returns the plan of a type that belongs to p: raw if p is.
func (w *walker) planFor(p *typePlan, t *gotypes.Type) *typePlan {
	if p.raw {
		return w.rawPlan(t)
	}
	return w.planOf(t)
}

// addSlots adds the slots of a value of type t at offset off in p.
func (w *walker) addSlots(p *typePlan, t *gotypes.Type, off uint64) {
	if t.PtrBytes == 0 && (!w.ex.byType || p.raw) || len(p.slots) > maxSlots {
		return
	}
	if len(p.slots) == maxSlots { // the rest is not followed
		p.slots = append(p.slots, slot{off: off, op: opBroken, elem: p, holder: p})
		return
	}
	if off > 0 || t != p.typ {
		if rule := w.hidden(p, t); rule >= 0 {
			p.secrets = append(p.secrets, secret{off: off, size: t.Size, rule: rule, raw: w.rawPlan(t)})
			return
		}
	}
	s := slot{off: off, holder: p}
	var err error
	switch t.Kind {
	case gotypes.Struct:
		w.addStruct(p, t, off)
		return
	case gotypes.Array:
		w.addArray(p, t, off)
		return
	case gotypes.Pointer, gotypes.Slice:
		if t.PtrBytes == 0 {
			return // memory that Go does not manage
		}
		s.op = opPointer
		if t.Kind == gotypes.Slice {
			s.op = opSlice
		}
		var elem *gotypes.Type
		if elem, err = t.Elem(); err == nil {
			s.elem = w.planFor(p, elem)
		}
	case gotypes.String:
		s.op, s.elem = opString, w.bytePlan()
	case gotypes.Interface:
		s.op, s.typ = opEface, t
		if t.Methods > 0 {
			s.op = opIface
		}
	case gotypes.Map:
		s.op, s.elem = opMap, w.planFor(p, t)
	case gotypes.Chan:
		s.op, s.elem = opChan, w.planFor(p, t)
	case gotypes.Func:
		s.op, s.elem = opFunc, w.planFor(p, t)
	case gotypes.UnsafePointer:
		if !p.raw && w.audit == nil {
			w.sawUntyped = true
			return
		}
		s.op = opUnknown
	default:
		return
	}
	if err != nil {
		s.op, s.elem = opBroken, p
	}
	p.slots = append(p.slots, s)
}

// hidden returns the exclusion of a type within p, or -1.
func (w *walker) hidden(p *typePlan, t *gotypes.Type) int {
	if p.raw {
		return -1
	}
	return w.ex.typeRule(t)
}

func (w *walker) addArray(p *typePlan, t *gotypes.Type, off uint64) {
	elem, err := t.Elem()
	if err != nil || t.Len == 0 || elem.Size == 0 {
		return
	}
	array := w.planFor(p, elem)
	w.compile(array)
	if array.leaf() {
		return
	}
	parts := uint64(len(array.slots) + len(array.secrets))
	if array.array == nil && !array.underWay && mul(t.Len, parts) <= maxUnrolled {
		for i := range t.Len {
			w.addSlots(p, elem, off+i*elem.Size)
		}
		return
	}
	p.slots = append(p.slots, slot{off: off, op: opLoop, elem: array, length: t.Len, holder: p})
}

func (w *walker) addStruct(p *typePlan, t *gotypes.Type, off uint64) {
	if w.addSpecial(p, t, off) {
		return
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		if !p.raw {
			if rule := w.ex.fieldRule(t, f); rule >= 0 {
				p.secrets = append(p.secrets, secret{off: off + f.Offset, size: f.Type.Size, rule: rule, raw: w.rawPlan(f.Type)})
				continue
			}
		}
		w.addSlots(p, f.Type, off+f.Offset)
	}
}

// mapPlan makes the plan of a map's storage, nil if its layout is unknown.
func (w *walker) mapPlan(p *typePlan) *mapPlan {
	decoder, err := goobject.MapOf(p.typ)
	if err != nil {
		return nil
	}
	m := &mapPlan{
		MapType: decoder,
		key:     w.planFor(p, decoder.Key), elem: w.planFor(p, decoder.Elem),
		group: w.newPlan("group of "+p.name, decoder.Group.Size),
		table: w.newPlan("table of "+p.name, goobject.TableSize),
	}
	w.compile(m.key)
	w.compile(m.elem)
	return m
}
