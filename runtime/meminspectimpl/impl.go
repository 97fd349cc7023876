// Package meminspectimpl contains the functions and types that generated code
// uses. Programs do not use it: it changes together with the generator, without
// a promise of compatibility.
//
// A generated file declares one [Table] as static data, which an external
// process finds by its magic, and passes it to [Link] when the program starts.
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
	Constants   = registry.Constants
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

// Link adds a table to the program's tables. Generated code calls it from init.
// It takes constant time and allocates nothing. It ignores a table that is
// already linked.
func Link(t *Table) { registry.Link(t) }
