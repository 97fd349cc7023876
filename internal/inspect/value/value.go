// Package value reads Go values out of a core by the program's runtime types
// alone: no symbols and no debug information are needed, so that binaries
// stripped with -s -w print as well as others.
//
// What a core does not hold is shown as such in its place. A value never comes
// from the executable's own copy of a variable, which is the initial one.
package value

import (
	"fmt"
	"iter"
	"math"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/inspect"
)

// A Value is a Go value as far as it is in a core: a tree that renders as Go
// syntax or as JSON. Shapes do not depend on the type's kind alone: a time, a
// big integer and a sync.Map have the shapes of what they mean.
type Value struct {
	Shape Shape
	Type  string // as reflect writes it
	Addr  memory.Address

	// Absent is why there is nothing to show, empty when there is.
	Absent inspect.Missing

	Text string // of a Literal: Go source. Of a Text: its bytes
	JSON any    // of a Literal, when its JSON is not the number in Text

	Fields  []Field  // of a Struct
	Elems   []*Value // of a List
	Entries []Entry  // of a Map
	Elem    *Value   // of a Pointer; of an Interface its value. Nil for nil
	BackRef bool     // a Pointer, Map or List whose target is shown elsewhere
	// Referenced is set on a value that a BackRef refers to.
	Referenced bool
	Senders    *Senders  // of a Chan: goroutines that wait to send, nil when there are none
	Omitted    uint64    // elements, entries or bytes that limits left out
	Func       *Function // of a Func
	Slice      bool      // Bytes of a slice, not of an array
	Notes      []string  // remarks about the value

	// stream has the Fields, Elems or Entries that are read when they are written: see
	// [Place.Stream]. It sets Omitted and Notes at its end.
	stream iter.Seq[Entry]
	texts  bool // of a stream of entries: see jsonName
	// streamed is set if the value has a stream, or one below it has.
	streamed bool
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

// absence returns why there is nothing to show of a value, or of the value in
// an interface.
func (v *Value) absence() inspect.Missing {
	for v.Absent == "" && v.Shape == Interface && v.Elem != nil {
		v = v.Elem
	}
	return v.Absent
}

// Senders are the values that goroutines wait to send on a channel, the first
// to be received first.
type Senders struct {
	Values  []*Value
	Omitted uint64 // senders whose values limits left out
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
			*v = min(1<<40, math.MaxInt/2)
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
	p       *inspect.Program
	limits  Limits
	left    int                // values that may still be read
	parts   int                // of maps and channels, that may still be visited
	shown   map[pointed]*Value // by what they point at; nil if that is streamed
	buf     [256]byte          // see fetch
	loaded  loaded
	maps    map[*gotypes.Type]*goobject.MapType
	scratch *reader // for the order of keys
	streaming
}

// A loaded range was read at once: most values of a struct are next to each other, and
// finding the place of a value in a core of many pieces is most of the work.
type loaded struct {
	addr memory.Address
	data []byte
	room [512]byte
}

// load reads the bytes at addr, as far as they are in one piece, for the values that are
// read next.
func (r *reader) load(addr memory.Address, size uint64) {
	l := &r.loaded
	if _, ok := l.at(addr, 1); ok || size > uint64(len(l.room)) {
		return
	}
	n, _ := r.p.Memory().ReadAt(l.room[:size], addr) // what is missing is found later
	l.addr, l.data = addr, l.room[:max(n, 0)]
}

// at returns bytes that were loaded.
func (l *loaded) at(addr memory.Address, size uint64) ([]byte, bool) {
	from := uint64(addr - l.addr)
	if addr < l.addr || from > uint64(len(l.data)) || size > uint64(len(l.data))-from {
		return nil, false
	}
	return l.data[from : from+size], true
}

type pointed struct {
	addr memory.Address
	typ  *gotypes.Type
	n    uint64 // elements of a slice
}

// leads reports whether values of a type may lead to other values, and so back to
// themselves. Strings do not.
func leads(t *gotypes.Type) bool { return t.PtrBytes > 0 && t.Kind != gotypes.String }

// again marks v as a reference if what key names is shown elsewhere. Else v is
// where it is shown.
func (r *reader) again(v *Value, key pointed) bool {
	first, ok := r.shown[key]
	switch {
	case r.second && !r.twice[key]: // nothing refers to it
		return false
	case !ok && r.twice != nil:
		v.Referenced = r.twice[key]
		r.shown[key] = nil
	case !ok:
		r.shown[key] = v
	case first != nil:
		first.Referenced, v.BackRef = true, true
	default:
		r.twice[key], v.BackRef = true, true
	}
	return ok
}

// maxParts is how many groups and buckets of maps, nodes of tries and waiting
// goroutines are visited for one tree.
const maxParts = 1 << 24

// Read returns the value of type t at addr.
func Read(p *inspect.Program, t *gotypes.Type, addr memory.Address, limits Limits) *Value {
	return Place{Addr: addr, Type: t}.Read(p, limits)
}

// root reads the value at a place.
func (r *reader) root(pl Place) *Value {
	switch {
	case pl.Form == Chars:
		v := &Value{Shape: Text, Type: "string", Addr: pl.Addr}
		r.bytes(v, pl.Addr, pl.Len)
		return v
	case pl.Type == nil || pl.Form == Row && pl.Type.Kind == gotypes.Uint8:
		v := &Value{Shape: Bytes, Slice: true, Type: "[]uint8", Addr: pl.Addr}
		r.bytes(v, pl.Addr, pl.Len)
		return v
	case pl.Form == Row:
		v := &Value{Shape: List, Type: "[]" + pl.Type.String(), Addr: pl.Addr}
		r.elements(v, pl.Type, pl.Addr, pl.Len, r.limits.Depth)
		return v
	}
	// Pointers back to it refer to it.
	self := &Value{}
	r.again(self, pointed{addr: pl.Addr, typ: pl.Type})
	v := r.value(pl.Type, pl.Addr, r.limits.Depth)
	if self.Referenced {
		v.Referenced, v.Addr = true, pl.Addr
	}
	return v
}

func newReader(p *inspect.Program, limits Limits) *reader {
	limits = limits.filled()
	return &reader{p: p, limits: limits, left: limits.Values, parts: maxParts, shown: map[pointed]*Value{}, maps: map[*gotypes.Type]*goobject.MapType{}}
}

// read returns the bytes of a value.
func (r *reader) read(addr memory.Address, size uint64) ([]byte, bool) {
	b := make([]byte, size)
	if have, ok := r.loaded.at(addr, size); ok {
		copy(b, have)
		return b, true
	}
	return b, r.p.Read(b, addr)
}

// fetch returns bytes of an object between values; they are valid until the
// next call. It is a goobject.ReadFunc.
func (r *reader) fetch(addr memory.Address, size uint64) ([]byte, bool) {
	if size > uint64(len(r.buf)) {
		return r.read(addr, size)
	}
	b := r.buf[:size]
	if have, ok := r.loaded.at(addr, size); ok {
		copy(b, have)
		return b, true
	}
	return b, r.p.Read(b, addr)
}

// pointer reads the pointer at addr.
func (r *reader) pointer(addr memory.Address) (memory.Address, bool) {
	b, ok := r.fetch(addr, memory.PtrSize)
	if !ok {
		return 0, false
	}
	return goobject.Pointer(b), true
}

// absent marks a value as not there, for the reason that the core gives for
// the first byte of the range that it lacks.
func (r *reader) absent(v *Value, addr memory.Address, size uint64) *Value {
	v.Absent = r.p.Why(memory.RangeOf(addr, max(size, 1)))
	return v
}
