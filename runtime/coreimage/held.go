package coreimage

import (
	"encoding/binary"
	"reflect"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// A header read in the middle of a change may contain any value. maxHeld bounds
// the bytes that one value is believed to refer to, maxLooks the headers that
// are read for one value.
const (
	maxHeld  = 1 << 40
	maxLooks = 1 << 22
)

// held returns the memory that excluded values refer to directly: the bytes of
// strings, slices up to their capacity, the targets of pointers, and the
// pointer-free memory that these refer to. Offsets in x count from base. It
// reads through the kernel, because the program may be writing.
func (c *image) held(x registry.ExcludedSpan, base uint64) []elfcore.Range {
	if x.Type == nil || x.Type.Size() == 0 || unsafe.Sizeof(uintptr(0)) != 8 {
		return nil
	}
	h := holding{read: c.read, left: maxLooks}
	h.array(base+x.Offset, x.Type, x.Size/uint64(x.Type.Size()), true)
	return h.out
}

// A holding collects the memory that values refer to.
type holding struct {
	read func(b []byte, addr uint64) int
	left int // headers that may still be read
	out  []elfcore.Range
}

// array visits n consecutive values. If follow is set, it includes slices and
// pointers whose targets have pointers.
func (h *holding) array(addr uint64, t reflect.Type, n uint64, follow bool) {
	if !pointers(t) {
		return
	}
	for i := uint64(0); i < n && h.left > 0; i++ {
		h.value(addr+i*uint64(t.Size()), t, follow)
	}
}

func (h *holding) value(addr uint64, t reflect.Type, follow bool) {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); pointers(f.Type) {
				h.value(addr+uint64(f.Offset), f.Type, follow)
			}
		}
	case reflect.Array:
		h.array(addr, t.Elem(), uint64(t.Len()), follow)
	case reflect.String:
		w := h.words(addr, 2)
		h.take(w[0], w[1], nil, follow)
	case reflect.Slice:
		w := h.words(addr, 3)
		h.take(w[0], w[2], t.Elem(), follow)
	case reflect.Pointer:
		h.take(h.words(addr, 1)[0], 1, t.Elem(), follow)
	}
}

// take adds n values of type t (bytes if t is nil) and the pointer-free memory
// that they refer to.
func (h *holding) take(addr, n uint64, t reflect.Type, follow bool) {
	each := uint64(1)
	if t != nil {
		each = uint64(t.Size())
		if !follow && pointers(t) {
			return
		}
	}
	if addr == 0 || n == 0 || each == 0 || n > maxHeld/each || addr+n*each < addr {
		return
	}
	h.out = append(h.out, elfcore.Range{Start: addr, End: addr + n*each})
	if t != nil && follow {
		h.array(addr, t, n, false)
	}
}

// words reads n words; unreadable ones are zero.
func (h *holding) words(addr uint64, n int) (w [3]uint64) {
	var b [24]byte
	h.left--
	if h.read(b[:8*n], addr) == 8*n {
		for i := range n {
			w[i] = binary.NativeEndian.Uint64(b[8*i:])
		}
	}
	return w
}

// pointers reports whether values of type t contain pointers to other memory.
func pointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if pointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	case reflect.Array:
		return t.Len() > 0 && pointers(t.Elem())
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16,
		reflect.Uint32, reflect.Uint64, reflect.Uintptr, reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return false
	}
	return true
}
