// Package gotypes reads Go's runtime types (internal/abi.Type) from a program
// seen from outside, without symbols or DWARF. Types are validated for
// consistency: sizes, alignments and kinds must match, a type that contains
// itself by value is rejected, and the cost of one set of types is bounded. So
// memory that is not a type gives an error and never a wrong walk.
package gotypes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Kind is the kind of a type, with the numbers of package reflect.
type Kind uint8

// The kinds.
const (
	Invalid Kind = iota
	Bool
	Int
	Int8
	Int16
	Int32
	Int64
	Uint
	Uint8
	Uint16
	Uint32
	Uint64
	Uintptr
	Float32
	Float64
	Complex64
	Complex128
	Array
	Chan
	Func
	Interface
	Map
	Pointer
	Slice
	String
	Struct
	UnsafePointer
)

// kinds gives each kind its name and, where all its types have one, its size
// and how many of its bytes may hold pointers.
var kinds = [...]struct {
	name     string
	size     uint64
	ptrBytes uint64
}{
	{"invalid", 0, 0},
	{"bool", 1, 0},
	{"int", 8, 0}, {"int8", 1, 0}, {"int16", 2, 0}, {"int32", 4, 0}, {"int64", 8, 0},
	{"uint", 8, 0}, {"uint8", 1, 0}, {"uint16", 2, 0}, {"uint32", 4, 0}, {"uint64", 8, 0}, {"uintptr", 8, 0},
	{"float32", 4, 0}, {"float64", 8, 0}, {"complex64", 8, 0}, {"complex128", 16, 0},
	{"array", 0, 0}, {"chan", 8, 8}, {"func", 8, 8}, {"interface", 16, 16}, {"map", 8, 8},
	{"ptr", 8, 8}, {"slice", 24, 8}, {"string", 16, 8}, {"struct", 0, 0}, {"unsafe.Pointer", 8, 8},
}

func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k].name
	}
	return fmt.Sprintf("kind%d", k)
}

// ParseKind returns the kind of that name.
func ParseKind(name string) (Kind, error) {
	for k := range kinds[1:] {
		if kinds[k+1].name == name {
			return Kind(k + 1), nil
		}
	}
	return Invalid, wrong("kind %q", name)
}

// A Type is one runtime type. Types of one Set are the same pointer when they
// have the same address; a program with plugins may hold a type twice: see
// Same. The caller must not change it.
type Type struct {
	Addr       memory.Address
	Size       uint64
	PtrBytes   uint64 // no byte from there on holds a pointer
	Hash       uint32
	Align      uint64
	FieldAlign uint64
	Kind       Kind
	Named      bool           // declared in a package, or predeclared
	Direct     bool           // an interface holds the value itself, not a pointer to it
	Static     bool           // laid down by the linker, not made while the program ran
	Made       bool           // by Make: the program has no descriptor of it
	GCData     memory.Address // of the pointer mask; see internal/abi.Type
	Equal      memory.Address // of the function value that compares values, 0 when they cannot be compared
	PkgPath    string         // import path of a declared type's package, else empty

	Len      uint64  // of an array
	Fields   []Field // of a struct
	Methods  int     // of an interface
	Variadic bool    // of a func

	set     *Set
	name    string // what reflect's String gives, empty when it is not known
	elem    memory.Address
	key     memory.Address
	group   memory.Address // of a map: its group's or bucket's type
	in, out []memory.Address
	chanDir int
	mapInfo [mapInfoSize]byte // what follows the group's address
	layout  *MapLayout
	refers  answer // see Refers
}

// An answer is one that is kept.
type answer uint8

const (
	unknown answer = iota
	yes
	no
)

// A Field is one field of a struct.
type Field struct {
	Name     string
	Offset   uint64
	Type     *Type
	Embedded bool
	Exported bool
}

// Elem returns the type of what a pointer points at, of the elements of an
// array, slice or channel, or of a map's values.
func (t *Type) Elem() (*Type, error) {
	switch t.Kind {
	case Array, Chan, Map, Pointer, Slice:
		return t.set.At(t.elem)
	}
	return nil, fmt.Errorf("type %v: %v has no elements", t, t.Kind)
}

// Key returns the type of a map's keys.
func (t *Type) Key() (*Type, error) {
	if t.Kind != Map {
		return nil, fmt.Errorf("type %v: %v has no keys", t, t.Kind)
	}
	return t.set.At(t.key)
}

// Field returns the field of that name.
func (t *Type) Field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// HasPointers reports whether a value of the type can hold a pointer that the
// garbage collector knows.
func (t *Type) HasPointers() bool { return t.PtrBytes != 0 }

// Refers reports whether a value of the type may refer to other values: whether it has
// a pointer that is not that of a string.
func (t *Type) Refers() bool {
	if t.refers == unknown {
		t.refers = no
		if t.refer() {
			t.refers = yes
		}
	}
	return t.refers == yes
}

func (t *Type) refer() bool {
	switch {
	case t.PtrBytes == 0 || t.Kind == String:
		return false
	case t.Kind == Struct:
		return slices.ContainsFunc(t.Fields, func(f Field) bool { return f.Type.Refers() })
	case t.Kind == Array:
		elem, err := t.Elem()
		return err != nil || elem.Refers()
	}
	return true
}

// Name returns a declared type's name without its package, else "".
func (t *Type) Name() string {
	if !t.Named {
		return ""
	}
	// Find the last dot outside of type arguments.
	depth := 0
	for i := len(t.name) - 1; i >= 0; i-- {
		switch t.name[i] {
		case ']':
			depth++
		case '[':
			depth--
		case '.':
			if depth == 0 {
				return t.name[i+1:]
			}
		}
	}
	return t.name
}

// FullName is String with a declared type's package by its import path, also
// below pointers, slices and arrays; types within other undeclared types keep
// the package's name.
func (t *Type) FullName() string { return t.fullName(0) }

func (t *Type) fullName(depth int) string {
	if t.Named && t.PkgPath != "" {
		return t.PkgPath + "." + t.Name()
	}
	if t.Named || depth > nameDepth {
		return t.String()
	}
	prefix := ""
	switch t.Kind {
	case Pointer:
		prefix = "*"
	case Slice:
		prefix = "[]"
	case Array:
		prefix = fmt.Sprintf("[%d]", t.Len)
	default:
		return t.String()
	}
	elem, err := t.Elem()
	if err != nil {
		return t.String()
	}
	return prefix + elem.fullName(depth+1)
}

// nameDepth is how deep names are put together from parts; a type that is lied
// about may be its own element.
const nameDepth = 8

// String returns the type as reflect writes it, with the package by its name.
// For a type that the program made while it ran, whose name is not to be had
// from outside, it is put together from its parts.
func (t *Type) String() string {
	if t == nil {
		return "<nil>"
	}
	parts := nameParts
	return t.describe(0, &parts)
}

// nameParts is of how many parts a name is put together at most: fields of
// fields multiply.
const nameParts = 64

// describe writes a type whose name is not known from its parts.
func (t *Type) describe(depth int, parts *int) string {
	if t.name != "" {
		return t.name
	}
	if *parts--; depth > nameDepth || *parts < 0 {
		return "…"
	}
	part := func(addr memory.Address) string {
		p, err := t.set.At(addr)
		if err != nil {
			return "?"
		}
		return p.describe(depth+1, parts)
	}
	switch t.Kind {
	case Pointer:
		return "*" + part(t.elem)
	case Slice:
		return "[]" + part(t.elem)
	case Array:
		return fmt.Sprintf("[%d]%s", t.Len, part(t.elem))
	case Chan:
		return [...]string{"chan ", "<-chan ", "chan<- ", "chan "}[t.chanDir&3] + part(t.elem)
	case Map:
		return "map[" + part(t.key) + "]" + part(t.elem)
	case Struct:
		var fields []string
		for _, f := range t.Fields {
			if *parts < 0 {
				fields = append(fields, "…")
				break
			}
			fields = append(fields, f.Name+" "+f.Type.describe(depth+1, parts))
		}
		return "struct { " + strings.Join(fields, "; ") + " }"
	}
	return t.Kind.String()
}

// Same reports whether t and u are the same type, also when they come from
// different modules of a program.
func (t *Type) Same(u *Type) bool {
	return t == u || t != nil && u != nil && t.Kind == u.Kind && t.Size == u.Size && t.Hash == u.Hash &&
		t.PkgPath == u.PkgPath && t.String() == u.String()
}
