package suggest

import (
	"go/types"
	"slices"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Forecast is an estimate of what a capture of a value has.
type Forecast struct {
	Bytes   int64 // the value and what its pointers lead to, within the default depth; texts are not counted
	Grows   bool  // a map, a slice or a channel adds to it
	Element int64 // bytes of one element, if the value itself is a map, a slice or a channel
}

// forecast estimates the size of a captured value.
func (p *program) forecast(t types.Type) Forecast {
	e := estimate{sizes: p.sizes, seen: map[types.Type]bool{}}
	f := Forecast{Bytes: p.sizes.Sizeof(t)}
	e.follow(t, anchor.DefaultDepth)
	f.Bytes += e.bytes
	f.Grows = e.grows
	for _, elem := range elements(t.Underlying()) {
		one := estimate{sizes: p.sizes, seen: map[types.Type]bool{}}
		one.follow(elem, 1)
		f.Element += p.sizes.Sizeof(elem) + one.bytes
	}
	return f
}

// elements returns the types that one element of a growing value has: of a map
// the key and the value.
func elements(t types.Type) []types.Type {
	switch t := t.(type) {
	case *types.Map:
		return []types.Type{t.Key(), t.Elem()}
	case *types.Slice:
		return []types.Type{t.Elem()}
	case *types.Chan:
		return []types.Type{t.Elem()}
	}
	return nil
}

// growingTypes are types of the standard library that grow.
var growingTypes = []string{"container/list.List", "container/ring.Ring", "expvar.Map", "sync.Map"}

// maxValue bounds what a pointer leads to: a larger array only gives a type to a
// part of the address space, like a mapped file.
const maxValue = 1 << 30

// An estimate adds up what pointers lead to.
type estimate struct {
	sizes types.Sizes
	seen  map[types.Type]bool
	bytes int64
	grows bool
}

// follow adds what a value of the type leads to within depth pointers.
func (e *estimate) follow(t types.Type, depth int) {
	if named, ok := types.Unalias(t).(*types.Named); ok && slices.Contains(growingTypes, typeName(named)) {
		e.grows = true
		return
	}
	switch t := t.Underlying().(type) {
	case *types.Pointer:
		if depth > 0 && !e.seen[t.Elem()] && e.sizes.Sizeof(t.Elem()) <= maxValue {
			e.seen[t.Elem()] = true
			e.bytes += e.sizes.Sizeof(t.Elem())
			e.follow(t.Elem(), depth-1)
		}
	case *types.Map, *types.Slice, *types.Chan:
		e.grows = true
	case *types.Array:
		e.follow(t.Elem(), depth)
	case *types.Struct:
		for field := range t.Fields() {
			e.follow(field.Type(), depth)
		}
	}
}
