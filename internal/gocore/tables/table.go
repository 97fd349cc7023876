// Package tables reads what a program keeps for inspection out of its memory:
// tables, the anchor, dynamic regions, heartbeats and log rings, in the layout
// of runtime/format/anchor. The memory may be an executable file, a core or a
// live process, and may hold anything: every count, pointer and text is bounded,
// and a version that is not known is an error, never a guess.
package tables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Table is a package's entries under one build constraint.
type Table struct {
	Addr       memory.Address
	Version    uint32
	Linked     bool           // its package was initialised
	Next       memory.Address // in the list of linked tables
	Package    string         // import path
	Namespace  string         // what the IDs are hashed with
	Entries    []Entry        // without those that the program has unregistered
	Exclusions []Exclusion
	Layouts    []Layout
	Numbers    []Number
	Declared   []Declared
	Constants  []Constants
}

// An Entry is one annotated variable.
type Entry struct {
	Addr   memory.Address // of the entry itself
	ID     uint64
	Name   string
	Expr   string
	Type   memory.Address // of the runtime type *T; 0 when it is in another file
	Var    memory.Address // of the variable, a T
	Bytes  uint64         // first bytes to take, 0 = the whole variable
	Budget uint64         // 0 if not set
	Depth  int32          // counts only under anchor.EntryHasDepth
	Flags  uint32
	Pos    string // file:line, relative to the package's folder
	Note   string
}

// An Exclusion is memory that no capture may hold. For a type or a field of it
// Var is 0 and Type the runtime type *T; for generic types both are 0.
type Exclusion struct {
	Kind      uint32
	Flags     uint32
	Type      memory.Address
	Var       memory.Address
	Offset    uint64
	Bytes     uint64
	Package   string
	TypeName  string
	FieldName string
	Pos       string
}

// A Layout is a type's size and its fields' offsets.
type Layout struct {
	Name   string
	Bytes  uint64
	Fields []LayoutField
}

// A LayoutField is one field of a Layout.
type LayoutField struct {
	Name   string
	Offset uint64
	Bytes  uint64
}

// A Number is a constant's value.
type Number struct {
	Name  string
	Value int64
}

// A Declared is an ID for something that is registered at run time.
type Declared struct {
	ID   uint64
	Name string
	Pos  string
}

// Constants are the constants of one declared integer type T.
type Constants struct {
	Names  []string
	Type   memory.Address // of the runtime type *[n]T
	Values memory.Address // of the array with the n values
}

// A VersionError is the error for a layout of a version that this tool does
// not know.
type VersionError struct {
	What  string // "table" or "anchor"
	Addr  memory.Address
	Got   uint32
	Known uint32
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s at %v: layout version %d, and this tool knows version %d: update meminspect", e.What, e.Addr, e.Got, e.Known)
}

// Bounds of what is believed; real programs stay far below each.
const (
	maxCount = 1 << 20  // entries of a table, slots, tables
	maxText  = 1 << 16  // bytes of a name, a position, a note
	maxRead  = 64 << 20 // bytes that one call reads
)

var errTooMuch = fmt.Errorf("it takes more than %d bytes", maxRead)

// A decoder reads records and keeps count of what that costs.
type decoder struct {
	r    memory.Reader
	left uint64
}

func newDecoder(mem memory.Memory) *decoder {
	return &decoder{memory.Reader{Memory: mem}, maxRead}
}

// bytes reads size bytes of records or text.
func (d *decoder) bytes(addr memory.Address, size uint64) ([]byte, error) {
	if size > d.left {
		return nil, errTooMuch
	}
	d.left -= size
	return d.r.Bytes(addr, size, maxRead)
}

// A record is a structure in memory, read whole.
type record struct {
	d    *decoder
	addr memory.Address
	b    []byte
	err  error // the first that a text gave
}

func (r *record) u32(off int) uint32 { return binary.LittleEndian.Uint32(r.b[off:]) }
func (r *record) u64(off int) uint64 { return binary.LittleEndian.Uint64(r.b[off:]) }

func (r *record) pointer(off int) memory.Address { return memory.Address(r.u64(off)) }

// text reads the string whose header is at off.
func (r *record) text(off int) string {
	size := r.u64(off + 8)
	if r.err != nil || size == 0 {
		return ""
	}
	if size > maxText {
		r.err = fmt.Errorf("%v: a text of %d bytes", r.addr.Add(uint64(off)), size)
		return ""
	}
	b, err := r.d.bytes(r.pointer(off), size)
	if err != nil {
		r.err = fmt.Errorf("%v: %w", r.addr.Add(uint64(off)), err)
	}
	return string(b)
}

// record reads the structure of size bytes at addr.
func (d *decoder) record(addr memory.Address, size uint64) (*record, error) {
	b, err := d.bytes(addr, size)
	if err != nil {
		return nil, err
	}
	return &record{d: d, addr: addr, b: b}, nil
}

// each decodes the elements of the slice whose header is at off in r.
func each[T any](r *record, off int, size uint64, what string, decode func(*record) (T, error)) ([]T, error) {
	data, count, capacity := r.pointer(off), r.u64(off+8), r.u64(off+16)
	if count == 0 {
		return nil, nil
	}
	if count > capacity || count > maxCount {
		return nil, fmt.Errorf("%s: %d of %d", what, count, capacity)
	}
	b, err := r.d.bytes(data, count*size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	all := make([]T, 0, count)
	for i := range count {
		element := &record{d: r.d, addr: data.Add(i * size), b: b[i*size : (i+1)*size]}
		v, err := decode(element)
		if err = errors.Join(err, element.err); err != nil {
			return nil, fmt.Errorf("%s: number %d at %w", what, i, err)
		}
		all = append(all, v)
	}
	return all, nil
}

// Read reads the table at addr.
func Read(mem memory.Memory, addr memory.Address) (*Table, error) {
	t, err := newDecoder(mem).table(addr)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// withoutConstants is the version of tables without constants.
const withoutConstants = 1

// table reads the table at addr, and checks its head.
func (d *decoder) table(addr memory.Address) (*Table, error) {
	r, err := d.record(addr, anchor.TableConstants) // what all versions have
	if err != nil {
		return nil, fmt.Errorf("table at %v: %w", addr, err)
	}
	if r.u64(anchor.TableMagicOff) != anchor.TableMagic0 || r.u64(anchor.TableMagicOff+8) != anchor.TableMagic1 {
		return nil, fmt.Errorf("table at %v: it does not begin with a table's magic", addr)
	}
	version := r.u32(anchor.TableVersionOff)
	switch version {
	case withoutConstants:
	case anchor.TableVersion:
		if r, err = d.record(addr, anchor.TableSize); err != nil {
			return nil, fmt.Errorf("table at %v: %w", addr, err)
		}
	default:
		return nil, &VersionError{"table", addr, version, anchor.TableVersion}
	}
	t := &Table{
		Addr:      addr,
		Version:   version,
		Linked:    r.u32(anchor.TableFlags)&anchor.TableLinked != 0,
		Next:      r.pointer(anchor.TableNext),
		Package:   r.text(anchor.TablePackage),
		Namespace: r.text(anchor.TableNamespace),
	}
	err = r.err
	part := func(f func() error) {
		if err == nil {
			err = f()
		}
	}
	part(func() (err error) {
		t.Entries, err = each(r, anchor.TableEntries, anchor.EntrySize, "entries", entry)
		t.Entries = slices.DeleteFunc(t.Entries, func(e Entry) bool { return e.Flags&anchor.EntryWithdrawn != 0 })
		return err
	})
	part(func() (err error) {
		t.Exclusions, err = each(r, anchor.TableExclusions, anchor.ExclusionSize, "exclusions", exclusion)
		return err
	})
	part(func() (err error) {
		t.Layouts, err = each(r, anchor.TableLayouts, anchor.LayoutSize, "layouts", layout)
		return err
	})
	part(func() (err error) {
		t.Numbers, err = each(r, anchor.TableNumbers, anchor.NumberSize, "numbers", number)
		return err
	})
	part(func() (err error) {
		t.Declared, err = each(r, anchor.TableDeclared, anchor.DeclaredSize, "declared IDs", declared)
		return err
	})
	part(func() (err error) {
		if version == withoutConstants {
			return nil
		}
		t.Constants, err = each(r, anchor.TableConstants, anchor.ConstantsSize, "constants", constants)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("table at %v: %w", addr, err)
	}
	return t, nil
}

func entry(r *record) (Entry, error) {
	return Entry{
		Addr:   r.addr,
		ID:     r.u64(anchor.EntryID),
		Name:   r.text(anchor.EntryName),
		Expr:   r.text(anchor.EntryExpr),
		Type:   r.pointer(anchor.EntryVar),
		Var:    r.pointer(anchor.EntryVar + 8),
		Bytes:  r.u64(anchor.EntryBytes),
		Budget: r.u64(anchor.EntryBudget),
		Depth:  int32(r.u32(anchor.EntryDepth)),
		Flags:  r.u32(anchor.EntryFlags),
		Pos:    r.text(anchor.EntryPos),
		Note:   r.text(anchor.EntryNote),
	}, nil
}

func exclusion(r *record) (Exclusion, error) {
	return Exclusion{
		Kind:      r.u32(anchor.ExclusionKind),
		Flags:     r.u32(anchor.ExclusionFlags),
		Type:      r.pointer(anchor.ExclusionVar),
		Var:       r.pointer(anchor.ExclusionVar + 8),
		Offset:    r.u64(anchor.ExclusionOffset),
		Bytes:     r.u64(anchor.ExclusionBytes),
		Package:   r.text(anchor.ExclusionPackage),
		TypeName:  r.text(anchor.ExclusionType),
		FieldName: r.text(anchor.ExclusionField),
		Pos:       r.text(anchor.ExclusionPos),
	}, nil
}

func layout(r *record) (Layout, error) {
	fields, err := each(r, anchor.LayoutFields, anchor.LayoutFieldSize, "fields", func(r *record) (LayoutField, error) {
		return LayoutField{
			Name:   r.text(anchor.LayoutFieldName),
			Offset: r.u64(anchor.LayoutFieldOffset),
			Bytes:  r.u64(anchor.LayoutFieldBytes),
		}, nil
	})
	return Layout{Name: r.text(anchor.LayoutName), Bytes: r.u64(anchor.LayoutBytes), Fields: fields}, err
}

func number(r *record) (Number, error) {
	return Number{Name: r.text(anchor.NumberName), Value: int64(r.u64(anchor.NumberValue))}, nil
}

func declared(r *record) (Declared, error) {
	return Declared{
		ID:   r.u64(anchor.DeclaredID),
		Name: r.text(anchor.DeclaredName),
		Pos:  r.text(anchor.DeclaredPos),
	}, nil
}

func constants(r *record) (Constants, error) {
	names, err := each(r, anchor.ConstantsNames, 16, "names", func(r *record) (string, error) { return r.text(0), nil })
	return Constants{
		Names:  names,
		Type:   r.pointer(anchor.ConstantsValues),
		Values: r.pointer(anchor.ConstantsValues + 8),
	}, err
}
