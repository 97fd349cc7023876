package heapreport

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/heap"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/gocore/tables"
)

// A source is a process, or a full core of one.
type source interface {
	Maps() ([]process.Mapping, error)
	Executable() (file *exe.File, name, path string, err error)
}

// living is a process. The caller closes the executable file.
type living struct{ *process.Process }

func (l living) Executable() (file *exe.File, name, path string, err error) {
	path = l.ExePath()
	if file, err = exe.Open(path); err != nil {
		return nil, "", "", err
	}
	if name, err = l.ExeName(); err != nil {
		file.Close()
		return nil, "", "", err
	}
	return file, name, path, nil
}

// A program is a Go program whose heap can be read.
type program struct {
	file   *exe.File
	name   string
	bias   memory.Address
	mem    *memory.Spliced // the executable where it is read-only, else the program
	prog   *module.Program
	types  *gotypes.Set
	target *heap.Target
	named  []heap.Named
	names  map[string]memory.Address // by symbol
}

const pageSize = 4096

// locate finds everything that does not change while the program runs.
func locate(src source, mem memory.Memory) (*program, error) {
	file, name, _, err := src.Executable()
	if err != nil {
		return nil, err
	}
	p := &program{file: file, name: strings.TrimSuffix(name, " (deleted)"), names: map[string]memory.Address{}}
	maps, err := src.Maps()
	if err == nil {
		err = p.place(maps, name)
	}
	if err != nil {
		return p, err
	}
	p.splice(maps, mem)
	if p.prog, err = module.OfImage(p.file.Loaded(p.bias), p.mem); err != nil {
		return p, fmt.Errorf("not a Go program that can be read: %w", err)
	}
	p.types = gotypes.New(p.mem, p.prog)
	p.named = heap.Variables(p.prog, p.entries(), p.symbols())
	p.target, err = heap.Find(p.prog, p.types, func(name string) (memory.Address, bool) {
		addr, ok := p.names[name]
		return addr, ok
	})
	return p, err
}

// place finds out where the executable was loaded: at the start of its first
// mapping.
func (p *program) place(maps []process.Mapping, name string) error {
	for _, m := range maps {
		if m.Path != name || m.Inode == 0 {
			continue
		}
		if p.file.Type == elf.ET_DYN {
			p.bias = m.Start - p.file.LowestAddress()&^(pageSize-1)
		}
		return nil
	}
	return fmt.Errorf("no mapping of the executable %s", name)
}

// present returns the parts of a mapping that a core has: one that the core declares may have
// any size, and searching it would not end. A process has all of it.
func present(mem memory.Memory, r memory.Range) (parts []memory.Range) {
	mapped, ok := mem.(memory.Mapped)
	if !ok {
		return []memory.Range{r}
	}
	segments := mapped.Segments()
	i, _ := slices.BinarySearchFunc(segments, r.Start, memory.Segment.CompareEnd)
	for ; i < len(segments) && segments[i].Start < r.End; i++ {
		parts = append(parts, segments[i].Intersect(r))
	}
	return parts
}

// splice makes one memory of the program and its executable. What is read-only is
// read from the file, except what the dynamic loader relocated.
func (p *program) splice(maps []process.Mapping, mem memory.Memory) {
	p.mem = &memory.Spliced{}
	for _, m := range maps {
		if !m.Read || strings.HasPrefix(m.Path, "[v") { // vvar, vdso, vsyscall: the kernel's
			continue
		}
		for _, part := range present(mem, m.Range) {
			p.mem.Put(memory.Segment{Range: part, Write: m.Write, Exec: m.Exec}, mem)
		}
	}
	image := p.file.Loaded(p.bias)
	for _, seg := range image.Segments() {
		if !seg.Write {
			p.mem.Put(seg, image)
		}
	}
}

// symbols returns the program's variables by its symbol table, or by the names that
// the linker step embedded in it.
func (p *program) symbols() []heap.Named {
	all, err := p.file.Symbols()
	if err != nil {
		return p.embedded()
	}
	var named []heap.Named
	for _, s := range all {
		if s.Section == elf.SHN_UNDEF || s.Addr == 0 {
			continue
		}
		addr := s.Addr + p.bias
		p.names[s.Name] = addr
		// The C linker's table names the memory of literals too.
		if s.Size > 0 && !strings.Contains(s.Name, "..stmp_") {
			named = append(named, heap.Named{Range: memory.RangeOf(addr, s.Size), Name: s.Name})
		}
	}
	return named
}

func (p *program) embedded() []heap.Named {
	if _, ok := p.file.Section(embedded.SectionName); !ok {
		return nil
	}
	content, err := embedded.Read(p.file)
	if err != nil {
		return nil
	}
	var named []heap.Named
	for name, s := range content.Runtime.Symbols {
		p.names[name] = s.Addr + p.bias
		named = append(named, heap.Named{Range: memory.RangeOf(s.Addr+p.bias, s.Size), Name: name})
	}
	return named
}

// entries returns the annotated variables, by the tables in the program's data.
func (p *program) entries() []heap.Named {
	var data memory.Spliced
	for _, m := range p.prog.Modules {
		for _, part := range []memory.Range{m.NoPtrData, m.Data} {
			data.Put(memory.Segment{Range: part, Write: true}, p.mem)
		}
	}
	var named []heap.Named
	for _, table := range tables.FindIn(&data, p.mem).Tables {
		for i := range table.Entries {
			e := &table.Entries[i]
			ptr, err := p.types.At(e.Type)
			if err != nil || ptr.Kind != gotypes.Pointer {
				continue
			}
			t, err := ptr.Elem()
			if err != nil {
				continue
			}
			named = append(named, heap.Named{Range: memory.RangeOf(e.Var, t.Size), Name: p.packageName(table.Package) + "." + e.Expr, Type: t.Addr})
		}
	}
	return named
}

// packageName returns a package's path as symbols have it: that of the program's
// main package is main.
func (p *program) packageName(path string) string {
	if p.prog.BuildInfo != nil && p.prog.BuildInfo.Path == path {
		return "main"
	}
	return path
}

// addTypes gives variables their types by the debug information, if there is any.
func (p *program) addTypes() {
	data, err := debuginfo.Open(p.file, debuginfo.NoLimit)
	if err != nil {
		return
	}
	types, err := debuginfo.NewTypes(data, p.prog, p.types, p.bias)
	if err != nil {
		return
	}
	variables, err := debuginfo.Variables(data, nil)
	if err != nil {
		return
	}
	typeOf := make(map[memory.Address]debuginfo.Variable, len(variables))
	for _, v := range variables {
		typeOf[v.Addr+p.bias] = v
	}
	for i := range p.named {
		n := &p.named[i]
		v, ok := typeOf[n.Start]
		if !ok || n.Type != 0 || v.Name != n.Name {
			continue
		}
		if t, err := types.Of(v); err == nil && t.Size == n.Size() {
			n.Type = t.Addr
		}
	}
}
