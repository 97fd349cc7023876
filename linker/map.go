package linker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Map describes a program. Its JSON form is stable: addresses and IDs are
// strings of hexadecimal digits, and unknown or unset fields are omitted.
type Map struct {
	Path       string         `json:"path"`
	Arch       string         `json:"arch"`
	Go         string         `json:"goVersion,omitempty"`
	Main       string         `json:"main,omitempty"` // import path of package main
	GoBuildID  string         `json:"goBuildID,omitempty"`
	GNUBuildID string         `json:"gnuBuildID,omitempty"`
	Tables     []MapTable     `json:"tables"`
	Entries    []MapEntry     `json:"entries"`
	Exclusions []MapExclusion `json:"exclusions"`
	Declared   []MapDeclared  `json:"declared"`
	Totals     Totals         `json:"totals"`
	// Notes list what is unknown, and why.
	Notes []string `json:"notes,omitempty"`
}

// A MapTable is one table.
type MapTable struct {
	Package   string `json:"package"`
	Namespace string `json:"namespace"`
	Address   string `json:"address"`
	Entries   int    `json:"entries"`
	Linked    bool   `json:"linked"` // in a process: its package is initialised
}

// A MapEntry is one entry.
type MapEntry struct {
	Package   string   `json:"package"`
	Name      string   `json:"name"`
	Expr      string   `json:"expr,omitempty"`
	ID        string   `json:"id"`
	Address   string   `json:"address"`
	Size      *uint64  `json:"size,omitempty,string"`
	Type      string   `json:"type,omitempty"`
	TypeError string   `json:"typeError,omitempty"`
	Layout    *Layout  `json:"layout,omitempty"`
	Depth     *int32   `json:"depth,omitempty"`
	Budget    uint64   `json:"budget,omitempty,string"`
	Flags     []string `json:"flags,omitempty"`
	Pos       string   `json:"pos,omitempty"`
	Note      string   `json:"note,omitempty"`
	Included  string   `json:"included,omitempty"` // line of the list that includes it
}

// A MapExclusion is an exclusion: memory that is never captured.
type MapExclusion struct {
	Package string `json:"package"`
	Kind    string `json:"kind"` // variable, type, field, generic type, generic field
	Type    string `json:"type,omitempty"`
	Field   string `json:"field,omitempty"`
	Address string `json:"address,omitempty"`
	Size    uint64 `json:"size,omitempty,string"`
	Pos     string `json:"pos,omitempty"`
}

// A MapDeclared is a declared ID for something registered at run time.
type MapDeclared struct {
	Package string `json:"package"`
	Name    string `json:"name"`
	ID      string `json:"id"`
	Pos     string `json:"pos,omitempty"`
}

// A Layout describes the values of a type in memory. It contains unnamed types,
// and refers to named ones by name.
type Layout struct {
	Kind   string        `json:"kind"`
	Size   uint64        `json:"size,string"`
	Align  uint64        `json:"align,string"`
	Elem   string        `json:"elem,omitempty"`
	Key    string        `json:"key,omitempty"`
	Len    uint64        `json:"len,omitempty,string"`
	Fields []LayoutField `json:"fields,omitempty"`
}

// A LayoutField is a field of a struct.
type LayoutField struct {
	Name   string `json:"name"`
	Offset uint64 `json:"offset,string"`
	Size   uint64 `json:"size,string"`
	Type   string `json:"type"`
}

// Totals are the counts of a Map.
type Totals struct {
	Packages   int    `json:"packages"`
	Tables     int    `json:"tables"`
	Entries    int    `json:"entries"`
	Included   int    `json:"included"`
	Exclusions int    `json:"exclusions"`
	Declared   int    `json:"declared"`
	Bytes      uint64 `json:"bytes,string"` // of the variables themselves
	Unknown    int    `json:"unknown"`      // entries of unknown size
}

// Map returns the description of the program.
func (p *Program) Map() *Map {
	m := &Map{
		Path:       p.Path,
		Arch:       string(p.file.Arch),
		Tables:     []MapTable{},
		Entries:    []MapEntry{},
		Exclusions: []MapExclusion{},
		Declared:   []MapDeclared{},
	}
	m.GoBuildID, m.GNUBuildID = p.file.BuildIDs()
	if p.module != nil {
		m.Go = p.module.Version.Text
		m.Main = p.mainPath()
	} else {
		m.Notes = append(m.Notes, fmt.Sprintf("types are not available: %v", p.degrade))
	}
	packages := map[string]bool{}
	for _, t := range p.found.Tables {
		packages[t.Package] = true
		m.Tables = append(m.Tables, MapTable{t.Package, t.Namespace, t.Addr.String(), len(t.Entries), t.Linked})
		for i := range t.Exclusions {
			m.Exclusions = append(m.Exclusions, p.exclusion(&t.Exclusions[i]))
		}
		for _, d := range t.Declared {
			m.Declared = append(m.Declared, MapDeclared{t.Package, d.Name, idText(d.ID), d.Pos})
		}
	}
	for _, e := range p.entries {
		m.Entries = append(m.Entries, e.mapped())
		m.Totals.Bytes += e.Size
		if !e.SizeKnown {
			m.Totals.Unknown++
		}
		if e.Included != "" {
			m.Totals.Included++
		}
	}
	m.sort()
	m.Totals.Packages, m.Totals.Tables = len(packages), len(m.Tables)
	m.Totals.Entries, m.Totals.Exclusions, m.Totals.Declared = len(m.Entries), len(m.Exclusions), len(m.Declared)
	m.Notes = append(m.Notes, p.untyped()...)
	for _, problem := range p.found.Problems {
		m.Notes = append(m.Notes, problem.Error())
	}
	return m
}

// untyped returns a note for each included variable without a type.
func (p *Program) untyped() []string {
	var notes []string
	for _, e := range p.entries {
		if e.Included != "" && e.Type == nil {
			notes = append(notes, fmt.Sprintf("%s (%s): the type is not known, so only its own %d bytes are captured and pointers are not followed: %v", e, e.Included, e.Size, e.TypeErr))
		}
	}
	return notes
}

// sort makes the map independent of the linker's order.
func (m *Map) sort() {
	slices.SortFunc(m.Tables, func(a, b MapTable) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Address, b.Address))
	})
	slices.SortStableFunc(m.Exclusions, func(a, b MapExclusion) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Pos, b.Pos),
			strings.Compare(a.Type, b.Type), strings.Compare(a.Field, b.Field), strings.Compare(a.Address, b.Address))
	})
	slices.SortStableFunc(m.Declared, func(a, b MapDeclared) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Name, b.Name))
	})
}

// mainPath returns the import path of package main, or "".
func (p *Program) mainPath() string {
	if p.module == nil || p.module.BuildInfo == nil {
		return ""
	}
	return p.module.BuildInfo.Path
}

func idText(id uint64) string { return fmt.Sprintf("%016x", id) }

func (e *entry) mapped() MapEntry {
	m := MapEntry{
		Package:  e.Package,
		Name:     e.Name,
		Expr:     e.Expr,
		ID:       idText(e.ID),
		Address:  e.Addr.String(),
		Budget:   e.Budget,
		Flags:    e.flagNames(),
		Pos:      e.Pos,
		Note:     e.Note,
		Included: e.Included,
	}
	if e.SizeKnown {
		m.Size = &e.Size
	}
	if e.HasDepth {
		m.Depth = &e.Depth
	}
	if e.Type != nil {
		m.Type, m.Layout = e.typeName(), layoutOf(e.Type)
	} else if e.TypeErr != nil {
		m.TypeError = e.TypeErr.Error()
	}
	return m
}

// layoutOf returns the layout of a type.
func layoutOf(t *gotypes.Type) *Layout {
	l := &Layout{Kind: t.Kind.String(), Size: t.Size, Align: t.Align, Len: t.Len}
	if elem, err := t.Elem(); err == nil {
		l.Elem = elem.FullName()
	}
	if key, err := t.Key(); err == nil {
		l.Key = key.FullName()
	}
	for _, f := range t.Fields {
		l.Fields = append(l.Fields, LayoutField{f.Name, f.Offset, f.Type.Size, f.Type.FullName()})
	}
	return l
}

// exclusionKinds names anchor's exclusion kinds.
var exclusionKinds = map[uint32]string{
	anchor.ExcludeVariable:     "variable",
	anchor.ExcludeType:         "type",
	anchor.ExcludeField:        "field",
	anchor.ExcludeGenericType:  "generic type",
	anchor.ExcludeGenericField: "generic field",
}

func (p *Program) exclusion(x *tables.Exclusion) MapExclusion {
	m := MapExclusion{Package: x.Package, Kind: exclusionKinds[x.Kind], Type: x.TypeName, Field: x.FieldName, Size: x.Bytes, Pos: x.Pos}
	if m.Kind == "" {
		m.Kind = fmt.Sprintf("kind %d", x.Kind)
	}
	if x.Var != 0 {
		m.Address = x.Var.String()
	}
	if t, err := p.pointedAt(x.Type); err == nil {
		if m.Size == 0 && x.Kind != anchor.ExcludeField {
			m.Size = t.Size
		}
		if m.Type == "" {
			m.Type = t.FullName()
		}
	}
	return m
}
