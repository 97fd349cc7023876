package meminspect

import (
	"reflect"
	"unsafe"
	"weak"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Kind says what a region's memory is.
type Kind uint32

// Kinds of regions.
const (
	KindEntry   Kind = 0                      // an entry of a static table: one T
	KindValue   Kind = Kind(anchor.SlotValue) // one T
	KindSlice   Kind = Kind(anchor.SlotSlice) // values of T
	KindString  Kind = Kind(anchor.SlotString)
	KindForeign Kind = Kind(anchor.SlotForeign) // memory that Go does not manage
	KindWeak    Kind = Kind(anchor.SlotWeak)    // one T, as long as the program holds it
)

// A Region is a range of memory that is registered now: a static entry or a
// dynamic region. It holds Go memory alive as long as it is reachable, except
// that of a weak region.
type Region struct {
	ID      ID
	Kind    Kind
	Flags   uint32 // Area, Member, HasDepth, Summary
	Depth   int    // pointers to follow; counts only under HasDepth
	Size    uint64 // bytes
	Budget  uint64 // bytes at most, followed memory included; 0 = not said
	Order   uint64 // counts registrations; 0 for static entries
	Part    int    // counts the parts that exclusions leave of a region; 0 for a whole one
	Name    string
	Expr    string // source expression; static entries only, as the three below
	Package string
	Pos     string
	Note    string

	base unsafe.Pointer // of Go memory, or the weak handle
	addr uint64         // of foreign memory, else an offset from what base points at
	typ  unsafe.Pointer // runtime type *T
}

// Addr returns where the region begins, 0 when a weak region's object is gone.
func (r *Region) Addr() uintptr {
	if r.Kind == KindForeign {
		return uintptr(r.addr)
	}
	p := r.Hold()
	if p == nil {
		return 0
	}
	return uintptr(p)
}

// Hold returns a pointer to the region's first byte that keeps it alive; nil
// for foreign memory and for a weak region whose object is gone.
func (r *Region) Hold() unsafe.Pointer {
	switch r.Kind {
	case KindForeign:
		return nil
	case KindWeak:
		p := strong(r.base)
		if p == nil {
			return nil
		}
		return unsafe.Add(p, r.addr)
	}
	return unsafe.Add(r.base, r.addr)
}

// Type returns the type of the region's value, or of its elements: nil when it
// is not known, as for foreign memory.
func (r *Region) Type() reflect.Type {
	if r.typ == nil {
		return nil
	}
	// An any of a nil *T has the type word that was stored.
	words := [2]unsafe.Pointer{r.typ, nil}
	return reflect.TypeOf(*(*any)(unsafe.Pointer(&words))).Elem()
}

// TypeAddr returns the address of the runtime type *T, 0 when not known.
func (r *Region) TypeAddr() uintptr { return uintptr(r.typ) }

// TypeNotKnown is the Rule of memory that is excluded because an exclusion
// stands and its type is not known.
const TypeNotKnown = "type not known"

// An ExcludedSpan is a part of a region that no capture may hold.
type ExcludedSpan struct {
	Offset, Size uint64
	Rule         string       // what says so
	Type         reflect.Type // of what stands there, from ExcludedRanges and ExcludedValues alone
}

// region returns what an entry registers. An area larger than its variable is
// cut to it.
func (t *Table) region(e *Entry) (Region, bool) {
	if e.Var == nil {
		return Region{}, false
	}
	typ := reflect.TypeOf(e.Var)
	if typ.Kind() != reflect.Pointer {
		return Region{}, false
	}
	words := (*[2]unsafe.Pointer)(unsafe.Pointer(&e.Var))
	size := uint64(typ.Elem().Size())
	if e.Size != 0 {
		size = min(size, e.Size)
	}
	return Region{
		ID: e.ID, Kind: KindEntry, Flags: e.Flags, Depth: int(e.Depth), Size: size, Budget: e.Budget,
		Name: e.Name, Expr: e.Expr, Package: t.Package, Pos: e.Pos, Note: e.Note,
		base: words[1], typ: words[0],
	}, size > 0 && words[1] != nil
}

func (s *slot) region() Region {
	return Region{
		ID: s.id, Kind: Kind(s.kind), Flags: s.flags, Depth: int(s.depth), Size: s.size, Budget: s.budget, Order: s.order,
		Name: s.name, base: unsafe.Pointer(s.base), addr: s.addr, typ: unsafe.Pointer(s.typ),
	}
}

// strong returns what a weak handle points at, nil when that is gone. A
// weak.Pointer of any type is its handle alone; TestWeakPointerIsItsHandle
// holds every toolchain to it.
func strong(handle unsafe.Pointer) unsafe.Pointer {
	return unsafe.Pointer((*(*weak.Pointer[byte])(unsafe.Pointer(&handle))).Value())
}
