package registry

import (
	"reflect"
	"unsafe"
	"weak"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Region is a registered range of memory: a static entry or a dynamic region.
// A reachable Region keeps Go memory alive, except for weak regions.
type Region struct {
	Place
	ID      uint64
	Flags   uint32  // of an entry, see package anchor
	Depth   int     // pointers to follow; valid only with anchor.EntryHasDepth
	Size    uint64  // bytes
	Budget  uint64  // maximum bytes to capture, followed memory included; 0 = not set
	Order   uint64  // counts registrations; 0 for static entries
	Of      *Region // the region that this is a part of, nil for a whole one
	Part    int     // number of a part that exclusions leave; 0 for a whole region
	Name    string
	Expr    string // source expression; static entries only, like the three below
	Package string
	Pos     string
	Note    string
}

// A Place is a region's address and type.
type Place struct {
	Kind uint32         // of a slot, see package anchor; 0 for a static entry
	base unsafe.Pointer // of Go memory, or the weak handle
	addr uint64         // of foreign memory, else an offset from base's target
	typ  unsafe.Pointer // runtime type *T
}

// Addr returns the address of the first byte, 0 if the object of a weak region
// is gone.
func (p *Place) Addr() uintptr {
	if p.Kind == anchor.SlotForeign {
		return uintptr(p.addr)
	}
	return uintptr(p.Hold())
}

// Hold returns a pointer to the first byte that keeps the memory alive; nil for
// foreign memory and for a weak region whose object is gone.
func (p *Place) Hold() unsafe.Pointer {
	base := p.base
	switch p.Kind {
	case anchor.SlotForeign:
		return nil
	case anchor.SlotWeak:
		if base = strong(base); base == nil {
			return nil
		}
	}
	return unsafe.Add(base, p.addr)
}

// Type returns the type of the value, or of an element; nil if unknown.
func (p *Place) Type() reflect.Type {
	if p.typ == nil {
		return nil
	}
	// The any of a nil *T has the stored type word.
	words := [2]unsafe.Pointer{p.typ, nil}
	return reflect.TypeOf(*(*any)(unsafe.Pointer(&words))).Elem()
}

// TypeAddr returns the address of the runtime type *T, 0 if unknown.
func (p *Place) TypeAddr() uintptr { return uintptr(p.typ) }

// TypeNotKnown is the Rule of memory that is excluded because exclusions exist
// and its type is unknown.
const TypeNotKnown = "type not known"

// An ExcludedSpan is a part of a region that no capture may contain.
type ExcludedSpan struct {
	Offset, Size uint64
	Rule         string       // what excludes it
	Type         reflect.Type // of the memory; set only by ExcludedRanges and ExcludedValues
}

// strong returns the target of a weak handle, nil if it is gone. A weak.Pointer
// of any type consists of its handle alone, which a test checks for every
// toolchain.
func strong(handle unsafe.Pointer) unsafe.Pointer {
	return unsafe.Pointer((*weak.Pointer[byte])(unsafe.Pointer(&handle)).Value())
}

// TypeWord returns the first word of an any: the runtime type.
func TypeWord(v any) *byte { return *(**byte)(unsafe.Pointer(&v)) }
