package linker

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// Embedded reports what Embed wrote.
type Embedded struct {
	Entries          int
	Types            int
	RuntimeVariables int
	Notes            []string // what is missing, and why
}

// Embed writes the map of p, its types and its included variables into the
// executable's file, as the section .meminspect. It replaces the file in one
// step, keeps its mode, owner and extended attributes, and replaces an earlier
// section.
func (p *Program) Embed() (*Embedded, error) {
	if p.process != nil {
		return nil, errors.New("embed: a process cannot be written: name its file")
	}
	content, err := p.content()
	if err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	section, err := embedded.Encode(content)
	if err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	if err := writeSection(p.Path, content.Build, section); err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	return &Embedded{
		Entries: len(content.Entries), Types: len(content.Types),
		RuntimeVariables: len(content.Runtime.Symbols), Notes: content.Notes,
	}, nil
}

// content returns what Embed writes.
func (p *Program) content() (*embedded.Content, error) {
	if p.types == nil {
		return nil, fmt.Errorf("types are not available: %w", p.degrade)
	}
	if len(p.found.Problems) > 0 {
		return nil, fmt.Errorf("a table cannot be read: %w", p.found.Problems[0])
	}
	build, err := embedded.BuildOf(p.file)
	if err != nil {
		return nil, err
	}
	e := embedder{p: p, index: map[*gotypes.Type]int{}, c: &embedded.Content{
		Build:      build,
		Go:         p.module.Version.Text,
		Arch:       string(p.file.Arch),
		Main:       p.mainPath(),
		Entries:    []embedded.Entry{},
		Exclusions: []embedded.Exclusion{},
		Types:      []embedded.Type{},
	}}
	e.c.Notes = p.untyped()
	e.entries()
	e.exclusions()
	if err := e.types(); err != nil {
		return nil, err
	}
	e.runtime()
	if _, err := p.file.Sections(); errors.Is(err, exe.ErrNoSections) {
		e.c.Notes = append(e.c.Notes, "the program has no section headers but those of this section: strip would leave nothing else of it")
	}
	return e.c, nil
}

// An embedder builds a content.
type embedder struct {
	p     *Program
	c     *embedded.Content
	index map[*gotypes.Type]int
	queue []*gotypes.Type
}

// maxTypes limits the types that one program's section describes.
const maxTypes = 1 << 16

// typ returns the index of t and queues t for description.
func (e *embedder) typ(t *gotypes.Type) int {
	if t == nil {
		return -1
	}
	i, ok := e.index[t]
	if !ok {
		i = len(e.queue)
		e.index[t] = i
		e.queue = append(e.queue, t)
	}
	return i
}

func (e *embedder) entries() {
	for _, from := range e.p.entries {
		to := embedded.Entry{
			ID:       embedded.ID(from.ID),
			Package:  from.Package,
			Name:     from.Name,
			Expr:     from.Expr,
			Addr:     from.Addr,
			Size:     from.Size,
			Type:     e.typ(from.Type),
			Budget:   from.Budget,
			Flags:    from.Flags,
			Pos:      from.Pos,
			Note:     from.Note,
			Included: from.Included,
		}
		if from.HasDepth {
			depth := from.Depth
			to.Depth = &depth
		}
		e.c.Entries = append(e.c.Entries, to)
	}
}

func (e *embedder) exclusions() {
	for _, t := range e.p.found.Tables {
		for i := range t.Exclusions {
			x := &t.Exclusions[i]
			typ, _ := e.p.pointedAt(x.Type) // generic types have no pointer type
			e.c.Exclusions = append(e.c.Exclusions, embedded.Exclusion{
				Kind:      x.Kind,
				Addr:      x.Var,
				Type:      e.typ(typ),
				Offset:    x.Offset,
				Size:      x.Bytes,
				Package:   x.Package,
				TypeName:  x.TypeName,
				FieldName: x.FieldName,
				Pos:       x.Pos,
			})
		}
	}
}

// types describes the queued types and everything that they lead to.
func (e *embedder) types() error {
	for i := 0; i < len(e.queue); i++ {
		if i == maxTypes {
			return fmt.Errorf("the entries' types lead to more than %d others", maxTypes)
		}
		t := e.queue[i]
		d := embedded.Type{
			Addr: t.Addr, Name: t.String(), Package: t.PkgPath, Kind: t.Kind.String(),
			Size: t.Size, PtrBytes: t.PtrBytes, Align: t.Align, Len: t.Len, Methods: t.Methods,
		}
		if t.Made {
			d.Addr = 0
		}
		var err error
		switch t.Kind {
		case gotypes.Array, gotypes.Chan, gotypes.Pointer, gotypes.Slice:
			d.Elem, err = e.elem(t.Elem())
		case gotypes.Map:
			if d.Key, err = e.elem(t.Key()); err == nil {
				d.Elem, err = e.elem(t.Elem())
			}
			if err == nil {
				d.Map, err = mapLayout(t)
			}
		}
		if err != nil {
			return fmt.Errorf("type %v: %w", t, err)
		}
		for _, f := range t.Fields {
			d.Fields = append(d.Fields, embedded.Field{Name: f.Name, Offset: f.Offset, Type: e.typ(f.Type)})
		}
		e.c.Types = append(e.c.Types, d)
	}
	return nil
}

func (e *embedder) elem(t *gotypes.Type, err error) (*int, error) {
	if err != nil {
		return nil, err
	}
	i := e.typ(t)
	return &i, nil
}

func mapLayout(t *gotypes.Type) (*embedded.Map, error) {
	l, err := t.MapLayout()
	if err != nil {
		return nil, err
	}
	return &embedded.Map{
		Swiss: l.Swiss, GroupSize: l.Group.Size, CtrlOff: l.CtrlOff,
		KeysOff: l.KeysOff, KeyStride: l.KeyStride, ElemsOff: l.ElemsOff, ElemStride: l.ElemStride,
		Overflow: l.Overflow, IndirectKey: l.IndirectKey, IndirectElem: l.IndirectElem,
	}, nil
}

// runtimePrefixes are the prefixes of the runtime's own variables.
var runtimePrefixes = []string{"runtime.", "internal/runtime/", "go:"}

// runtimeStructs are the runtime's types that readers of memory inspect.
var runtimeStructs = []string{
	"runtime.g", "runtime.m", "runtime.p", "runtime.gobuf", "runtime.stack", "runtime.schedt", "runtime.moduledata",
	"runtime.hchan", "runtime.sudog", "runtime.waitq", "runtime.hmap", "runtime.itab", "internal/abi.ITab",
	"internal/runtime/maps.Map", "internal/runtime/maps.table", "internal/runtime/maps.groupsReference",
	"runtime._func", "runtime._panic", "runtime._defer", "runtime.mspan",
}

// runtime collects the runtime's variables and layouts, and notes what is
// unavailable.
func (e *embedder) runtime() {
	e.c.Runtime = embedded.Runtime{Symbols: map[string]embedded.Symbol{}, Structs: map[string]embedded.Struct{}}
	symbols, err := e.p.file.Symbols()
	if err != nil {
		e.c.Notes = append(e.c.Notes, fmt.Sprintf("the runtime's variables are not known: %v", err))
	}
	segments := e.p.file.Segments()
	for _, sym := range symbols {
		if sym.Type != elf.STT_OBJECT || sym.Section == elf.SHN_UNDEF || !isRuntime(sym.Name) {
			continue
		}
		for _, seg := range segments {
			if seg.Write && seg.Contains(sym.Addr) {
				e.c.Runtime.Symbols[sym.Name] = embedded.Symbol{Addr: sym.Addr, Size: sym.Size}
			}
		}
	}
	if err := e.structs(); err != nil {
		e.c.Notes = append(e.c.Notes, fmt.Sprintf("the runtime's own layouts are not known: %v", err))
	}
}

func isRuntime(name string) bool {
	return slices.ContainsFunc(runtimePrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// structs takes the layout of the runtime's types from the debug information.
func (e *embedder) structs() error {
	data, err := debuginfo.Open(e.p.file, debuginfo.NoLimit)
	if err != nil {
		return err
	}
	r := data.Reader()
	for {
		unit, err := r.Next()
		if err != nil {
			return fmt.Errorf("debug information: %w", err)
		}
		if unit == nil {
			return nil
		}
		// The unit of the first package that uses a type describes it.
		if unit.Tag == dwarf.TagCompileUnit {
			continue
		}
		if unit.Tag != dwarf.TagStructType {
			if unit.Children {
				r.SkipChildren()
			}
			continue
		}
		name, _ := unit.Val(dwarf.AttrName).(string)
		if !slices.Contains(runtimeStructs, name) {
			if unit.Children {
				r.SkipChildren()
			}
			continue
		}
		typ, err := data.Type(unit.Offset)
		if err != nil {
			return fmt.Errorf("debug information of %s: %w", name, err)
		}
		if s, ok := typ.(*dwarf.StructType); ok {
			e.c.Runtime.Structs[name] = structOf(s)
		}
		r.SkipChildren()
	}
}

func structOf(s *dwarf.StructType) embedded.Struct {
	out := embedded.Struct{Size: uint64(s.ByteSize), Fields: map[string][2]uint64{}}
	for _, f := range s.Field {
		out.Fields[f.Name] = [2]uint64{uint64(f.ByteOffset), uint64(max(f.Type.Size(), 0))}
	}
	return out
}

// Extract returns the section that Embed wrote into the executable at path, as
// text. For a section of another build it returns an error that wraps
// embedded.ErrStale.
func Extract(path string) ([]byte, error) {
	f, err := exe.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section, err := embedded.Raw(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := embedded.Read(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return embedded.Text(section)
}
