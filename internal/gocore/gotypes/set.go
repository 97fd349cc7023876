package gotypes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// ErrNotType is wrapped by the error for a place that holds no type.
var ErrNotType = errors.New("not a type")

// Bounds of what is believed. Real programs stay far below each.
const (
	maxSize    = 1 << 47   // of a value
	maxFields  = 1 << 20   // of a struct
	maxNesting = 1000      // structs and arrays within each other
	maxName    = 1 << 20   // bytes of a name
	maxRead    = 256 << 20 // bytes that one Set reads
)

// Offsets in an abi.Type.
const (
	typeSize       = 0
	typePtrBytes   = 8
	typeHash       = 16
	typeTFlag      = 20
	typeAlign      = 21
	typeFieldAlign = 22
	typeKind       = 23
	typeEqual      = 24
	typeGCData     = 32
	typeStr        = 40
	typeHeader     = 48
)

// Bits of the kind and of the tflag.
const (
	kindMask        = 1<<5 - 1
	kindDirectIface = 1 << 5 // until Go 1.25

	tflagUncommon    = 1 << 0
	tflagExtraStar   = 1 << 1
	tflagNamed       = 1 << 2
	tflagDirectIface = 1 << 5 // from Go 1.26
)

// A Set reads the types of one program and keeps them. It must not be used by
// two goroutines at once.
type Set struct {
	r       memory.Reader
	modules []*module.Module
	version module.Version
	maps    mapReader
	known   map[memory.Address]known
	nesting int
	read    uint64
	made    []func() (Definition, error) // see Make

	described map[memory.Address]func() (Definition, error)
}

type known struct {
	t   *Type
	err error
}

var errUnderWay = errors.New("it contains itself")

// New returns the types of p in mem: p.Mem, or other memory of the same program
// at the same addresses.
func New(mem memory.Memory, p *module.Program) *Set {
	return &Set{
		r:       memory.Reader{Memory: mem},
		modules: p.Modules,
		version: p.Version,
		maps:    mapReaderFor(p.Version),
		known:   map[memory.Address]known{},
	}
}

// At returns the type whose descriptor is at addr.
func (s *Set) At(addr memory.Address) (*Type, error) {
	if k, ok := s.known[addr]; ok {
		return k.t, k.err
	}
	if s.nesting >= maxNesting {
		return nil, fmt.Errorf("type at %v: %w: more than %d types within each other", addr, ErrNotType, maxNesting)
	}
	s.known[addr] = known{err: fmt.Errorf("type at %v: %w: %w", addr, ErrNotType, errUnderWay)}
	s.nesting++
	t, err := s.typeAt(addr)
	s.nesting--
	if err != nil {
		t, err = nil, fmt.Errorf("type at %v: %w", addr, err)
	}
	s.known[addr] = known{t, err}
	return t, err
}

func (s *Set) typeAt(addr memory.Address) (*Type, error) {
	if define := s.maker(addr); define != nil {
		d, err := define()
		if err != nil {
			return nil, err
		}
		return s.define(addr, d)
	}
	return s.decode(addr)
}

// bytes reads what a descriptor consists of, as long as the Set may.
func (s *Set) bytes(addr memory.Address, size, limit uint64) ([]byte, error) {
	if s.read += size; s.read > maxRead {
		return nil, fmt.Errorf("%w: the program's types take more than %d bytes", ErrNotType, maxRead)
	}
	return s.r.Bytes(addr, size, limit)
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotType, fmt.Sprintf(format, args...))
}

// decode reads the descriptor at addr with all that is part of it by value.
func (s *Set) decode(addr memory.Address) (*Type, error) {
	if addr == 0 || !addr.Aligned(memory.PtrSize) {
		return nil, wrong("no such address")
	}
	b, err := s.bytes(addr, typeHeader, typeHeader)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	t := &Type{
		Addr:       addr,
		Size:       le.Uint64(b[typeSize:]),
		PtrBytes:   le.Uint64(b[typePtrBytes:]),
		Hash:       le.Uint32(b[typeHash:]),
		Align:      uint64(b[typeAlign]),
		FieldAlign: uint64(b[typeFieldAlign]),
		Kind:       Kind(b[typeKind] & kindMask),
		Named:      b[typeTFlag]&tflagNamed != 0,
		Direct:     b[typeKind]&kindDirectIface != 0,
		GCData:     memory.Address(le.Uint64(b[typeGCData:])),
		Equal:      memory.Address(le.Uint64(b[typeEqual:])),
		set:        s,
	}
	if s.version.Minor >= 26 {
		t.Direct = b[typeTFlag]&tflagDirectIface != 0
	}
	if err := t.checkHeader(); err != nil {
		return nil, err
	}
	m := s.moduleOf(addr)
	t.Static = m != nil
	if m != nil {
		// A type that is made at run time has its name where only the
		// runtime finds it.
		name, err := s.name(m.Types.Start.Add(uint64(le.Uint32(b[typeStr:]))), m)
		if err != nil {
			return nil, fmt.Errorf("its name: %w", err)
		}
		t.name = name.text
		if b[typeTFlag]&tflagExtraStar != 0 {
			if t.name == "" || t.name[0] != '*' {
				return nil, wrong("its name %q has no star", t.name)
			}
			t.name = t.name[1:]
		}
	}
	end, err := s.decodeKind(t)
	if err != nil {
		return nil, err
	}
	if m != nil && t.Named && b[typeTFlag]&tflagUncommon != 0 {
		if t.PkgPath, err = s.pkgPath(addr.Add(end), m); err != nil {
			return nil, fmt.Errorf("its package: %w", err)
		}
	}
	return t, nil
}

// checkHeader holds a type's size, alignment, kind and pointers against each
// other.
func (t *Type) checkHeader() error {
	k := t.Kind
	if k == Invalid || int(k) >= len(kinds) {
		return wrong("kind %d", k)
	}
	if t.Size >= maxSize || t.PtrBytes > t.Size || t.PtrBytes%memory.PtrSize != 0 {
		return wrong("%d bytes, pointers in the first %d", t.Size, t.PtrBytes)
	}
	for _, align := range []uint64{t.Align, t.FieldAlign} {
		if align == 0 || align > memory.PtrSize || align&(align-1) != 0 || t.Size%align != 0 {
			return wrong("%d bytes aligned to %d", t.Size, align)
		}
	}
	if t.Direct && t.Size != memory.PtrSize {
		return wrong("%d bytes directly in an interface", t.Size)
	}
	if k == Array || k == Struct {
		return nil
	}
	if t.Size != kinds[k].size {
		return wrong("a %v of %d bytes", k, t.Size)
	}
	// What points at memory that the collector does not manage counts as no
	// pointer.
	foreign := (k == Pointer || k == Slice) && t.PtrBytes == 0
	if t.PtrBytes != kinds[k].ptrBytes && !foreign {
		return wrong("a %v with pointers in the first %d bytes", k, t.PtrBytes)
	}
	return nil
}

// moduleOf returns the module that holds the descriptor at addr, or nil.
func (s *Set) moduleOf(addr memory.Address) *module.Module {
	for _, m := range s.modules {
		if m.Types.Contains(addr) {
			return m
		}
	}
	return nil
}

// A name is an abi.Name.
type name struct {
	text               string
	exported, embedded bool
}

// name reads the abi.Name at addr: a byte of flags, a varint length, the bytes. It
// is in a module, the one of the type or, of a plugin's type, that of the program,
// unless package reflect made the type: m is nil then.
func (s *Set) name(addr memory.Address, m *module.Module) (name, error) {
	if m != nil && s.moduleOf(addr) == nil {
		return name{}, wrong("%v is not in the types", addr)
	}
	// Read no byte beyond the name: a name that package reflect made is on the
	// heap, next to arbitrary data of the program.
	var head [4]byte // the length has three at the most
	n := 2
	if read, err := s.r.ReadAt(head[:n], addr); read < n {
		return name{}, err
	}
	for ; head[n-1]&0x80 != 0 && n < len(head); n++ {
		if read, err := s.r.ReadAt(head[n:n+1], addr.Add(uint64(n))); read < 1 {
			return name{}, err
		}
	}
	size, width := binary.Uvarint(head[1:n])
	if width <= 0 || size > maxName {
		return name{}, wrong("a name of a length that cannot be")
	}
	out := name{exported: head[0]&1 != 0, embedded: head[0]&8 != 0}
	if size == 0 {
		return out, nil
	}
	text, err := s.bytes(addr.Add(uint64(1+width)), size, maxName)
	out.text = string(text)
	return out, err
}

// pkgPath reads the package of the uncommon type at addr.
func (s *Set) pkgPath(addr memory.Address, m *module.Module) (string, error) {
	b, err := s.bytes(addr, 4, 4)
	if err != nil {
		return "", err
	}
	off := binary.LittleEndian.Uint32(b)
	if off == 0 {
		return "", nil
	}
	n, err := s.name(m.Types.Start.Add(uint64(off)), m)
	return n.text, err
}

// Memory returns the memory that the types are read from.
func (s *Set) Memory() memory.Memory { return s.r.Memory }

// IsText reports whether addr is in the program's Go code.
func (s *Set) IsText(addr memory.Address) bool {
	return slices.ContainsFunc(s.modules, func(m *module.Module) bool { return m.Text.Contains(addr) })
}
