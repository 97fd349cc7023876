package gotypes

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// A MapLayout has the offsets of the keys and values of a map type in its
// groups (Swiss maps, from Go 1.24) or buckets. It is computed from the group's
// or bucket's own type, whose fields have names, and checked against the
// numbers in the map's descriptor.
type MapLayout struct {
	Swiss bool
	Group *Type // of a group or bucket

	Slots      uint64 // in each
	CtrlOff    uint64 // control bytes, or top hashes: one byte a slot
	KeysOff    uint64 // slot i has its key at KeysOff + i*KeyStride
	KeyStride  uint64
	ElemsOff   uint64 // and its value at ElemsOff + i*ElemStride
	ElemStride uint64
	Overflow   uint64 // of a bucket: the offset of the pointer to the next

	Key, Elem *Type
	// The slot contains a pointer to the key, to the value.
	IndirectKey, IndirectElem bool
}

// Slots in a group, and in a bucket.
const mapSlots = 8

// mapInfoSize is the size of a map's descriptor after the group's address in
// the longest layout.
const mapInfoSize = 136 - 72

// A mapReader knows the descriptor of maps in one release.
type mapReader struct {
	swiss bool
	split bool   // the descriptor has strides of keys and values (Go 1.27)
	size  uint64 // of the descriptor
}

func mapReaderFor(v module.Version) mapReader {
	switch {
	case v.Minor <= 23 || v.HasExperiment("noswissmap"):
		return mapReader{size: 88}
	case v.Minor <= 26:
		return mapReader{swiss: true, size: 112}
	}
	return mapReader{swiss: true, split: true, size: 136}
}

// decodeMap reads a map's descriptor; its layout is made when it is asked for.
func (s *Set) decodeMap(t *Type) error {
	b, err := s.rest(t, s.maps.size)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	t.key, t.elem, t.group = memory.Address(le.Uint64(b)), memory.Address(le.Uint64(b[8:])), memory.Address(le.Uint64(b[16:]))
	copy(t.mapInfo[:], b[24:])
	for _, addr := range []memory.Address{t.key, t.elem, t.group} {
		if err := s.plausible(addr); err != nil {
			return err
		}
	}
	return nil
}

// MapLayout returns the offsets of a map type's keys and values. An error means
// that maps of the type cannot be read, not that they are empty.
func (t *Type) MapLayout() (*MapLayout, error) {
	if t.Kind != Map {
		return nil, fmt.Errorf("type %v: not a map", t)
	}
	if t.layout != nil {
		return t.layout, nil
	}
	l, err := t.mapLayout()
	if err != nil {
		return nil, fmt.Errorf("layout of %v: %w", t, err)
	}
	t.layout = l
	return l, nil
}

func (t *Type) mapLayout() (*MapLayout, error) {
	l := &MapLayout{Swiss: t.set.maps.swiss, Slots: mapSlots}
	var err error
	if l.Key, err = t.Key(); err != nil {
		return nil, err
	}
	if l.Elem, err = t.Elem(); err != nil {
		return nil, err
	}
	if !l.Swiss && !t.Static {
		return l, l.reflected(t)
	}
	if l.Group, err = t.set.At(t.group); err != nil {
		return nil, err
	}
	if l.Group.Kind != Struct {
		return nil, wrong("groups of kind %v", l.Group.Kind)
	}
	if l.Swiss {
		return l, l.group(t)
	}
	return l, l.bucket(t)
}

// group takes the layout from a Swiss map's group: struct { ctrl uint64; slots
// [8]struct { key K; elem E } }, or with the experiment mapsplitgroup struct {
// ctrl uint64; keys [8]K; elems [8]E }.
func (l *MapLayout) group(t *Type) error {
	ctrl, ok := l.part(l.Group, "ctrl")
	if !ok || ctrl.Type.Size != mapSlots {
		return wrong("a group without control word")
	}
	l.CtrlOff = ctrl.Offset
	var key, elem *Type
	if slots, ok := l.part(l.Group, "slots"); ok {
		slot, err := arrayOfSlots(slots.Type)
		if err != nil {
			return err
		}
		k, okKey := l.part(slot, "key")
		e, okElem := l.part(slot, "elem")
		if !okKey || !okElem {
			return wrong("a slot without key and value")
		}
		key, elem = k.Type, e.Type
		l.KeysOff, l.KeyStride = slots.Offset+k.Offset, slot.Size
		l.ElemsOff, l.ElemStride = slots.Offset+e.Offset, slot.Size
	} else if err := l.split(&key, &elem); err != nil {
		return err
	}
	flags := binary.LittleEndian.Uint32(t.mapInfo[104-72:])
	word := func(off int) uint64 { return binary.LittleEndian.Uint64(t.mapInfo[off-72:]) }
	fits := word(80) == l.Group.Size
	if t.set.maps.split {
		flags = binary.LittleEndian.Uint32(t.mapInfo[128-72:])
		fits = fits && word(88) == l.KeysOff && word(96) == l.KeyStride && word(104) == l.ElemsOff && word(112) == l.ElemStride
	} else {
		fits = fits && word(88) == l.KeyStride && word(96) == l.ElemsOff-l.KeysOff
	}
	if !fits {
		return wrong("the map's descriptor and its group's type do not fit")
	}
	const indirectKey, indirectElem = 1 << 2, 1 << 3
	return l.indirect(key, elem, flags&indirectKey != 0, flags&indirectElem != 0)
}

// part returns a field of a group or slot. Package reflect makes groups of
// exported fields, since it cannot make others.
func (l *MapLayout) part(t *Type, name string) (Field, bool) {
	if f, ok := t.Field(name); ok {
		return f, true
	}
	return t.Field(strings.ToUpper(name[:1]) + name[1:])
}

// reflected is the layout of a map type with buckets that package reflect made:
// its bucket's type has no fields, and no padding.
func (l *MapLayout) reflected(t *Type) error {
	keySize, elemSize, bucketSize, flags := t.bucketInfo()
	l.KeyStride, l.ElemStride = keySize, elemSize
	l.KeysOff = mapSlots
	l.ElemsOff = l.KeysOff + mapSlots*keySize
	l.Overflow = l.ElemsOff + mapSlots*elemSize
	l.IndirectKey, l.IndirectElem = flags&bucketIndirectKey != 0, flags&bucketIndirectElem != 0
	size := func(own *Type, indirect bool) uint64 {
		if indirect {
			return memory.PtrSize
		}
		return own.Size
	}
	if bucketSize != l.Overflow+memory.PtrSize || keySize != size(l.Key, l.IndirectKey) || elemSize != size(l.Elem, l.IndirectElem) {
		return wrong("the map's descriptor does not fit its key and value")
	}
	l.Group = &Type{
		Addr: t.group, Size: bucketSize, Align: memory.PtrSize, FieldAlign: memory.PtrSize, Kind: Struct, set: t.set,
		name: fmt.Sprintf("bucket(%v,%v)", l.Key, l.Elem),
	}
	return nil
}

// Flags of an old map's descriptor.
const (
	bucketIndirectKey  = 1 << 0
	bucketIndirectElem = 1 << 1
)

// bucketInfo decodes what follows the bucket's address in an old map's
// descriptor.
func (t *Type) bucketInfo() (keySize, elemSize, bucketSize uint64, flags uint32) {
	return uint64(t.mapInfo[80-72]), uint64(t.mapInfo[81-72]),
		uint64(binary.LittleEndian.Uint16(t.mapInfo[82-72:])), binary.LittleEndian.Uint32(t.mapInfo[84-72:])
}

// bucket takes the layout from an old map's bucket: struct { topbits [8]uint8;
// keys [8]K; elems [8]E; overflow pointer }.
func (l *MapLayout) bucket(t *Type) error {
	top, ok := l.Group.Field("topbits")
	if !ok || top.Type.Size != mapSlots {
		return wrong("a bucket without top hashes")
	}
	l.CtrlOff = top.Offset
	var key, elem *Type
	if err := l.split(&key, &elem); err != nil {
		return err
	}
	overflow, ok := l.Group.Field("overflow")
	if !ok || overflow.Type.Size != memory.PtrSize {
		return wrong("a bucket without overflow pointer")
	}
	l.Overflow = overflow.Offset
	keySize, elemSize, bucketSize, flags := t.bucketInfo()
	if keySize != l.KeyStride || elemSize != l.ElemStride || bucketSize != l.Group.Size {
		return wrong("the map's descriptor and its bucket's type do not fit")
	}
	return l.indirect(key, elem, flags&bucketIndirectKey != 0, flags&bucketIndirectElem != 0)
}

// split takes the layout from fields keys and elems, each an array.
func (l *MapLayout) split(key, elem **Type) error {
	keys, okKeys := l.part(l.Group, "keys")
	elems, okElems := l.part(l.Group, "elems")
	if !okKeys || !okElems {
		return wrong("a group with unknown fields")
	}
	var err error
	if *key, err = arrayOfSlots(keys.Type); err != nil {
		return err
	}
	if *elem, err = arrayOfSlots(elems.Type); err != nil {
		return err
	}
	l.KeysOff, l.KeyStride = keys.Offset, (*key).Size
	l.ElemsOff, l.ElemStride = elems.Offset, (*elem).Size
	return nil
}

// arrayOfSlots returns the elements' type of an array with one for each slot.
func arrayOfSlots(t *Type) (*Type, error) {
	if t.Kind != Array || t.Len != mapSlots {
		return nil, wrong("%v where an array of %d was expected", t, mapSlots)
	}
	return t.Elem()
}

// indirect checks the types in a slot against the map's own.
func (l *MapLayout) indirect(key, elem *Type, indirectKey, indirectElem bool) error {
	for _, c := range []struct {
		slot, own *Type
		indirect  bool
	}{{key, l.Key, indirectKey}, {elem, l.Elem, indirectElem}} {
		if !c.indirect {
			if !c.slot.Same(c.own) {
				return wrong("%v in the slots of a map of %v", c.slot, c.own)
			}
			continue
		}
		if c.slot.Kind != Pointer && c.slot.Kind != UnsafePointer {
			return wrong("%v in the slots of a map of pointers to %v", c.slot, c.own)
		}
		if c.slot.Kind == Pointer {
			if to, err := c.slot.Elem(); err != nil || !to.Same(c.own) {
				return wrong("%v in the slots of a map of pointers to %v", c.slot, c.own)
			}
		}
	}
	l.IndirectKey, l.IndirectElem = indirectKey, indirectElem
	return nil
}
