package heap

import (
	"sync"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// A typeMask is which words of an object are pointers: bit i for the word i,
// and again for each further element of the type in the object.
type typeMask struct {
	words uint64 // of an element
	bits  []uint64
}

// typeMasks are the masks of a program's types. They are made from the types
// themselves: since Go 1.24 the runtime makes the masks of large types when it
// needs them, and before it has programs for them.
type typeMasks struct {
	mu    sync.Mutex
	types *gotypes.Set
	known map[uint64]*typeMask
}

func newTypeMasks(types *gotypes.Set) *typeMasks {
	return &typeMasks{types: types, known: map[uint64]*typeMask{}}
}

// at returns the mask of the type at addr, nil if no type is there.
func (m *typeMasks) at(addr uint64) *typeMask {
	m.mu.Lock()
	defer m.mu.Unlock()
	mask, ok := m.known[addr]
	if !ok {
		if t, err := m.types.At(memory.Address(addr)); err == nil {
			mask = maskOf(t)
		}
		m.known[addr] = mask
	}
	return mask
}

// maxMaskWords bounds a mask; objects of larger types are scanned word by word.
const maxMaskWords = 1 << 24

// maskOf makes the mask of a type, nil if it would be too large. The mask of an
// array is that of its element.
func maskOf(t *gotypes.Type) *typeMask {
	for t.Kind == gotypes.Array {
		elem, err := t.Elem()
		if err != nil || elem.Size == 0 {
			return nil
		}
		t = elem
	}
	if t.Size == 0 || t.Size%memory.PtrSize != 0 || t.Size/memory.PtrSize > maxMaskWords {
		return nil
	}
	mask := &typeMask{words: t.Size / memory.PtrSize, bits: make([]uint64, (t.PtrBytes/memory.PtrSize+63)/64)}
	if !mask.add(t, 0) {
		return nil
	}
	return mask
}

// add sets the bits of a type's pointers from a word on.
func (m *typeMask) add(t *gotypes.Type, word uint64) bool {
	if t.PtrBytes == 0 {
		return true
	}
	switch t.Kind {
	case gotypes.Struct:
		for _, f := range t.Fields {
			if f.Type.PtrBytes != 0 && !m.add(f.Type, word+f.Offset/memory.PtrSize) {
				return false
			}
		}
		return true
	case gotypes.Array:
		elem, err := t.Elem()
		if err != nil {
			return false
		}
		for i := range t.Len {
			if !m.add(elem, word+i*elem.Size/memory.PtrSize) {
				return false
			}
		}
		return true
	}
	first := uint64(0)
	if t.Kind == gotypes.Interface {
		first = 1 // types are not on the heap, or something else keeps them
	}
	for i := first; i < t.PtrBytes/memory.PtrSize; i++ {
		k := word + i
		if k/64 >= uint64(len(m.bits)) {
			return false
		}
		m.bits[k/64] |= 1 << (k % 64)
	}
	return true
}
