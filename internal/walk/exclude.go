package walk

import (
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// An Exclusion is memory that no capture may contain: the tables' exclusions
// (package anchor defines their layout), resolved to addresses and types, and
// the regions that a program excluded at run time.
type Exclusion struct {
	// Kind is one of package anchor's Exclude constants, or 0 for the Size bytes
	// at Addr without further information.
	Kind uint32
	// Addr and Type are a variable's; Type alone is a type's, or that of the
	// struct that a field belongs to.
	Addr memory.Address
	Type *gotypes.Type
	// Offset and Size are a field's.
	Offset, Size uint64
	// Package, Name and Field name what Type cannot express: a generic type, by
	// its name without brackets, or a field of it.
	Package, Name, Field string
	// Pos is the source position of the exclusion.
	Pos string
}

// A Receipt reports what an exclusion removed from a capture.
type Receipt struct {
	Exclusion int // index in Config.Exclusions
	Values    int // number of places
	Bytes     uint64
	// Held is the number of bytes that belong not to the excluded values but to
	// the memory that they refer to directly.
	Held uint64
}

// maxReachable bounds the elements, groups and waiters that are visited for one
// excluded value.
const maxReachable = 1 << 16

type genericName struct{ pkg, name string }

// nameOf returns the name of a generic type without its arguments.
func nameOf(t *gotypes.Type) genericName {
	name, _, _ := strings.Cut(t.Name(), "[")
	return genericName{t.PkgPath, name}
}

// names returns the run-time names of the types that an exclusion names: at run
// time, the program's main package is just "main".
func (x *excluder) names(e *Exclusion) []genericName {
	names := []genericName{{e.Package, e.Name}}
	if main := x.w.cfg.Main; main == "" || main == e.Package {
		names = append(names, genericName{"main", e.Name})
	}
	return names
}

// An excluder finds excluded memory during a walk.
type excluder struct {
	w        *walker
	active   bool
	byType   bool // some exclusion is found by type: a walk must look for it
	types    map[*gotypes.Type]int
	fields   map[*gotypes.Type][]int
	generics map[genericName]int
	members  map[genericName][]int
	hidden   memory.Ranges // the excluded variables
	values   []Value
	receipts []Receipt
	blind    int // values that were not searched
	lost     int // values missing in the memory
	unsized  int // objects of unknown type and size
	// What was read of excluded values if the memory is moving, and whether that
	// is complete.
	seen      []memory.Piece
	seenBytes int
	seenAll   bool
}

// newExcluder sorts the exclusions by the way they are found.
func newExcluder(w *walker, list []Exclusion) *excluder {
	x := &excluder{
		w: w, active: len(list) > 0,
		types: make(map[*gotypes.Type]int), fields: make(map[*gotypes.Type][]int),
		generics: make(map[genericName]int), members: make(map[genericName][]int),
		receipts: make([]Receipt, len(list)), seenAll: true,
	}
	var hidden []memory.Range
	for i, e := range list {
		x.receipts[i].Exclusion = i
		switch {
		case e.Kind == 0:
			hidden = append(hidden, memory.RangeOf(e.Addr, e.Size))
		case e.Kind == anchor.ExcludeVariable && e.Type != nil:
			hidden = append(hidden, memory.RangeOf(e.Addr, e.Type.Size))
		case e.Kind == anchor.ExcludeType && e.Type != nil:
			x.types[e.Type] = i
			x.byType = true
		case e.Kind == anchor.ExcludeField && e.Type != nil:
			x.fields[e.Type] = append(x.fields[e.Type], i)
			x.byType = true
		case e.Kind == anchor.ExcludeGenericType:
			for _, name := range x.names(&e) {
				x.generics[name] = i
			}
			x.byType = true
		case e.Kind == anchor.ExcludeGenericField:
			for _, name := range x.names(&e) {
				x.members[name] = append(x.members[name], i)
			}
			x.byType = true
		}
	}
	x.hidden = memory.RangesOf(hidden...)
	return x
}

// check returns why an exclusion cannot be applied. Such an exclusion must stop
// the capture, because the memory that it covers is unknown.
func (e *Exclusion) check() error {
	missing := ""
	switch e.Kind {
	case 0:
		return nil
	case anchor.ExcludeVariable, anchor.ExcludeType:
		if e.Type == nil {
			missing = "a type"
		}
	case anchor.ExcludeField:
		if e.Type == nil || e.Size == 0 && e.Field == "" {
			missing = "a type and a field"
		}
	case anchor.ExcludeGenericType:
		if e.Name == "" {
			missing = "a type's name"
		}
	case anchor.ExcludeGenericField:
		if e.Name == "" || e.Field == "" {
			missing = "a type's and a field's name"
		}
	default:
		return fmt.Errorf("exclusion %s: kind %d is not known to this tool", e.Pos, e.Kind)
	}
	if missing != "" {
		return fmt.Errorf("exclusion %s: it does not name %s", e.Pos, missing)
	}
	return nil
}

// begin covers the memory excluded by address, and what it refers to.
func (x *excluder) begin() {
	for i, e := range x.w.cfg.Exclusions {
		switch {
		case e.Kind == 0:
			x.cover(i, memory.RangeOf(e.Addr, e.Size))
		case e.Kind == anchor.ExcludeVariable:
			x.cover(i, memory.RangeOf(e.Addr, e.Type.Size))
			x.redactReachable(i, x.w.rawPlan(e.Type), e.Addr, 0)
		}
	}
}

// hides reports whether a value at addr belongs to an excluded variable: it is
// not followed, whatever points to it.
func (x *excluder) hides(addr memory.Address) bool {
	return x.hidden.Has(addr)
}

// typeRule returns the exclusion of a type, or -1.
func (x *excluder) typeRule(t *gotypes.Type) int {
	if i, ok := x.types[t]; ok {
		return i
	}
	if len(x.generics) > 0 {
		if i, ok := x.generics[nameOf(t)]; ok {
			return i
		}
	}
	return -1
}

// fieldRule returns the exclusion of a struct's field, or -1.
func (x *excluder) fieldRule(t *gotypes.Type, f *gotypes.Field) int {
	for _, i := range x.fields[t] {
		e := &x.w.cfg.Exclusions[i]
		if e.Offset == f.Offset && (e.Size == f.Type.Size || e.Field == f.Name) {
			return i
		}
	}
	if len(x.members) > 0 {
		for _, i := range x.members[nameOf(t)] {
			if x.w.cfg.Exclusions[i].Field == f.Name {
				return i
			}
		}
	}
	return -1
}

// missed counts a value that was not visited, although it may contain excluded
// values.
func (x *excluder) missed(rank uint16) {
	if x.byType && rank > 0 {
		x.blind++
	}
}

// lose counts a value that cannot be read completely, if the program had it.
func (x *excluder) lose(addr memory.Address, size uint64) {
	if x.w.cfg.Lacks != nil && x.w.cfg.Lacks(memory.RangeOf(addr, size)) {
		x.lost++
	}
}

// meet covers an excluded part of a value, and what it leads to. It reads
// through pages.bytes, so the caller's data may be invalid afterwards.
func (x *excluder) meet(s *secret, addr memory.Address) {
	x.receipts[s.rule].Values++
	x.cover(s.rule, memory.RangeOf(addr, s.size))
	x.redactReachable(s.rule, s.raw, addr, 0)
}

// coverParts covers the excluded parts of what may be a value, and nothing that
// they would refer to.
func (x *excluder) coverParts(p *typePlan, addr memory.Address) {
	for i := range p.secrets {
		x.cover(p.secrets[i].rule, memory.RangeOf(addr.Add(p.secrets[i].off), p.secrets[i].size))
	}
	for i := range p.length {
		x.coverParts(p.array, addr.Add(i*p.array.size))
	}
	for i := range p.slots {
		s := &p.slots[i]
		for k := uint64(0); s.op == opLoop && k < s.length; k++ {
			x.coverParts(s.elem, addr.Add(s.off+k*s.elem.size))
		}
	}
}

// cover redacts a range.
func (x *excluder) cover(rule int, r memory.Range) {
	if r.Empty() {
		return
	}
	x.receipts[rule].Bytes += r.Size()
	x.values = append(x.values, Value{Range: r})
}

func (x *excluder) coverReachable(rule int, addr memory.Address, size uint64) {
	if addr < lowest || addr >= goobject.AddressSpace || size == 0 || size > goobject.AddressSpace {
		return
	}
	x.receipts[rule].Held += size
	x.cover(rule, memory.RangeOf(addr, size))
	x.values[len(x.values)-1].Reached = true
}

// coverObject redacts the object at an address whose type is unknown.
func (x *excluder) coverObject(rule int, addr memory.Address) {
	if addr < lowest || addr >= goobject.AddressSpace {
		return
	}
	if x.w.cfg.Object == nil {
		x.unsized++
		return
	}
	r, ok := x.w.cfg.Object(addr)
	if !ok {
		x.unsized++
		return
	}
	x.coverReachable(rule, r.Start, r.Size())
}

// ConcernsType reports whether the exclusion is about a type or a field of it.
func (e *Exclusion) ConcernsType(t *gotypes.Type) bool {
	switch e.Kind {
	case anchor.ExcludeType, anchor.ExcludeField:
		return e.Type == t
	case anchor.ExcludeGenericType, anchor.ExcludeGenericField:
		return nameOf(t).name == e.Name // in any package: main's path differs at run time
	}
	return false
}
