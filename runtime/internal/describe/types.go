package describe

import (
	"reflect"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/note"
)

// maxTypes bounds the described types: pointers may lead to most of a program's
// types.
const maxTypes = 1 << 12

// Types are descriptions of types and of those that they contain or point to.
// The zero value is empty.
type Types struct {
	List []note.Type // in the order in which they were met
	seen map[uint64]bool
}

// Add describes the type *T as well as T, because a region records the type of
// a pointer to it. It reports whether it added a description.
func (ts *Types) Add(t reflect.Type) bool {
	before := len(ts.List)
	queue := []reflect.Type{reflect.PointerTo(t)}
	for len(queue) > 0 && len(ts.List) < maxTypes {
		queue = append(queue[1:], ts.describe(queue[0])...)
	}
	return len(ts.List) > before
}

// describe adds one type and returns those that it leads to.
func (ts *Types) describe(t reflect.Type) []reflect.Type {
	addr := typeAddr(t)
	if ts.seen[addr] {
		return nil
	}
	if ts.seen == nil {
		ts.seen = map[uint64]bool{}
	}
	ts.seen[addr] = true
	d := note.Type{Addr: addr, Kind: uint32(t.Kind()), Size: uint64(t.Size()), Name: t.String(), PkgPath: t.PkgPath()}
	var next []reflect.Type
	switch t.Kind() {
	case reflect.Array:
		d.Len, d.Elem, next = uint64(t.Len()), typeAddr(t.Elem()), []reflect.Type{t.Elem()}
	case reflect.Pointer, reflect.Slice:
		d.Elem, next = typeAddr(t.Elem()), []reflect.Type{t.Elem()}
	case reflect.Interface:
		d.Methods = uint32(t.NumMethod())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			d.Fields = append(d.Fields, note.TypeField{Name: f.Name, Offset: uint64(f.Offset), Type: typeAddr(f.Type), Embedded: f.Anonymous})
			next = append(next, f.Type)
		}
	}
	ts.List = append(ts.List, d)
	return next
}

// typeAddr returns the address of a type's descriptor: the data word of the
// interface.
func typeAddr(t reflect.Type) uint64 {
	return uint64((*[2]uintptr)(unsafe.Pointer(&t))[1])
}
