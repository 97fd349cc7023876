package marks

import (
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/target"
)

// A Table is one package's annotations under one build constraint.
type Table struct {
	Addr       target.Address
	Linked     bool // its package was initialised
	Package    string
	Namespace  string
	Entries    []Entry
	Exclusions []Exclusion
	Layouts    []Layout
	Numbers    []Number
	Declared   []Declared
}

// An Entry is one annotated variable.
type Entry struct {
	ID     uint64
	Name   string
	Expr   string
	Var    Any    // a pointer to the variable
	Bytes  uint64 // first bytes to take, 0 = the whole variable
	Budget uint64
	Depth  int32 // counts only under anchor.EntryHasDepth
	Flags  uint32
	Pos    string
	Note   string
}

// An Exclusion is memory that no capture may hold.
type Exclusion struct {
	Kind, Flags   uint32
	Var           Any
	Offset, Bytes uint64
	Package, Type string
	Field, Pos    string
}

// A Layout gives a type's size and its fields' offsets.
type Layout struct {
	Name   string
	Bytes  uint64
	Fields []LayoutField
}

// A LayoutField is one field of a Layout.
type LayoutField struct {
	Name          string
	Offset, Bytes uint64
}

// A Number is a constant.
type Number struct {
	Name  string
	Value int64
}

// A Declared is an ID for something that is registered at run time.
type Declared struct {
	ID        uint64
	Name, Pos string
}

// Tables reads all tables: those that the program has linked, and those whose
// packages it has not initialised yet, which are found by their magic. They are
// static: their text is in read-only memory. What a broken table still says is
// returned with the error.
func (a *Anchor) Tables(mem target.Memory) ([]Table, error) {
	var tables []Table
	var failed []error
	seen := map[target.Address]bool{}
	r := &tableReader{mem, recordsMost}
	add := func(at target.Address, b []byte) error {
		if seen[at] {
			return nil
		}
		seen[at] = true
		t, err := r.table(at, b)
		if t != nil {
			tables = append(tables, *t)
		}
		if err != nil {
			failed = append(failed, err)
		}
		return nil
	}
	if state, err := a.State(mem); err == nil {
		if err := list(mem, state.tables, anchor.TableSize, anchor.TableNext, tablesMost, add); err != nil {
			failed = append(failed, fmt.Errorf("linked tables: %w", err))
		}
	}
	for _, at := range a.tables {
		if b, err := (target.Reader{Memory: mem}).Bytes(at, anchor.TableSize, anchor.TableSize); err == nil {
			_ = add(at, b)
		}
	}
	return tables, errors.Join(failed...)
}

// A tableReader bounds what all tables of a program may cost together.
type tableReader struct {
	mem  target.Memory
	left uint64 // records that it will still read
}

func (r *tableReader) table(at target.Address, b []byte) (*Table, error) {
	mem := r.mem
	if le.Uint64(b) != anchor.TableMagic0 || le.Uint64(b[8:]) != anchor.TableMagic1 {
		return nil, fmt.Errorf("table at %v: it was overwritten", at)
	}
	if v := le.Uint32(b[anchor.TableVersionOff:]); v != anchor.TableVersion {
		return nil, fmt.Errorf("table at %v: layout version %d, this tool reads %d: use a newer meminspect", at, v, anchor.TableVersion)
	}
	t := &Table{Addr: at, Linked: le.Uint32(b[anchor.TableFlags:])&anchor.TableLinked != 0}
	err := texts(mem, b, map[int]*string{anchor.TablePackage: &t.Package, anchor.TableNamespace: &t.Namespace})
	if err != nil {
		return nil, fmt.Errorf("table at %v: %w", at, err)
	}
	var failed []error
	r.records(b[anchor.TableEntries:], anchor.EntrySize, &failed, func(b []byte) error {
		e, err := readEntry(mem, b)
		if err == nil {
			t.Entries = append(t.Entries, e)
		}
		return err
	})
	r.records(b[anchor.TableExclusions:], anchor.ExclusionSize, &failed, func(b []byte) error {
		e := Exclusion{
			Kind: le.Uint32(b[anchor.ExclusionKind:]), Flags: le.Uint32(b[anchor.ExclusionFlags:]),
			Var:    anyAt(b[anchor.ExclusionVar:]),
			Offset: le.Uint64(b[anchor.ExclusionOffset:]), Bytes: le.Uint64(b[anchor.ExclusionBytes:]),
		}
		err := texts(mem, b, map[int]*string{
			anchor.ExclusionPackage: &e.Package, anchor.ExclusionType: &e.Type,
			anchor.ExclusionField: &e.Field, anchor.ExclusionPos: &e.Pos,
		})
		// One that cannot be read whole stays: dropping it would let out what
		// it excludes. Whoever applies it must fail.
		t.Exclusions = append(t.Exclusions, e)
		return err
	})
	r.records(b[anchor.TableLayouts:], anchor.LayoutSize, &failed, func(b []byte) error {
		l, err := r.layout(b)
		if err == nil {
			t.Layouts = append(t.Layouts, l)
		}
		return err
	})
	r.records(b[anchor.TableNumbers:], anchor.NumberSize, &failed, func(b []byte) error {
		name, err := text(mem, b[anchor.NumberName:])
		t.Numbers = append(t.Numbers, Number{name, int64(le.Uint64(b[anchor.NumberValue:]))})
		return err
	})
	r.records(b[anchor.TableDeclared:], anchor.DeclaredSize, &failed, func(b []byte) error {
		d := Declared{ID: le.Uint64(b[anchor.DeclaredID:])}
		err := texts(mem, b, map[int]*string{anchor.DeclaredName: &d.Name, anchor.DeclaredPos: &d.Pos})
		t.Declared = append(t.Declared, d)
		return err
	})
	if len(failed) > 0 {
		return t, fmt.Errorf("table of %s: %w", t.Package, errors.Join(failed...))
	}
	return t, nil
}

// records calls f with each element of the slice that header is of.
func (r *tableReader) records(header []byte, size uint64, failed *[]error, f func(b []byte) error) {
	data, n := target.Address(le.Uint64(header)), le.Uint64(header[8:])
	if n == 0 {
		return
	}
	if n > r.left {
		*failed = append(*failed, fmt.Errorf("%d records, of which %d would be read", n, r.left))
		return
	}
	r.left -= n
	b, err := target.Reader{Memory: r.mem}.Bytes(data, n*size, n*size)
	if err != nil {
		*failed = append(*failed, err)
		return
	}
	const complaints = 8
	for ; len(b) > 0; b = b[size:] {
		if err := f(b[:size]); err != nil && len(*failed) < complaints {
			*failed = append(*failed, err)
		}
	}
}

func readEntry(mem target.Memory, b []byte) (Entry, error) {
	e := Entry{
		ID:     le.Uint64(b[anchor.EntryID:]),
		Var:    anyAt(b[anchor.EntryVar:]),
		Bytes:  le.Uint64(b[anchor.EntryBytes:]),
		Budget: le.Uint64(b[anchor.EntryBudget:]),
		Depth:  int32(le.Uint32(b[anchor.EntryDepth:])),
		Flags:  le.Uint32(b[anchor.EntryFlags:]),
	}
	err := texts(mem, b, map[int]*string{
		anchor.EntryName: &e.Name, anchor.EntryExpr: &e.Expr, anchor.EntryPos: &e.Pos, anchor.EntryNote: &e.Note,
	})
	return e, err
}

func (r *tableReader) layout(b []byte) (Layout, error) {
	mem := r.mem
	l := Layout{Bytes: le.Uint64(b[anchor.LayoutBytes:])}
	var err error
	if l.Name, err = text(mem, b[anchor.LayoutName:]); err != nil {
		return l, err
	}
	var failed []error
	r.records(b[anchor.LayoutFields:], anchor.LayoutFieldSize, &failed, func(b []byte) error {
		name, err := text(mem, b[anchor.LayoutFieldName:])
		l.Fields = append(l.Fields, LayoutField{name, le.Uint64(b[anchor.LayoutFieldOffset:]), le.Uint64(b[anchor.LayoutFieldBytes:])})
		return err
	})
	return l, errors.Join(failed...)
}
