package capture

import (
	"debug/elf"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/internal/walk"
)

// A program is a Go program that is captured: its executable file, where that stands in
// memory, and what was found in it before it was stopped.
type program struct {
	file     *exe.File
	owned    bool // file is to be closed
	image    *exe.Image
	twinPath string
	symtab   bool              // names are from a symbol table
	content  *embedded.Content // what the linker step embedded, nil = nothing, or not needed
	names    map[string]exe.Symbol
	mem      *memory.Spliced // file for what is read-only, the process for the rest
	prog     *module.Program
	own      []process.Mapping // of the executable file
	cover    memory.Ranges     // writable memory of loaded files: data and bss
	runtime  memory.Ranges     // the runtime's variables, where symbols say so
	relro    memory.Range      // written by the loader, read-only since
	cgo      bool
	anchor   memory.Address // 0 = none
	tables   []*tables.Table
	declared map[uint64]string // names of IDs for what is registered at run time
	doubt    bool              // a table or anchor could not be read: what it excludes is not known
	types    *gotypes.Set
	facts    *walk.Trace // what was read of types
	debug    *debugTypes
	cells    goroutine.Cells
	cellErr  error
	funcs    map[*module.Module]*module.Functions
	layout   goroutine.Layout
}

// ErrNotGo is wrapped by the errors about a process that is not a Go program
// that this package can read.
var ErrNotGo = errors.New("not a Go program that can be read")

func (t *taking) find() (*program, error) {
	t.opts.Progress(Progress{Step: "find"})
	var err error
	if t.maps, err = t.source.Maps(); err != nil {
		return nil, err
	}
	p := &program{funcs: map[*module.Module]*module.Functions{}}
	file, name, path, err := t.source.Executable()
	if err != nil {
		if errors.Is(err, exe.ErrFormat) {
			err = fmt.Errorf("%w: %w", ErrNotGo, err)
		}
		return nil, err
	}
	p.file, p.owned = file, t.process != nil
	t.summary.Program = strings.TrimSuffix(name, " (deleted)")
	if err := p.place(t.maps, name); err != nil {
		return nil, err
	}
	p.splice(t.maps, t.mem)
	if p.prog, err = module.OfImage(p.image, p.mem); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotGo, err)
	}
	t.summary.GoVersion = p.prog.Version.Text
	t.summary.BuildID, t.gnuID = p.file.BuildIDs()
	if p.layout, err = goroutine.LayoutOf(p.prog.Version); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotGo, err)
	}
	if err := p.symbols(path, t.opts.Symbols); err != nil {
		return nil, err
	}
	t.embedded(p)
	p.runtime = p.runtimeVariables()
	if p.symtab {
		p.cgo = p.names[cgoSymbol].Name != ""
	} else {
		p.cgo = usesCgo(p.prog)
	}
	p.facts = walk.NewTrace(p.mem)
	p.types = gotypes.New(p.facts, p.prog)
	t.marks(p)
	p.cells, p.cellErr = goroutine.Find(p.prog, p.symbol)
	return p, nil
}

// marks finds the anchor and all tables, also those whose packages were not
// initialised yet, in the initialised data of every module, where linkers lay
// them: in a heap a copy may stand.
func (t *taking) marks(p *program) {
	var data memory.Spliced
	for _, m := range p.prog.Modules {
		for _, part := range []memory.Range{m.NoPtrData, m.Data} {
			data.Put(memory.Segment{Range: part, Write: true}, p.mem)
		}
	}
	found := tables.FindIn(&data, p.mem)
	for _, err := range found.Problems {
		t.summary.problem("tables", err)
	}
	p.tables, p.doubt = found.Tables, len(found.Problems) > 0
	p.declared = map[uint64]string{}
	for _, table := range p.tables {
		for _, d := range table.Declared {
			p.declared[d.ID] = d.Name
		}
	}
	for _, part := range data.Segments() {
		if t.lacks != nil && t.lacks(part.Range) {
			p.doubt = true
			t.summary.problem("tables", errNoData)
			break
		}
	}
	if len(found.Anchors) == 0 && p.doubt {
		return
	}
	if len(found.Anchors) == 0 {
		if len(t.opts.Include) == 0 {
			t.summary.mention("regions", errNoAnchor.Error(), "")
		}
		return
	}
	p.anchor = found.Anchors[0].Addr
}

// errNoAnchor is about a program that does not embed the runtime, or whose
// linker left it out since nothing used it.
var errNoAnchor = errors.New("the program has no anchor: it does not import the meminspect runtime, or nothing in it is annotated or registered")

// errNoData is about a full core without a part of the variables.
var errNoData = errors.New("the full core lacks some of the program's data: what is annotated or excluded there is not known")

func (p *program) close() {
	if p.owned {
		p.file.Close()
	}
}

// place finds out where the executable was loaded: at the start of its first
// mapping.
func (p *program) place(maps []process.Mapping, name string) error {
	var first *process.Mapping
	for i := range maps {
		m := &maps[i]
		if m.Path != name || m.Inode == 0 {
			continue
		}
		if first == nil {
			first = m
		}
		if m.Device == first.Device && m.Inode == first.Inode {
			p.own = append(p.own, *m)
		}
	}
	if first == nil {
		return fmt.Errorf("%w: no mapping of its executable %s", ErrNotGo, name)
	}
	p.image = p.file.Loaded(0)
	if p.file.Type == elf.ET_DYN {
		p.image = p.file.Loaded(first.Start - p.file.LowestAddress()&^(pageSize-1))
	}
	return nil
}

// splice makes one memory of the process and the file. What is read-only is
// read from the file, which costs the process nothing; what the loader or the
// program may have written is read from the process.
func (p *program) splice(maps []process.Mapping, mem memory.Memory) {
	p.mem = &memory.Spliced{}
	if held, ok := mem.(memory.Mapped); ok { // a core: what it lacks, it may claim terabytes, is not searched
		p.mem.PutAll(held)
	}
	for _, m := range maps {
		if _, ok := mem.(memory.Mapped); !ok && m.Read && !strings.HasPrefix(m.Path, "[v") { // vvar, vdso, vsyscall: the kernel's
			p.mem.Put(memory.Segment{Range: m.Range, Write: m.Write, Exec: m.Exec}, mem)
		}
	}
	for _, seg := range p.image.Segments() {
		if !seg.Write {
			p.mem.Put(seg, p.image)
			continue
		}
		p.cover = append(p.cover, seg.Range)
		for _, m := range maps {
			// The loader took the right to write to what it had relocated.
			if r := m.Range.Intersect(seg.Range); !r.Empty() && !m.Write && m.Read {
				p.relro = r
				p.mem.Put(memory.Segment{Range: r}, mem)
			}
		}
	}
	// Data of shared libraries: of files that have code mapped too.
	code := map[string]bool{}
	for _, m := range maps {
		code[m.Path] = code[m.Path] || m.Exec && m.Inode != 0
	}
	for _, m := range maps {
		if m.Write && !m.Shared && m.Inode != 0 && code[m.Path] {
			p.cover = append(p.cover, m.Range)
		}
	}
	p.cover = memory.RangesOf(p.cover...)
}

// symbols reads the names of the program's variables, from the file or from
// its unstripped twin.
func (p *program) symbols(own, twin string) error {
	p.names = map[string]exe.Symbol{}
	p.twinPath = own
	named := p.file
	if twin != "" {
		f, err := exe.Open(twin)
		if err != nil {
			return &inputError{fmt.Errorf("symbols: %w", err)}
		}
		defer f.Close()
		if err := sameBuild(p.file, f); err != nil {
			return &inputError{fmt.Errorf("symbols: %s is not of the same build: %w", twin, err)}
		}
		named, p.twinPath = f, twin
	}
	all, err := named.Symbols()
	if err != nil {
		if twin != "" {
			return &inputError{fmt.Errorf("symbols: %s: %w", twin, err)}
		}
		return nil // a stripped program is an ordinary one
	}
	p.symtab = true
	for _, s := range all {
		if s.Section != elf.SHN_UNDEF && s.Addr != 0 {
			p.names[s.Name] = s
		}
	}
	return nil
}

// embedded reads what the linker step left in the executable and strip kept.
func (t *taking) embedded(p *program) {
	if _, ok := p.file.Section(embedded.SectionName); !ok {
		return
	}
	content, err := embedded.Read(p.file)
	if err != nil {
		t.summary.mention("section "+embedded.SectionName, err.Error(), "run meminspect link --embed again")
		return
	}
	p.content = content
	if p.symtab {
		return
	}
	for name, s := range content.Runtime.Symbols {
		p.names[name] = exe.Symbol{Name: name, Addr: s.Addr, Size: s.Size}
	}
}

// sameBuild holds the text of two files against each other: the go command's
// build ID of a stripped binary differs from that of its twin in nothing but
// what it hashes.
func sameBuild(a, b *exe.File) error {
	if a.Arch != b.Arch || a.Type != b.Type || a.Entry != b.Entry {
		return errors.New("another kind of executable")
	}
	for _, seg := range a.Segments() {
		if !seg.Exec {
			continue
		}
		const chunk = 1 << 20
		one, two := make([]byte, chunk), make([]byte, chunk)
		for at := seg.Start; at < seg.End; at = at.Add(chunk) {
			n := min(chunk, int(seg.End-at))
			if _, err := a.ReadAt(one[:n], at); err != nil {
				return err
			}
			if _, err := b.ReadAt(two[:n], at); err != nil {
				return err
			}
			if !slices.Equal(one[:n], two[:n]) {
				// The build ID stands in the first page of the text of Go's own linker.
				if at == seg.Start && slices.Equal(one[pageSize:n], two[pageSize:n]) {
					continue
				}
				return errors.New("the code differs")
			}
		}
	}
	return nil
}

// symbol gives the address of a symbol in the process.
func (p *program) symbol(name string) (memory.Address, bool) {
	s, ok := p.names[name]
	if !ok {
		return 0, false
	}
	return s.Addr + p.image.Bias, true
}

// cgoSymbol is a C function that is in every program with cgo; the Go half of
// runtime/cgo leaves symbols in others too.
const cgoSymbol = "x_cgo_init"

// usesCgo reports whether C code runs in the program.
func usesCgo(prog *module.Program) bool {
	funcs, err := prog.Modules[0].Functions(prog.Mem)
	if err != nil {
		return true // when in doubt, careful
	}
	for i := range funcs.Len() {
		// runtime/cgo's Go half is there whenever its C half is.
		if f, err := funcs.Func(i); err == nil && strings.HasPrefix(f.Name, "runtime/cgo.") {
			return true
		}
	}
	return false
}

// mainPath is the import path of the program's main package, "" when it is not
// known.
func (p *program) mainPath() string {
	if p.prog == nil || p.prog.BuildInfo == nil {
		return ""
	}
	return p.prog.BuildInfo.Path
}

// baseName is the program's name in a file name.
func baseName(program string) string {
	name := path.Base(program)
	if name == "." || name == "/" {
		return "program"
	}
	return name
}
