// Package meminspect is linked into a program so that its annotated variables
// and registered regions can be captured: by another process, by the program
// itself, or after its death.
//
// Annotated variables need no call: generated code links a static table when
// the program starts. Everything else is registered:
//
//	id, err := meminspect.Register(meminspect.IDDynamic, &state, meminspect.Name("state"))
//
// A [Backend] or a function passed to [Notify] receives every registration and
// removal. A [Heartbeat] is a counter that a supervisor watches.
//
// The package starts no goroutine and no timer, and imports the standard
// library only. Its functions can be called from several goroutines at the same
// time. Errors wrap one of the sentinels in a [RegionError] that names the
// region.
//
// In a program that is built with the tag meminspect_off the functions do
// nothing and return no error, and the program contains no data of the package.
package meminspect

import (
	"iter"
	"reflect"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// An ID identifies an entry or a region. Generated code declares IDs as
// constants. They are the same in all builds, on all machines and in all
// versions of a program.
type ID uint64

// IDDynamic makes Register and the related functions assign an unused ID, which
// has no meaning in another process.
const IDDynamic ID = 0

// String returns the name of an ID of generated code that is linked into the
// program, else the ID as 16 hexadecimal digits.
func (id ID) String() string { return registry.FormatID(uint64(id)) }

// A Kind is the kind of a region's memory.
type Kind uint32

// Kinds of regions.
const (
	KindEntry   Kind = 0                        // an entry of a static table: one T
	KindValue   Kind = Kind(anchor.SlotValue)   // one T
	KindSlice   Kind = Kind(anchor.SlotSlice)   // values of T in a row
	KindString  Kind = Kind(anchor.SlotString)  // text
	KindForeign Kind = Kind(anchor.SlotForeign) // memory that Go does not manage
	KindWeak    Kind = Kind(anchor.SlotWeak)    // one T that the region does not keep alive
)

// A Region is a registered range of memory: a static entry or a dynamic region.
// A reachable Region keeps Go memory alive, except for weak regions.
type Region struct {
	ID       ID
	Kind     Kind
	Size     uint64 // bytes
	Depth    int    // pointers that a capture follows, if HasDepth
	HasDepth bool   // else the capture's default depth applies
	Summary  bool   // short reports show the value
	Budget   uint64 // maximum bytes that a capture takes, followed memory included; 0 = the capture's default
	Order    uint64 // increases with each registration; 0 for static entries
	Part     int    // numbers the parts that exclusions leave of a region, from 1; 0 for a whole region
	Name     string // as registered, else that of the ID, else ""
	Expr     string // source expression in Package; for static entries only, like the next three
	Package  string // import path
	Pos      string // file:line
	Note     string

	place registry.Place
}

// Addr returns the address of the first byte, 0 if the object of a weak region
// was collected.
func (r *Region) Addr() uintptr { return r.place.Addr() }

// Hold returns a pointer to the first byte that keeps the memory alive. It is
// nil for foreign memory, and for a weak region whose object was collected.
func (r *Region) Hold() unsafe.Pointer { return r.place.Hold() }

// Type returns the type of the value, or of an element of a slice. It is nil if
// the type is unknown, as for foreign memory, strings and parts.
func (r *Region) Type() reflect.Type { return r.place.Type() }

func newRegion(r *registry.Region) Region {
	return Region{
		ID: ID(r.ID), Kind: Kind(r.Kind), Size: r.Size, Depth: r.Depth,
		HasDepth: r.Flags&anchor.EntryHasDepth != 0, Summary: r.Flags&anchor.EntrySummary != 0,
		Budget: r.Budget, Order: r.Order, Part: r.Part,
		Name: r.Name, Expr: r.Expr, Package: r.Package, Pos: r.Pos, Note: r.Note,
		place: r.Place,
	}
}

// Regions returns an iterator over the regions that are registered when the
// iteration begins: static entries in the order of their tables and of the
// source, then dynamic regions in the order of their registration. The loop
// body may register and unregister; the iteration is not affected.
func Regions() iter.Seq[Region] {
	if registry.Off {
		return func(func(Region) bool) {}
	}
	return func(yield func(Region) bool) {
		for r := range registry.Regions() {
			if !yield(newRegion(&r)) {
				return
			}
		}
	}
}

// Lookup returns the first region that is registered under id. A dynamic region
// comes before a static entry.
func Lookup(id ID) (Region, bool) {
	if registry.Off {
		return Region{}, false
	}
	r, ok := registry.Lookup(uint64(id))
	if !ok {
		return Region{}, false
	}
	return newRegion(&r), true
}
