package value

import (
	"errors"
	"fmt"
	"os"
	"sort"

	"debug/elf"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Program is the program that a core was taken of.
type Program struct {
	Core  *inspect.Core
	Go    *module.Program // nil when nothing of it could be found
	Types *gotypes.Set    // nil then
	// Exe is the executable in use, nil when the core has to do alone.
	Exe *exe.File
	// Warnings are what the reader should know about the executable.
	Warnings []string

	mem    *memory.Spliced            // values: the core, and what is read-only in the executable
	marked []note.MarkedRange         // sorted
	funcs  map[uint64]string          // names by entry
	calls  map[uint64][]note.Function // by address in code, inlined calls first
	lines  map[*module.Module]*module.Functions
	types  memory.Mapped
}

// Open finds the program of a core. path names the executable; when it is
// empty, the one that the core names is taken if it has the same build ID.
// Without an executable the core must carry the types of its own values, as
// those of the collector do. The caller closes the Program, not the core.
func Open(core *inspect.Core, path string) (*Program, error) {
	p := newProgram(core)
	types := &memory.Spliced{}
	p.types = types
	image, err := p.open(path)
	if err != nil {
		return nil, err
	}
	if image != nil {
		for _, seg := range image.Segments() {
			types.Put(seg, image)
			if !seg.Write {
				p.mem.Put(seg, image)
			}
		}
	}
	held := coreMemory{core.File}
	for i := range core.Loads {
		l := &core.Loads[i]
		r := memory.RangeOf(memory.Address(l.Addr), l.FileSize)
		if l.Marked() {
			p.mem.Cut(r)
			continue
		}
		seg := memory.Segment{Range: r, Write: l.Flags&elfcore.FlagWrite != 0, Exec: l.Flags&elfcore.FlagExec != 0}
		p.mem.Put(seg, held)
		types.Put(seg, held)
	}
	if err := p.cutMarked(image); err != nil {
		return nil, err
	}
	p.find(image)
	return p, nil
}

func newProgram(core *inspect.Core) *Program {
	return &Program{
		Core: core, mem: &memory.Spliced{},
		funcs: map[uint64]string{}, calls: map[uint64][]note.Function{}, lines: map[*module.Module]*module.Functions{},
	}
}

// Close closes the executable.
func (p *Program) Close() error {
	if p.Exe == nil {
		return nil
	}
	return p.Exe.Close()
}

// coreMemory is a core as memory.Memory.
type coreMemory struct{ *elfcore.File }

func (m coreMemory) ReadAt(b []byte, addr memory.Address) (int, error) {
	n, err := m.ReadMemory(uint64(addr), b)
	if n < len(b) {
		return n, memory.Unreadable(addr.Add(uint64(n)), err)
	}
	return n, nil
}

// open opens the executable and places it where it was loaded; nil, and a
// warning, when it is not there any more.
func (p *Program) open(path string) (*exe.Image, error) {
	named := path != ""
	record := p.Core.Capture
	if !named && record != nil {
		path = record.Program
	}
	if path == "" {
		return nil, nil
	}
	f, err := exe.Open(path)
	if err != nil {
		if named {
			return nil, err
		}
		if errors.Is(err, os.ErrNotExist) {
			p.warn("%s is gone; types and names are the core's own", path)
		} else {
			p.warn("%v; types and names are the core's own", err)
		}
		return nil, nil
	}
	if record != nil && record.BuildID != "" {
		if id, _ := f.BuildIDs(); id != record.BuildID {
			if !named {
				f.Close()
				p.warn("%s was built anew since; types and names are the core's own", path)
				return nil, nil
			}
			p.warn("%s is not the executable that the core was taken of: its build ID is another", path)
		}
	}
	p.Exe = f
	bias := memory.Address(0)
	if f.Type == elf.ET_DYN {
		if len(p.Core.Files) == 0 {
			f.Close()
			return nil, fmt.Errorf("the core does not say where %s was loaded: it has no NT_FILE note", path)
		}
		first := p.Core.Files[0]
		bias = memory.Address(first.Start-first.Offset) - f.LowestAddress()&^4095
	}
	return f.Loaded(bias), nil
}

func (p *Program) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// cutMarked takes what is filled with marks out of the memory. A gap between
// constants has in the executable what stood there.
func (p *Program) cutMarked(image *exe.Image) error {
	var constants []memory.Segment
	if image != nil {
		for _, seg := range image.Segments() {
			if !seg.Write {
				constants = append(constants, seg)
			}
		}
	}
	for i := range p.Core.Notes {
		n := &p.Core.Notes[i]
		if n.Name != note.Owner || n.Type != note.TypeMarked {
			continue
		}
		ranges, err := note.DecodeMarked(n.Desc)
		if err != nil {
			return err
		}
		cut := make([]memory.Range, len(ranges))
		for k, m := range ranges {
			cut[k] = memory.RangeOf(memory.Address(m.Addr), m.Size)
		}
		p.mem.CutAll(cut)
		for k, m := range ranges {
			r := cut[k]
			for _, seg := range constants {
				if both := seg.Intersect(r); m.Why == note.MarkedGap && !both.Empty() {
					p.mem.Put(memory.Segment{Range: both, Exec: seg.Exec}, image)
				}
			}
		}
		p.marked = append(p.marked, ranges...)
	}
	return nil
}

// find finds the Go program: its modules, types and functions.
func (p *Program) find(image *exe.Image) {
	version := ""
	if p.Core.Capture != nil {
		version = p.Core.Capture.GoVersion
	}
	var err error
	if image != nil {
		if p.Go, err = module.OfImage(image, p.types); err != nil {
			p.Go, err = module.OfImage(image, image)
		}
	} else {
		p.Go, err = module.Find(p.types, module.Hints{Version: version})
	}
	if err != nil {
		p.Go = nil
		p.warn("%v", err)
		return
	}
	p.Types = gotypes.New(p.types, p.Go)
	for i := range p.Core.Notes {
		n := &p.Core.Notes[i]
		if n.Name == note.Owner && n.Type == note.TypeFunctions {
			fs, err := note.DecodeFunctions(n.Desc)
			if err != nil {
				p.warn("%v", err)
			}
			for _, f := range fs {
				p.funcs[f.Entry] = f.Name // the function itself comes last
				p.calls[f.PC] = append(p.calls[f.PC], f)
			}
		}
	}
}

// Memory is what the core has of the program's memory, and what is read-only
// in the executable. What is filled with marks cannot be read.
func (p *Program) Memory() memory.Memory { return p.mem }

// Code says what stands at an address in code: the calls that were inlined
// there, the innermost first, and last the function itself. It knows it from
// the core, or else from the executable. Behind a call pc is a return address:
// files and lines are those of the call.
func (p *Program) Code(pc memory.Address) []note.Function {
	calls, ok := p.calls[uint64(pc)]
	if !ok {
		calls = p.code(pc)
		p.calls[uint64(pc)] = calls
	}
	return calls
}

func (p *Program) code(pc memory.Address) []note.Function {
	if p.Go == nil {
		return nil
	}
	m := p.Go.ModuleOf(pc)
	if m == nil {
		return nil
	}
	table, ok := p.lines[m]
	if !ok {
		table, _ = m.Functions(p.types)
		p.lines[m] = table
	}
	if table == nil {
		return nil
	}
	f, err := table.At(pc)
	if err != nil {
		return nil
	}
	frame := uint32(0)
	if delta, err := f.SPDelta(pc); err == nil && delta >= 0 {
		frame = uint32(delta)
	}
	calls, err := f.Standing(pc)
	if err != nil {
		calls = []module.Call{{Name: f.Name}}
	}
	out := make([]note.Function, len(calls))
	for i, c := range calls {
		out[i] = note.Function{PC: uint64(pc), Entry: uint64(f.Range.Start), Frame: frame, Name: c.Name, File: c.File, Line: uint32(c.Line)}
	}
	return out
}

// funcName returns the name of the function at entry, empty when neither the
// executable nor the core knows it.
func (p *Program) funcName(entry memory.Address) string {
	if name, ok := p.funcs[uint64(entry)]; ok {
		return name
	}
	// At its first byte nothing is inlined that the name could be of.
	if calls := p.Code(entry); len(calls) > 0 {
		return calls[len(calls)-1].Name
	}
	return ""
}

// read reads bytes of a value.
func (p *Program) read(addr memory.Address, size uint64) ([]byte, bool) {
	b := make([]byte, size)
	n, err := p.mem.ReadAt(b, addr)
	return b, err == nil && n == len(b)
}

// why says why the first byte of r that cannot be read cannot be.
func (p *Program) why(r memory.Range) Missing {
	i := sort.Search(len(p.marked), func(i int) bool { return p.marked[i].Addr+p.marked[i].Size > uint64(r.Start) })
	if i < len(p.marked) && p.marked[i].Addr < uint64(r.End) {
		switch p.marked[i].Why {
		case note.MarkedExcluded:
			return Erased
		case note.MarkedUnknown:
			return Withheld
		case note.MarkedHole:
			return Unreadable
		}
	}
	return NotCaptured
}
