// Package meminspectimpl is what generated code calls. Programs do not use it:
// it changes together with the generator, and makes no promise of compatibility.
//
// A generated file declares one [Table] as static data, which a process outside
// finds by its magic, and passes it to [Link] when the program starts.
package meminspectimpl

import (
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// The head of a table.
const (
	TableMagic0  = anchor.TableMagic0
	TableMagic1  = anchor.TableMagic1
	TableVersion = anchor.TableVersion
)

// The static data of a package. The memory layout of these types is that of
// package format/anchor.
type (
	Table       = registry.Table
	Entry       = registry.Entry
	Exclusion   = registry.Exclusion
	Layout      = registry.Layout
	LayoutField = registry.LayoutField
	Number      = registry.Number
	Declared    = registry.Declared
)

// Flags of an Entry.
const (
	Area     = anchor.EntryArea
	Member   = anchor.EntryMember
	HasDepth = anchor.EntryHasDepth
	Summary  = anchor.EntrySummary
)

// Kinds of an Exclusion.
const (
	ExcludeVariable     = anchor.ExcludeVariable
	ExcludeType         = anchor.ExcludeType
	ExcludeField        = anchor.ExcludeField
	ExcludeGenericType  = anchor.ExcludeGenericType
	ExcludeGenericField = anchor.ExcludeGenericField
)

// Link adds a table to those of the program. Generated code calls it from init.
// It takes the same time for any number of entries and allocates nothing. A
// table that is linked already is left alone.
func Link(t *Table) { registry.Link(t) }
