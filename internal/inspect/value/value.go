// Package value reads Go values out of a core by the program's runtime types
// alone: no symbols and no debug information are needed, so that binaries
// stripped with -s -w print as well as others.
//
// What a core does not hold is shown as such in its place. A value never comes
// from the executable's own copy of a variable, which is the initial one.
package value

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// A Value is a Go value as far as it is in a core: a tree that renders as Go
// syntax or as JSON. Shapes do not depend on the type's kind alone: a time, a
// big integer and a sync.Map have the shapes of what they mean.
type Value struct {
	Shape Shape
	Type  string // as reflect writes it
	Addr  memory.Address

	// Missing says why there is nothing to show, empty when there is.
	Missing Missing

	Text string // of a Literal: Go source. Of a Text: its bytes
	JSON any    // of a Literal, when its JSON is not the number in Text

	Fields  []Field   // of a Struct
	Elems   []*Value  // of a List
	Entries []Entry   // of a Map
	To      *Value    // of a Pointer; of an Interface its value. Nil for nil
	Again   bool      // a Pointer whose target is shown elsewhere
	Shown   bool      // a Pointer that another one refers to
	Omitted uint64    // elements, entries or bytes that limits left out
	Func    *Function // of a Func
	Slice   bool      // Bytes of a slice, not of an array
	Notes   []string  // what is to be said beside it
}

// A Shape is how a value is written.
type Shape uint8

// The shapes.
const (
	Literal Shape = iota // booleans, numbers, and what has a literal of its own
	Text                 // strings
	Bytes                // slices and arrays of bytes
	Struct
	List // arrays and slices
	Map
	Pointer
	Interface
	Func
	Chan // like a List of what is in its buffer
	Nil
)

// A Missing is why a value is not shown.
type Missing string

// The reasons.
const (
	NotCaptured  Missing = "not captured"
	Erased       Missing = "erased"   // an exclusion covers it
	Withheld     Missing = "withheld" // what it is was not known, where exclusions are
	Unreadable   Missing = "unreadable"
	BadType      Missing = "its type cannot be read"
	Inconsistent Missing = "inconsistent"
	TooMuch      Missing = "limit reached"
)

// absence is why there is nothing to show of a value, or of what an interface
// holds.
func (v *Value) absence() Missing {
	for v.Missing == "" && v.Shape == Interface && v.To != nil {
		v = v.To
	}
	return v.Missing
}

// A Field is a field of a struct.
type Field struct {
	Name  string
	Value *Value
}

// An Entry is a key of a map and what stands under it.
type Entry struct{ Key, Value *Value }

// A Function is what a function value points at.
type Function struct {
	Name  string
	Entry memory.Address
}

// Limits bound what is read of one value. Zero fields mean the defaults; a
// negative one means no limit, but for Values.
type Limits struct {
	Depth    int // pointers to follow
	Elements int // of each array, slice, map and channel
	Bytes    int // of each text
	Values   int // of the whole tree
}

// Defaults of Limits.
const (
	DefaultDepth    = 32
	DefaultElements = 1000
	DefaultBytes    = 16 << 10
	DefaultValues   = 1 << 20
)

func (l Limits) filled() Limits {
	fill := func(v *int, by int) {
		switch {
		case *v == 0:
			*v = by
		case *v < 0:
			*v = 1 << 40
		}
	}
	fill(&l.Depth, DefaultDepth)
	fill(&l.Elements, DefaultElements)
	fill(&l.Bytes, DefaultBytes)
	if l.Values <= 0 {
		l.Values = DefaultValues
	}
	return l
}

// ErrNoType says that a region has no type that can be read.
var ErrNoType = fmt.Errorf("its type is not known")

// A reader reads one tree.
type reader struct {
	p      *Program
	limits Limits
	left   int // values
	shown  map[pointed]*Value
}

type pointed struct {
	addr memory.Address
	typ  *gotypes.Type
}

// Read returns the value of type t at addr.
func (p *Program) Read(t *gotypes.Type, addr memory.Address, limits Limits) *Value {
	r := p.reader(limits)
	// Pointers back to it refer to it.
	self := &Value{}
	r.shown[pointed{addr, t}] = self
	v := r.value(t, addr, r.limits.Depth)
	if self.Shown {
		v.Shown, v.Addr = true, addr
	}
	return v
}

// ReadList returns n values of type t that stand from addr on.
func (p *Program) ReadList(t *gotypes.Type, addr memory.Address, n uint64, limits Limits) *Value {
	if t.Kind == gotypes.Uint8 {
		return p.ReadBytes(addr, n, limits)
	}
	r := p.reader(limits)
	v := &Value{Shape: List, Type: "[]" + t.String(), Addr: addr}
	r.elements(v, t, addr, n, r.limits.Depth)
	return v
}

// ReadText returns the size bytes at addr as text.
func (p *Program) ReadText(addr memory.Address, size uint64, limits Limits) *Value {
	r := p.reader(limits)
	v := &Value{Shape: Text, Type: "string", Addr: addr}
	r.bytes(v, addr, size)
	return v
}

// ReadBytes returns the size bytes at addr as bytes.
func (p *Program) ReadBytes(addr memory.Address, size uint64, limits Limits) *Value {
	r := p.reader(limits)
	v := &Value{Shape: Bytes, Slice: true, Type: "[]uint8", Addr: addr}
	r.bytes(v, addr, size)
	return v
}

func (p *Program) reader(limits Limits) *reader {
	limits = limits.filled()
	return &reader{p: p, limits: limits, left: limits.Values, shown: map[pointed]*Value{}}
}

// missing returns a value of which nothing is there, with the reason that the
// core gives for the first byte of it that is not.
func (r *reader) missing(v *Value, addr memory.Address, size uint64) *Value {
	v.Missing = r.p.why(memory.RangeOf(addr, max(size, 1)))
	return v
}
