package gotypes

import (
	"encoding/binary"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// Sizes of the descriptors by kind: an uncommon type follows the descriptor.
const (
	elemDescriptor   = 56 // pointer, slice
	chanDescriptor   = 64
	arrayDescriptor  = 72
	funcDescriptor   = 56
	structDescriptor = 80 // interface too
	fieldDescriptor  = 24
)

// decodeKind reads what follows the header and returns how many bytes the
// descriptor has.
func (s *Set) decodeKind(t *Type) (end uint64, err error) {
	switch t.Kind {
	case Pointer, Slice:
		return elemDescriptor, s.decodeElem(t)
	case Chan:
		return chanDescriptor, s.decodeChan(t)
	case Array:
		return arrayDescriptor, s.decodeArray(t)
	case Func:
		return funcDescriptor, s.decodeFunc(t)
	case Interface:
		return structDescriptor, s.decodeInterface(t)
	case Map:
		return s.maps.size, s.decodeMap(t)
	case Struct:
		return structDescriptor, s.decodeStruct(t)
	}
	return typeHeader, nil
}

// rest reads what a descriptor has after its header.
func (s *Set) rest(t *Type, size uint64) ([]byte, error) {
	return s.bytes(t.Addr.Add(typeHeader), size-typeHeader, size)
}

func (s *Set) decodeElem(t *Type) error {
	b, err := s.rest(t, elemDescriptor)
	if err != nil {
		return err
	}
	t.elem = memory.Address(binary.LittleEndian.Uint64(b))
	return s.plausible(t.elem)
}

// plausible refuses what cannot be a type's address, so that a pointer to
// nowhere is no type; its type is read when it is asked for.
func (s *Set) plausible(addr memory.Address) error {
	if addr == 0 || !addr.Aligned(memory.PtrSize) {
		return wrong("its element's type is at %v", addr)
	}
	_, err := s.r.Uint8(addr.Add(typeHeader - 1))
	return err
}

func (s *Set) decodeChan(t *Type) error {
	b, err := s.rest(t, chanDescriptor)
	if err != nil {
		return err
	}
	t.elem = memory.Address(binary.LittleEndian.Uint64(b))
	dir := binary.LittleEndian.Uint64(b[8:])
	if dir < 1 || dir > 3 {
		return wrong("a channel of direction %d", dir)
	}
	t.chanDir = int(dir)
	return s.plausible(t.elem)
}

func (s *Set) decodeArray(t *Type) error {
	b, err := s.rest(t, arrayDescriptor)
	if err != nil {
		return err
	}
	t.elem = memory.Address(binary.LittleEndian.Uint64(b))
	t.Len = binary.LittleEndian.Uint64(b[16:])
	elem, err := s.At(t.elem)
	if err != nil {
		return err
	}
	return t.checkArray(elem)
}

// checkArray holds an array against its elements.
func (t *Type) checkArray(elem *Type) error {
	switch {
	case t.Len >= maxSize && elem.Size != 0,
		elem.Size != 0 && t.Len > maxSize/elem.Size,
		t.Len*elem.Size != t.Size:
		return wrong("%d elements of %d bytes in %d", t.Len, elem.Size, t.Size)
	case elem.Align != t.Align, (elem.PtrBytes != 0 && t.Len != 0) != (t.PtrBytes != 0):
		return wrong("an array that is unlike its elements")
	}
	return nil
}

func (s *Set) decodeFunc(t *Type) error {
	b, err := s.bytes(t.Addr.Add(typeHeader), 4, 4)
	if err != nil {
		return err
	}
	in, out := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
	t.Variadic = out&(1<<15) != 0
	out &^= 1 << 15
	// The parameters' types follow the uncommon type, if there is one.
	tflag, err := s.r.Uint8(t.Addr.Add(typeTFlag))
	if err != nil {
		return err
	}
	at := t.Addr.Add(funcDescriptor)
	if tflag&tflagUncommon != 0 {
		const uncommon = 16
		at = at.Add(uncommon)
	}
	size := (uint64(in) + uint64(out)) * memory.PtrSize
	if b, err = s.bytes(at, size, size); err != nil {
		return err
	}
	params := make([]memory.Address, 0, int(in)+int(out))
	for ; len(b) > 0; b = b[memory.PtrSize:] {
		params = append(params, memory.Address(binary.LittleEndian.Uint64(b)))
	}
	t.in, t.out = params[:in], params[in:]
	return nil
}

func (s *Set) decodeInterface(t *Type) error {
	b, err := s.rest(t, structDescriptor)
	if err != nil {
		return err
	}
	count := binary.LittleEndian.Uint64(b[16:])
	if count > maxFields {
		return wrong("an interface of %d methods", count)
	}
	t.Methods = int(count)
	return nil
}

func (s *Set) decodeStruct(t *Type) error {
	b, err := s.rest(t, structDescriptor)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	at, count := memory.Address(le.Uint64(b[8:])), le.Uint64(b[16:])
	if count > maxFields {
		return wrong("a struct of %d fields", count)
	}
	if b, err = s.bytes(at, count*fieldDescriptor, maxFields*fieldDescriptor); err != nil {
		return err
	}
	pkg := t.Addr // names in the type's own module
	m := s.moduleOf(pkg)
	end, pointers := uint64(0), false
	for ; len(b) > 0; b = b[fieldDescriptor:] {
		ft, err := s.At(memory.Address(le.Uint64(b[8:])))
		if err != nil {
			return err
		}
		n, err := s.name(memory.Address(le.Uint64(b)), m)
		if err != nil {
			return err
		}
		f := Field{Name: n.text, Exported: n.exported, Embedded: n.embedded, Type: ft, Offset: le.Uint64(b[16:])}
		if err := t.checkField(f, end); err != nil {
			return err
		}
		pointers = pointers || ft.PtrBytes != 0
		end = f.Offset + ft.Size
		t.Fields = append(t.Fields, f)
	}
	if !pointers && t.PtrBytes != 0 {
		return wrong("pointers in none of the fields")
	}
	return nil
}

// checkField holds a field that follows others, which end at end, against its
// struct.
func (t *Type) checkField(f Field, end uint64) error {
	ft := f.Type
	switch {
	case f.Offset < end, f.Offset > t.Size, ft.Size > t.Size-f.Offset:
		return wrong("field %q of %d bytes at offset %d of %d", f.Name, ft.Size, f.Offset, t.Size)
	case f.Offset%ft.FieldAlign != 0, ft.Align > t.Align:
		return wrong("field %q at offset %d, aligned to %d", f.Name, f.Offset, ft.FieldAlign)
	case ft.PtrBytes != 0 && f.Offset+ft.PtrBytes > t.PtrBytes:
		return wrong("field %q has pointers where the struct has none", f.Name)
	}
	return nil
}

// Params returns a function's parameters and results.
func (t *Type) Params() (in, out []*Type, err error) {
	all := [2][]*Type{}
	for i, addrs := range [2][]memory.Address{t.in, t.out} {
		for _, addr := range addrs {
			p, err := t.set.At(addr)
			if err != nil {
				return nil, nil, err
			}
			all[i] = append(all[i], p)
		}
	}
	return all[0], all[1], nil
}
