package gotypes

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Definition is a type of which the program holds no descriptor, since nothing
// in it needs one while it runs. Debug information has such types.
type Definition struct {
	Kind    Kind
	Name    string // as reflect has it: server.Conn
	PkgPath string // of a declared type
	Size    uint64 // of a struct; all others have theirs from what they consist of
	Len     uint64 // of an array
	Elem    memory.Address
	Fields  []Field // of a struct, by offset
	Methods int     // of an interface
}

// madeStart begins the addresses of made types. No memory is mapped there.
const madeStart memory.Address = 1 << 63

// maxMade bounds the types that are made.
const maxMade = 1 << 16

// Make returns the address of a type of which the program holds no descriptor.
// define is called once, when the type is first asked for: types that point at
// themselves have an address before they are known.
func (s *Set) Make(define func() (Definition, error)) (memory.Address, error) {
	if len(s.made) == maxMade {
		return 0, fmt.Errorf("%w: more than %d types without a descriptor", ErrNotType, maxMade)
	}
	s.made = append(s.made, define)
	return madeStart.Add(uint64(len(s.made)) * memory.PtrSize), nil
}

// Describe has the Set take the type at addr from a description, not from memory.
// define is called once, when the type is first asked for.
func (s *Set) Describe(addr memory.Address, define func() (Definition, error)) {
	if s.described == nil {
		s.described = map[memory.Address]func() (Definition, error){}
	}
	s.described[addr] = define
}

// maker returns what defines the type at addr, nil for one that memory has.
func (s *Set) maker(addr memory.Address) func() (Definition, error) {
	if define := s.described[addr]; define != nil {
		return define
	}
	if i := uint64(addr-madeStart) / memory.PtrSize; addr > madeStart && addr.Aligned(memory.PtrSize) && i <= uint64(len(s.made)) {
		return s.made[i-1]
	}
	return nil
}

// define makes a type at its address.
func (s *Set) define(addr memory.Address, d Definition) (*Type, error) {
	if d.Kind == Invalid || int(d.Kind) >= len(kinds) {
		return nil, wrong("kind %d", d.Kind)
	}
	t := &Type{
		Addr: addr, Kind: d.Kind, Named: d.PkgPath != "", Made: true, PkgPath: d.PkgPath, name: d.Name, set: s,
		Size: kinds[d.Kind].size, PtrBytes: kinds[d.Kind].ptrBytes, Len: d.Len, Methods: d.Methods, elem: d.Elem,
	}
	var err error
	switch d.Kind {
	case Array:
		err = t.layArray()
	case Struct:
		t.Size = d.Size
		err = t.layStruct(d.Fields)
	case Complex64:
		t.Align = 4
	default:
		t.Align = min(t.Size, memory.PtrSize)
	}
	t.FieldAlign = t.Align
	if err == nil {
		err = t.checkHeader()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	return t, nil
}

func (t *Type) layArray() error {
	elem, err := t.Elem()
	if err != nil {
		return err
	}
	t.Align, t.Size = elem.Align, t.Len*elem.Size
	if elem.PtrBytes != 0 && t.Len != 0 {
		t.PtrBytes = (t.Len-1)*elem.Size + elem.PtrBytes
	}
	return t.checkArray(elem)
}

func (t *Type) layStruct(fields []Field) error {
	t.Align = 1
	for _, f := range fields {
		t.Align = max(t.Align, f.Type.Align)
		if f.Type.PtrBytes != 0 {
			t.PtrBytes = f.Offset + f.Type.PtrBytes
		}
	}
	end := uint64(0)
	for _, f := range fields {
		if err := t.checkField(f, end); err != nil {
			return err
		}
		end = f.Offset + f.Type.Size
	}
	t.Fields = fields
	return nil
}
