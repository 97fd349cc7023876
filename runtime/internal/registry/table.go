package registry

import (
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Table is a package's entries under one build constraint. Generated code
// declares one as static data and passes it to Link.
type Table struct {
	Magic      [2]uint64
	Version    uint32
	flags      uint32
	next       *Table
	Package    string // import path
	Namespace  string // namespace of the IDs
	Entries    []Entry
	Exclusions []Exclusion
	Layouts    []Layout
	Numbers    []Number
	Declared   []Declared
	Constants  []Constants
}

// An Entry is one annotated variable.
type Entry struct {
	ID     uint64
	Name   string // the name that the ID is derived from
	Expr   string // the source expression in its package
	Var    any    // a pointer to the variable
	Size   uint64 // leading bytes to capture, 0 = the whole variable
	Budget uint64 // maximum bytes to capture, followed memory included, 0 = not set
	Depth  int32  // pointers to follow; valid only with the flag HasDepth
	Flags  uint32
	Pos    string // file:line
	Note   string
}

// An Exclusion is memory that no capture may contain.
type Exclusion struct {
	Kind    uint32
	Flags   uint32
	Var     any // a pointer to the variable, or a nil *T
	Offset  uint64
	Size    uint64
	Package string
	Type    string
	Field   string
	Pos     string
}

// A Layout publishes the size of a type and the offsets of its fields in
// vmcoreinfo.
type Layout struct {
	Name   string
	Size   uint64
	Fields []LayoutField
}

// A LayoutField is one field of a Layout.
type LayoutField struct {
	Name   string
	Offset uint64
	Size   uint64
}

// A Number publishes the value of a constant in vmcoreinfo.
type Number struct {
	Name  string
	Value int64
}

// A Declared is an ID for something that is registered at run time.
type Declared struct {
	ID   uint64
	Name string
	Pos  string
}

// Constants are the constants of one declared integer type.
type Constants struct {
	Names  []string
	Values any // a pointer to an array of the type, with a value for each name
}

// withdrawn reports whether the entry was unregistered.
func (e *Entry) withdrawn() bool {
	return atomic.LoadUint32(&e.Flags)&anchor.EntryWithdrawn != 0
}

// region returns the region of an entry. An area larger than its variable is
// cut to the variable. It reports false for an entry that has no memory or was
// unregistered.
func (t *Table) region(e *Entry) (Region, bool) {
	if e.Var == nil || e.withdrawn() {
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
		ID: e.ID, Flags: e.Flags, Depth: int(e.Depth), Size: size, Budget: e.Budget,
		Name: e.Name, Expr: e.Expr, Package: t.Package, Pos: e.Pos, Note: e.Note,
		Place: Place{base: words[1], typ: words[0]},
	}, size > 0 && words[1] != nil
}
