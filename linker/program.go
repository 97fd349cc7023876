// Package linker reads all tables of annotations of a program that go build has
// built, from the file alone, stripped or not. It returns a map of them, checks
// them, compares them with ledgers, forecasts the size of a capture, and embeds
// the map into the file. The command meminspect link uses it, and build systems
// can call it.
//
//	p, err := linker.Open("bin/server")
//	if err != nil { … }
//	defer p.Close()
//	for _, e := range p.Map().Entries { … }
//	findings, err := p.Check(linker.CheckOptions{})
package linker

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Program is a Go executable, shared library or plugin, or a process that
// runs one. It must not be used by two goroutines at once.
type Program struct {
	Path string

	file    *exe.File
	image   *exe.Image
	mem     memory.Mapped
	process *process.Process // nil for a file
	module  *module.Program  // nil if Go's own tables cannot be read
	types   *gotypes.Set     // nil if module is
	degrade error            // the reason why module is nil
	found   tables.Found
	entries []*entry
}

// ErrNotGo is wrapped by the error for an ELF file that is not a Go program.
var ErrNotGo = errors.New("not a Go program")

// Open reads the executable file at path. If the program's Go release is
// unknown, Open reads only the tables and adds a note to the [Map]. The caller
// closes the program.
func Open(path string) (*Program, error) {
	file, err := exe.Open(path)
	if err != nil {
		return nil, err
	}
	p := &Program{Path: path, file: file, image: file.Loaded(0), mem: file}
	if err := p.read(); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// read finds the program's tables, module and types.
func (p *Program) read() error {
	p.module, p.degrade = module.OfImage(p.image, p.mem)
	p.found = tables.Find(p.mem)
	switch {
	case p.module != nil && len(p.module.Modules) > 0:
		p.types = gotypes.New(p.mem, p.module)
	case errors.Is(p.degrade, module.ErrNoBuildInfo) && len(p.found.Tables)+len(p.found.Anchors) == 0:
		return fmt.Errorf("%w: %w", ErrNotGo, p.degrade)
	default:
		p.module = nil
	}
	for _, t := range p.found.Tables {
		for i := range t.Entries {
			p.entries = append(p.entries, p.entry(t, &t.Entries[i]))
		}
	}
	sortEntries(p.entries)
	return nil
}

// Close releases the file, and the process.
func (p *Program) Close() error {
	var err error
	if p.process != nil {
		err = p.process.Close()
	}
	return errors.Join(err, p.file.Close())
}

// An entry is one variable to capture, with its type in the program.
type entry struct {
	Package string // import path
	Name    string // the name that has the ID
	Expr    string // the source expression in the package
	ID      uint64
	Addr    memory.Address
	// Size is the number of captured bytes of the variable itself. It is known if
	// the type is known or the entry sets it.
	Size      uint64
	SizeKnown bool
	Type      *gotypes.Type // of the variable; nil with TypeErr
	TypeErr   error
	Depth     int32 // counts only with HasDepth
	HasDepth  bool
	Budget    uint64 // 0 if not set
	Flags     uint32 // package anchor's
	Pos       string // file:line, relative to the package's folder
	Note      string
	// Included is the position, file:line, of the list line that included the
	// entry; "" for an annotation.
	Included string
	Table    *tables.Table // nil for an included variable
}

// entry resolves an entry of a table.
func (p *Program) entry(t *tables.Table, raw *tables.Entry) *entry {
	e := &entry{
		Package:  t.Package,
		Name:     raw.Name,
		Expr:     raw.Expr,
		ID:       raw.ID,
		Addr:     raw.Var,
		Depth:    raw.Depth,
		HasDepth: raw.Flags&anchor.EntryHasDepth != 0,
		Budget:   raw.Budget,
		Flags:    raw.Flags,
		Pos:      raw.Pos,
		Note:     raw.Note,
		Table:    t,
	}
	e.Type, e.TypeErr = p.pointedAt(raw.Type)
	e.setSize(raw.Bytes)
	return e
}

// setSize sets the number of captured bytes: first, or the whole variable if
// first is 0.
func (e *entry) setSize(first uint64) {
	switch {
	case e.Type != nil && first != 0:
		e.Size, e.SizeKnown = min(first, e.Type.Size), true
	case e.Type != nil:
		e.Size, e.SizeKnown = e.Type.Size, true
	case first != 0:
		e.Size, e.SizeKnown = first, true
	}
}

// pointedAt returns the type T, given the address of the type *T.
func (p *Program) pointedAt(addr memory.Address) (*gotypes.Type, error) {
	if p.types == nil {
		return nil, fmt.Errorf("types are not available: %w", p.degrade)
	}
	if addr == 0 {
		return nil, errors.New("its type is in another file")
	}
	ptr, err := p.types.At(addr)
	if err != nil {
		return nil, err
	}
	if ptr.Kind != gotypes.Pointer {
		return nil, fmt.Errorf("it is a %v, not a pointer to a variable", ptr)
	}
	return ptr.Elem()
}

// typeName returns the type's name with its package's import path, or "?".
func (e *entry) typeName() string {
	if e.Type == nil {
		return "?"
	}
	return e.Type.FullName()
}

// flagNames returns the words for the entry's flags.
func (e *entry) flagNames() []string {
	var names []string
	for _, f := range []struct {
		bit  uint32
		name string
	}{{anchor.EntryArea, "area"}, {anchor.EntryMember, "member"}, {anchor.EntrySummary, "summary"}} {
		if e.Flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

// String returns the entry's name as messages show it: package.name.
func (e *entry) String() string { return e.Package + "." + e.Name }

// position returns the source position of an entry: the package and the line in
// it.
func position(pkg, pos string) string {
	if pos == "" {
		return pkg
	}
	return path.Join(pkg, pos)
}

func sortEntries(all []*entry) {
	slices.SortFunc(all, func(a, b *entry) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Name, b.Name),
			cmp.Compare(a.Addr, b.Addr), strings.Compare(a.Included, b.Included))
	})
}
