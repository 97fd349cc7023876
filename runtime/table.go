package meminspect

import (
	"strconv"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// ID names an entry or a region. It is stable across builds, machines and
// versions of a program: see package anchor for how it is made.
type ID uint64

// IDDynamic asks Register to pick an ID.
const IDDynamic ID = 0

// What generated code writes at the head of a table.
const (
	TableMagic0  = anchor.TableMagic0
	TableMagic1  = anchor.TableMagic1
	TableVersion = anchor.TableVersion
)

// A Table is a package's entries under one build constraint. Generated code
// declares one as static data and hands it to Link; nothing else makes one.
// Its layout is package anchor's.
type Table struct {
	Magic      [2]uint64
	Version    uint32
	flags      uint32
	next       *Table
	Package    string // import path
	Namespace  string // what the IDs are hashed with
	Entries    []Entry
	Exclusions []Exclusion
	Layouts    []Layout
	Numbers    []Number
	Declared   []Declared
}

// An Entry is one annotated variable.
type Entry struct {
	ID     ID
	Name   string // what the ID stands for
	Expr   string // the source expression in its package
	Var    any    // a pointer to the variable
	Size   uint64 // first bytes to take, 0 = the whole variable
	Budget uint64 // bytes at most, followed memory included, 0 = not said
	Depth  int32  // pointers to follow; counts only under HasDepth
	Flags  uint32
	Pos    string // file:line
	Note   string
}

// Flags of an Entry.
const (
	Area     = anchor.EntryArea
	Member   = anchor.EntryMember
	HasDepth = anchor.EntryHasDepth
	Summary  = anchor.EntrySummary
)

// An Exclusion is memory that no capture may hold.
type Exclusion struct {
	Kind    uint32
	Flags   uint32
	Var     any // a pointer to the variable, or a nil *T
	Offset  uint64
	Size    uint64
	Package string
	Type    string
	Field   string
	Pos     string
}

// Kinds of an Exclusion.
const (
	ExcludeVariable     = anchor.ExcludeVariable
	ExcludeType         = anchor.ExcludeType
	ExcludeField        = anchor.ExcludeField
	ExcludeGenericType  = anchor.ExcludeGenericType
	ExcludeGenericField = anchor.ExcludeGenericField
)

// A Layout gives a type's size and its fields' offsets to vmcoreinfo.
type Layout struct {
	Name   string
	Size   uint64
	Fields []LayoutField
}

// A LayoutField is one field of a Layout.
type LayoutField struct {
	Name   string
	Offset uint64
	Size   uint64
}

// A Number gives a constant's value to vmcoreinfo.
type Number struct {
	Name  string
	Value int64
}

// A Declared is an ID for something that is registered at run time.
type Declared struct {
	ID   ID
	Name string
	Pos  string
}

// String returns the name that a linked table gives the ID, else the ID as 16
// hexadecimal digits.
func (id ID) String() string {
	for t := root.tables.Load(); t != nil; t = t.next {
		for i := range t.Entries {
			if t.Entries[i].ID == id {
				return t.Entries[i].Name
			}
		}
		for i := range t.Declared {
			if t.Declared[i].ID == id {
				return t.Declared[i].Name
			}
		}
	}
	s := strconv.FormatUint(uint64(id), 16)
	return "0000000000000000"[len(s):] + s
}
