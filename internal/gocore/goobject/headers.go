package goobject

import (
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// Sizes of values.
const (
	StringSize    = 16
	SliceSize     = 24
	InterfaceSize = 16
)

// InterfaceData is the offset in an interface of its second word: a pointer to
// the value, or the value itself when its type is Direct.
const InterfaceData = 8

// String decodes a string of StringSize bytes.
func String(b []byte) (data memory.Address, length uint64, err error) {
	data, length = Pointer(b), le.Uint64(b[8:])
	if length > 0 && !inside(data, length, 1) {
		return data, length, inconsistent("a string of %d bytes at %v", length, data)
	}
	return data, length, nil
}

// Slice decodes a slice of SliceSize bytes, of elements of elemSize bytes.
func Slice(b []byte, elemSize uint64) (memory.Slice, error) {
	s := memory.Slice{Data: Pointer(b), Len: le.Uint64(b[8:]), Cap: le.Uint64(b[16:])}
	if s.Len > s.Cap || s.Cap > 0 && elemSize > 0 && !inside(s.Data, s.Cap, elemSize) {
		return s, inconsistent("length %d, capacity %d", s.Len, s.Cap)
	}
	return s, nil
}

// FuncEntry decodes the first word of what a function value points at: the
// address of the code. The variables that a function literal has captured
// follow; only debug information has their layout.
func FuncEntry(b []byte) memory.Address { return Pointer(b) }

// A TypedPointer is a pointer in a struct that hides it from the type:
// atomic.Pointer or weak.Pointer.
type TypedPointer struct {
	Offset uint64
	Elem   *gotypes.Type
	// Weak means that the pointer leads to a word that is the pointer to the
	// value, and is 0 when the value was collected.
	Weak bool
}

// TypedPointerOf returns the pointer in a value of type t, false when t is
// neither an atomic.Pointer nor a weak.Pointer, or not as they are.
func TypedPointerOf(t *gotypes.Type) (TypedPointer, bool) {
	field, ok := map[string]string{"sync/atomic": "v", "weak": "u"}[t.PkgPath]
	if !ok || !strings.HasPrefix(t.Name(), "Pointer[") {
		return TypedPointer{}, false
	}
	off, elem, ok := typedPointer(t, field)
	return TypedPointer{off, elem, t.PkgPath == "weak"}, ok
}

// typedPointer returns the offset of the named field of a
// struct { _ [0]*T; …; field unsafe.Pointer }, and T.
func typedPointer(t *gotypes.Type, field string) (offset uint64, elem *gotypes.Type, ok bool) {
	f, ok := t.Field(field)
	if !ok || f.Type.Kind != gotypes.UnsafePointer || t.Fields[0].Type.Kind != gotypes.Array {
		return 0, nil, false
	}
	ptr, err := t.Fields[0].Type.Elem()
	if err != nil || ptr.Kind != gotypes.Pointer {
		return 0, nil, false
	}
	elem, err = ptr.Elem()
	return f.Offset, elem, err == nil
}

// Offsets in an itab, what the first word of an interface with methods points
// at, since Go 1.0 or so.
const (
	itabInter   = 0
	itabType    = 8
	itabHash    = 16 // uint32
	itabMethods = 24
)

// An Itab is a decoded itab: Type is the dynamic type of an interface of type
// Inter.
type Itab struct {
	memory.Range // with all methods
	Inter, Type  *gotypes.Type
}

// ItabAt reads the itab at addr. The runtime makes itabs too, for conversions
// that the compiler did not see (x.(I)), and leaves their hash zero: their
// first method shows that they are itabs.
func ItabAt(types *gotypes.Set, addr memory.Address) (Itab, error) {
	it, err := itabAt(types, addr)
	if err != nil {
		return Itab{}, fmt.Errorf("itab at %v: %w", addr, err)
	}
	return it, nil
}

func itabAt(types *gotypes.Set, addr memory.Address) (Itab, error) {
	if addr == 0 || !addr.Aligned(memory.PtrSize) {
		return Itab{}, inconsistent("no such address")
	}
	const head = itabMethods + memory.PtrSize // an interface without methods has no itab
	b, err := memory.Reader{Memory: types.Memory()}.Bytes(addr, head, head)
	if err != nil {
		return Itab{}, err
	}
	inter, err := types.At(Pointer(b[itabInter:]))
	if err != nil {
		return Itab{}, fmt.Errorf("its interface: %w", err)
	}
	t, err := types.At(Pointer(b[itabType:]))
	if err != nil {
		return Itab{}, err
	}
	hash, method := le.Uint32(b[itabHash:]), Pointer(b[itabMethods:])
	if inter.Kind != gotypes.Interface || t.Kind == gotypes.Interface || hash != t.Hash && (hash != 0 || !types.IsText(method)) {
		return Itab{}, inconsistent("%v as %v", t, inter)
	}
	size := itabMethods + uint64(max(inter.Methods, 1))*memory.PtrSize
	return Itab{memory.RangeOf(addr, size), inter, t}, nil
}

// DynamicType returns the type of the value in an interface of type t whose
// first word is word; nil for a nil interface.
func DynamicType(types *gotypes.Set, t *gotypes.Type, word memory.Address) (*gotypes.Type, error) {
	if word == 0 {
		return nil, nil
	}
	if t.Methods > 0 {
		it, err := ItabAt(types, word)
		return it.Type, err
	}
	dynamic, err := types.At(word)
	if err == nil && dynamic.Kind == gotypes.Interface {
		return nil, inconsistent("an interface of type %v in an interface", dynamic)
	}
	return dynamic, err
}
