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
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/inspect"
)

// torn begins the notes on values that are not of one moment.
const torn = "torn: "

// IsTorn reports whether a note on a value means that it is not of one moment. It is about
// how the value was read, not about the value.
func IsTorn(note string) bool { return strings.HasPrefix(note, torn) }

// A Value is a Go value as far as it is in a core: a tree that renders as Go
// syntax or as JSON. Shapes do not depend on the type's kind alone: a time, a
// big integer and a sync.Map have the shapes of what they mean.
type Value struct {
	Shape Shape
	Type  string // as reflect writes it
	Addr  memory.Address

	// Absent is why there is nothing to show, empty when there is.
	Absent inspect.Missing
	Cut    bool // it is Absent because of the depth

	Text string // of a Literal: Go source. Of a Text: its bytes
	JSON any    // of a Literal, when its JSON is not Text
	// Quoted is set if the JSON of a Literal is Text as a string: readers of JSON lose
	// digits of large numbers.
	Quoted  bool
	Integer bool   // of a Literal: Text is an integer in decimal digits
	Const   string // the name of the constant of its type that an Integer is

	Fields  []Field  // of a Struct
	Parts   []Field  // of a sync.Once, the lock for which goroutines wait: what is not written. Only [Place.Scan] reads it
	Elems   []*Value // of a List
	Entries []Entry  // of a Map
	Elem    *Value   // of a Pointer; of an Interface its value; of a Func the receiver of a method value. Nil for nil
	BackRef bool     // a Pointer, Map or List whose target is shown elsewhere
	// Referenced is set on a value that a BackRef refers to.
	Referenced bool
	Senders    *Senders  // of a Chan: goroutines that wait to send, nil when there are none
	Omitted    uint64    // elements, entries, fields or bytes that limits left out
	Func       *Function // of a Func
	Slice      bool      // Bytes of a slice, not of an array
	State      []string  // what no field shows: a mutex is locked, a channel closed
	Notes      []string  // problems: what is missing, or contradicts itself

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

// An Entry is a key of a map and its value.
type Entry struct {
	Key, Value *Value
	of         *entries // where it was read, nil if it was made
	at         entryPlace
}

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

	Constants bool // find the names of constants, see [Value].Const: it takes reading debug information
}

// Defaults of Limits.
const (
	DefaultDepth    = 32
	DefaultElements = 1000
	DefaultBytes    = 16 << 10
	DefaultValues   = 1 << 20
)

// ValuesIn returns how many values so many bytes of memory can hold: most values
// have eight bytes. As a limit it bounds what is read of a core by the core's size.
func ValuesIn(bytes uint64) int {
	const typical = 8
	return max(DefaultValues, int(min(bytes/typical, math.MaxInt)))
}

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

// cut marks a value whose n parts are one pointer deeper than the limit.
func (r *reader) cut(v *Value, n uint64, one, many string) {
	part := many
	if n == 1 {
		part = one
	}
	v.Absent, v.Cut = inspect.Missing(fmt.Sprintf("%d %s below: --depth %d", n, part, r.limits.Depth+1)), true
}

// cutAt is cut for a value of type t that a pointer leads to. The message of an error is
// not cut.
func (r *reader) cutAt(v *Value, t *gotypes.Type, addr memory.Address) {
	if _, ok := errorTextOf(t); ok || isErrno(t) {
		r.errorMessage(v, t, addr)
	}
	switch t.Kind {
	case gotypes.Struct:
		r.cut(v, uint64(len(t.Fields)), "field", "fields")
	case gotypes.Array:
		r.cut(v, t.Len, "element", "elements")
	default:
		r.cut(v, 1, "value", "values")
	}
}

// ErrNoType reports that a region has no type that can be read.
var ErrNoType = fmt.Errorf("its type is not known")

// A reader reads one tree.
type reader struct {
	p       *inspect.Program
	limits  Limits
	left    int                // values that may still be read
	reads   int                // values that were read, without those of scratch
	parts   int                // of maps and channels, that may still be visited
	shown   map[pointed]*Value // by what they point at; nil if that is streamed
	maps    map[*gotypes.Type]*goobject.MapType
	scratch *reader // for the order of keys
	// pathKeys reads keys as paths compare them.
	pathKeys *reader
	// forOrder is set in a reader of keys that are read to sort them.
	forOrder bool
	order    int // values of keys that may still be read to sort them
	arena    arena
	streaming
}

type pointed struct {
	addr memory.Address
	typ  *gotypes.Type
	n    uint64 // elements of a slice
}

// again marks v as a reference if what key names is shown elsewhere. Else v is
// where it is shown.
func (r *reader) again(v *Value, key pointed) bool {
	if r.second && !r.twice[key] { // nothing refers to it
		return false
	}
	if r.shown == nil {
		r.shown = map[pointed]*Value{}
	}
	first, ok := r.shown[key]
	switch {
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
	return &reader{p: p, limits: limits, left: limits.Values, parts: maxParts, order: orderValues * min(limits.Values, math.MaxInt/orderValues)}
}

// fetch returns the bytes of a value; they are valid until the next call. It is a
// goobject.ReadFunc.
func (r *reader) fetch(addr memory.Address, size uint64) ([]byte, bool) { return r.p.View(addr, size) }

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
