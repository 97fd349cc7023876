package inspect

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"debug/elf"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Program is the program that a core was taken of: its memory, as far as the
// core has it, its modules, types and functions. It must not be used by two
// goroutines at once.
type Program struct {
	Core  *Core
	Go    *module.Program // nil when nothing of it could be found
	Types *gotypes.Set    // nil then
	// Exe is the executable in use, nil when the core has to do alone.
	Exe *exe.File
	// Warnings are what the reader should know about the executable.
	Warnings []string

	mem   holed                      // values: the core, and what is read-only in the executable
	stack holed                      // mem with all words of stacks, also those of the fill pattern
	pages pages                      // of mem
	code  *module.Code               // nil when Go is nil
	calls map[uint64][]note.Function // by address in code, inlined calls first
	names map[uint64]string          // of functions, by their entries

	constants constants
	closures  closures
	bias      memory.Address // of the executable
}

// OpenProgram finds the program of a core. path names the executable: it is an
// error that wraps [ErrOtherBuild] if that is of another build. If path is empty,
// the executable that the core names is used if it is of the same build.
// Without an executable the core must carry the types of its own values, as
// captures do. The caller closes the Program, not the core.
func OpenProgram(core *Core, path string) (*Program, error) {
	p := &Program{Core: core, mem: holed{mem: &memory.Spliced{}}, calls: map[uint64][]note.Function{}, names: map[uint64]string{}}
	p.pages.mem = &p.mem
	// Descriptors and tables are constants: all of the executable counts where
	// the core has nothing.
	types := &memory.Spliced{}
	image, err := p.open(path)
	if err != nil {
		return nil, err
	}
	if image != nil {
		for _, seg := range image.Segments() {
			types.Put(seg, image)
			if !seg.Write {
				p.mem.mem.Put(seg, image)
			}
		}
	}
	held := coreMemory{core.File}
	// In the order of addresses: each is then put last, in constant time.
	loads := slices.Clone(core.Loads)
	slices.SortStableFunc(loads, func(a, b elfcore.Load) int { return cmp.Compare(a.Addr, b.Addr) })
	for i := range loads {
		l := &loads[i]
		if l.Marked() {
			p.mem.mem.Cut(memory.RangeOf(memory.Address(l.Addr), l.FileSize))
			continue
		}
		seg := memory.Segment{Range: memory.RangeOf(memory.Address(l.Addr), core.Present(l)), Write: l.Flags&elfcore.FlagWrite != 0, Exec: l.Flags&elfcore.FlagExec != 0}
		p.mem.mem.Put(seg, held)
		types.Put(seg, held)
	}
	p.cutMarked(image)
	if err := p.cutSkeletons(); err != nil {
		return nil, err
	}
	p.find(image, types)
	return p, nil
}

// ErrOtherBuild is wrapped by the errors about an executable that is not the one
// that the core was taken of.
var ErrOtherBuild = errors.New("it is another build of the program")

// SameBuild compares an executable with what the core records of its program. It
// accepts one that has no ID in common with the record.
func (c *Core) SameBuild(f *exe.File) error {
	if machine := elfcore.MachineName(c.Machine); machine != string(f.Arch) {
		return fmt.Errorf("%w: it is for %s, the core for %s", ErrOtherBuild, f.Arch, machine)
	}
	goID, gnuID := f.BuildIDs()
	wantGo, wantGNU := c.BuildIDs()
	if c.Capture != nil && wantGo == "" && goID != "" && gnuID != "" && wantGNU != "" && gnuID != wantGNU {
		return fmt.Errorf("%w: the core is of %s, which loads Go code as a shared library: name that program's file", ErrOtherBuild, c.Capture.Program)
	}
	for _, id := range []struct{ kind, got, want string }{{"Go", goID, wantGo}, {"GNU", gnuID, wantGNU}} {
		if id.got != id.want && id.got != "" && id.want != "" {
			return fmt.Errorf("%w: its %s build ID is %s, the core's %s", ErrOtherBuild, id.kind, id.got, id.want)
		}
	}
	return nil
}

// NewProgram returns a program without a core file, whose values and types are
// in mem: for example, a process. lost is what of it cannot be read, with the reason.
func NewProgram(prog *module.Program, mem memory.Memory, lost ...Lost) *Program {
	p := &Program{
		Core: &Core{}, Go: prog, Types: gotypes.New(mem, prog), mem: holed{mem: &memory.Spliced{}}, code: module.NewCode(prog, prog.Mem),
		calls: map[uint64][]note.Function{}, names: map[uint64]string{},
	}
	p.pages.mem = &p.mem
	p.mem.mem.Put(memory.Segment{Range: memory.Range{End: goobject.AddressSpace}}, mem)
	p.mem = p.mem.without(slices.Clone(lost))
	p.stack = p.mem
	return p
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

// open opens the executable and places it at its load address; it returns nil,
// and a warning, if the file no longer exists.
func (p *Program) open(path string) (*exe.Image, error) {
	named := path != ""
	record := p.Core.Capture
	if !named && record != nil {
		path = record.Program
	}
	if path == "" {
		return nil, nil
	}
	open := exe.OpenRecorded
	if named {
		open = exe.Open
	}
	f, err := open(path)
	if err != nil {
		if named {
			return nil, err
		}
		if errors.Is(err, os.ErrNotExist) {
			p.Warn("%s is gone; types and names are the core's own", path)
		} else {
			p.Warn("%v; types and names are the core's own", err)
		}
		return nil, nil
	}
	if err := p.Core.SameBuild(f); err != nil {
		f.Close()
		if named {
			return nil, fmt.Errorf("executable %s: %w", path, err)
		}
		p.Warn("%s was built anew since; types and names are the core's own", path)
		return nil, nil
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
	p.bias = bias
	return f.Loaded(bias), nil
}

// Warn adds a warning, once.
func (p *Program) Warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.Warnings, text) {
		p.Warnings = append(p.Warnings, text)
	}
}

// cutMarked takes what is filled with marks out of the memory. A gap between
// constants has in the executable what was there.
func (p *Program) cutMarked(image *exe.Image) {
	var constants []memory.Segment
	if image != nil {
		for _, seg := range image.Segments() {
			if !seg.Write {
				constants = append(constants, seg)
			}
		}
	}
	lost := make([]Lost, 0, len(p.Core.Marked))
	for _, m := range p.Core.Marked {
		l := Lost{memory.RangeOf(memory.Address(m.Addr), m.Size), m.Why}
		if m.Why != note.MarkedGap {
			lost = append(lost, l)
			continue
		}
		for _, seg := range constants { // sorted
			if both := seg.Intersect(l.Range); !both.Empty() {
				p.mem.mem.Put(memory.Segment{Range: both, Exec: seg.Exec}, image)
				lost = append(lost, Lost{memory.Range{Start: l.Start, End: both.Start}, l.Why})
				l.Start = both.End
			}
		}
		lost = append(lost, l)
	}
	p.mem = p.mem.without(lost)
}

// cutSkeletons takes the words of stacks that were overwritten out of the memory.
func (p *Program) cutSkeletons() error {
	p.stack = p.mem
	desc, _ := p.Core.Note(note.Owner, note.TypeSkeletons)
	if desc == nil {
		return nil
	}
	stacks, err := extents(&elfcore.Note{Type: note.TypeSkeletons, Desc: desc})
	if err != nil {
		return err
	}
	var lost []Lost
	data := make([]byte, 64<<10)
	for i := range p.Core.Loads { // what is read is bounded by the file
		l := &p.Core.Loads[i]
		if l.Marked() {
			continue
		}
		for _, part := range stacks.Overlap(memory.RangeOf(memory.Address(l.Addr), p.Core.Present(l))) {
			for at := part.Start; at < part.End; at = at.Add(uint64(len(data))) {
				b := data[:min(uint64(len(data)), uint64(part.End-at))]
				n, err := p.Core.ReadMemory(uint64(at), b)
				for _, r := range overwritten(at, b[:n]) {
					lost = append(lost, Lost{r, note.MarkedExcluded})
				}
				if err != nil {
					break
				}
			}
		}
	}
	p.mem = p.mem.without(lost)
	return nil
}

// overwritten returns the words of memory that have the fill pattern, and what of
// words that are there in part.
func overwritten(addr memory.Address, b []byte) (all []memory.Range) {
	for off := 0; off < len(b); {
		end := min(off+memory.PtrSize-int((uint64(addr)+uint64(off))%memory.PtrSize), len(b))
		if bytes.Count(b[off:end], []byte{elfcore.MarkByte}) == end-off {
			r := memory.Range{Start: addr.Add(uint64(off)), End: addr.Add(uint64(end))}
			if n := len(all); n > 0 && all[n-1].End == r.Start {
				all[n-1].End = r.End
			} else {
				all = append(all, r)
			}
		}
		off = end
	}
	return all
}

// find finds the Go program: its modules, types and functions.
func (p *Program) find(image *exe.Image, types memory.Mapped) {
	version := ""
	if p.Core.Capture != nil {
		version = p.Core.Capture.GoVersion
	}
	var err error
	if image != nil {
		if p.Go, err = module.OfImage(image, types); err != nil {
			p.Go, err = module.OfImage(image, image)
		}
	}
	if p.Go == nil { // without the executable, or a C program with Go in a library
		p.Go, err = module.Find(types, module.Hints{Version: version})
	}
	if err != nil {
		p.Go = nil
		if !p.describe(version) {
			p.Warn("%v", err)
		}
		return
	}
	if p.Go.Incomplete != nil {
		p.Warn("%v", p.Go.Incomplete)
	}
	p.Types, p.code = gotypes.New(types, p.Go), module.NewCode(p.Go, types)
	for i := range p.Core.Notes {
		n := &p.Core.Notes[i]
		if n.Name == note.Owner && n.Type == note.TypeFunctions {
			fs, err := note.DecodeFunctions(n.Desc)
			if err != nil {
				p.Warn("%v", err)
			}
			for _, f := range fs {
				p.names[f.Entry] = f.Name // the function itself comes last
				p.calls[f.PC] = append(p.calls[f.PC], f)
			}
		}
	}
}

// describe takes the types from the core's description of them. It reports false
// if it has none.
func (p *Program) describe(version string) bool {
	release, err := module.ParseVersion(version)
	if err != nil {
		return false
	}
	for i := range p.Core.Notes {
		n := &p.Core.Notes[i]
		if n.Name != note.Owner || n.Type != note.TypeTypes {
			continue
		}
		described, err := note.DecodeTypes(n.Desc)
		if err != nil {
			p.Warn("%v", err)
			return false
		}
		p.Types = gotypes.New(&p.mem, &module.Program{Version: release, Mem: &p.mem})
		for _, d := range described {
			p.Types.Describe(memory.Address(d.Addr), func() (gotypes.Definition, error) { return definition(p.Types, d) })
		}
		return true
	}
	return false
}

// definition turns a description into a type's definition.
func definition(types *gotypes.Set, d note.Type) (gotypes.Definition, error) {
	out := gotypes.Definition{
		Kind: gotypes.Kind(d.Kind), Name: d.Name, PkgPath: d.PkgPath, Size: d.Size, Len: d.Len, Elem: memory.Address(d.Elem), Methods: int(d.Methods),
	}
	for _, f := range d.Fields {
		t, err := types.At(memory.Address(f.Type))
		if err != nil {
			return out, fmt.Errorf("field %s: %w", f.Name, err)
		}
		out.Fields = append(out.Fields, gotypes.Field{Name: f.Name, Offset: f.Offset, Type: t, Embedded: f.Embedded})
	}
	return out, nil
}

// Memory is what the core has of the program's memory, and what is read-only
// in the executable. What is filled with marks cannot be read.
func (p *Program) Memory() memory.Memory { return &p.mem }

// Stack is Memory for those who unwind stacks: where a word was redacted, it has
// the fill pattern.
func (p *Program) Stack() memory.Memory { return &p.stack }

// Torn reports whether some of a range changed while it was read.
func (p *Program) Torn(r memory.Range) bool {
	return len(p.Core.Torn) > 0 && p.Core.Torn.OverlapSize(r) > 0
}

// Version returns the Go release that built the program, zero when it is not
// known.
func (p *Program) Version() module.Version {
	if p.Go == nil {
		return module.Version{}
	}
	return p.Go.Version
}

// Read fills b with the program's memory at addr. It reports false, and what b
// holds then is not defined, when not all of it is there: see Why.
func (p *Program) Read(b []byte, addr memory.Address) bool {
	if data, ok := p.pages.view(addr, uint64(len(b))); ok {
		copy(b, data)
		return true
	}
	n, err := p.mem.ReadAt(b, addr)
	return err == nil && n == len(b)
}

// View returns size bytes of the program's memory at addr, or false if not all of them
// are there. They are valid until the next call of View or Read, and must not be written.
func (p *Program) View(addr memory.Address, size uint64) ([]byte, bool) {
	if size == 0 {
		return nil, true
	}
	if data, ok := p.pages.view(addr, size); ok {
		return data, true
	}
	if size > pageSize { // a size that is not true costs no memory
		if _, ok := p.pages.view(addr.Add(size-1), 1); !ok {
			return nil, false
		}
	}
	b := make([]byte, size)
	n, err := p.mem.ReadAt(b, addr)
	return b, err == nil && n == len(b)
}

// Calls returns the calls under way at an address in code: those that were
// inlined there, the innermost first, and last the function itself. It takes
// them from the core, or else from the executable; nil when neither has them.
// After a call pc is a return address: file and line are then those of the call.
func (p *Program) Calls(pc memory.Address) []note.Function {
	calls, ok := p.calls[uint64(pc)]
	if !ok && p.code != nil {
		calls = p.code.Calls(pc)
		p.calls[uint64(pc)] = calls
	}
	return calls
}

// FuncName returns the name of the function at entry, empty when neither the
// executable nor the core has it.
func (p *Program) FuncName(entry memory.Address) string {
	if name, ok := p.names[uint64(entry)]; ok {
		return name
	}
	// At its first byte nothing is inlined that the name could be of.
	if calls := p.Calls(entry); len(calls) > 0 {
		return calls[len(calls)-1].Name
	}
	return ""
}
