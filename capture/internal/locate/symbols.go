package locate

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// Symbols are the names of the program's variables.
type Symbols struct {
	names map[string]exe.Symbol
	bias  memory.Address // difference between addresses in the process and in names
	path  string         // of the file that they come from
	table bool           // they come from a symbol table, not from the linker step
}

// findSymbols reads the symbols from the file with the Go runtime or from its
// unstripped twin. A stripped program has none, which is not an error.
func (p *Program) findSymbols(twin string) error {
	s := &p.Symbols
	s.names, s.bias, s.path = map[string]exe.Symbol{}, p.Runtime.Home.Image.Bias, p.Runtime.Home.Path
	file := p.Runtime.Home.File
	if twin != "" {
		f, err := exe.Open(twin)
		if err != nil {
			return &model.InputError{Err: fmt.Errorf("symbols: %w", err)}
		}
		defer f.Close()
		if err := sameBuild(p.Runtime.Home.File, f); err != nil {
			return &model.InputError{Err: fmt.Errorf("symbols: %s is not of the same build: %w", twin, err)}
		}
		file, s.path = f, twin
	}
	all, err := file.Symbols()
	if err != nil {
		if twin != "" {
			return &model.InputError{Err: fmt.Errorf("symbols: %s: %w", twin, err)}
		}
		return nil
	}
	s.table = true
	for _, sym := range all {
		if sym.Section != elf.SHN_UNDEF && sym.Addr != 0 {
			s.names[sym.Name] = sym
		}
	}
	return nil
}

// findEmbedded reads the section that the linker step embedded and strip kept.
func (p *Program) findEmbedded() {
	if _, ok := p.Runtime.Home.File.Section(embedded.SectionName); !ok {
		return
	}
	content, err := embedded.Read(p.Runtime.Home.File)
	if err != nil {
		p.Problems.Mention("section "+embedded.SectionName, err.Error(), "run meminspect link --embed again")
		return
	}
	p.Marks.Embedded = content
	if p.Symbols.table {
		return
	}
	for name, s := range content.Runtime.Symbols {
		p.Symbols.names[name] = exe.Symbol{Name: name, Addr: s.Addr, Size: s.Size}
	}
}

// Empty reports whether the program has no symbols.
func (s *Symbols) Empty() bool { return len(s.names) == 0 }

// Address returns the address of a symbol in the process.
func (s *Symbols) Address(name string) (memory.Address, bool) {
	sym, ok := s.names[name]
	if !ok {
		return 0, false
	}
	return sym.Addr + s.bias, true
}

// Variable returns the symbol of a package-level variable by its import path
// and name, as spelt in the source or in the symbol table, and its memory.
func (s *Symbols) Variable(name string) (exe.Symbol, memory.Range, bool) {
	if sym, ok := s.names[name]; ok {
		return sym, s.rangeOf(sym), true
	}
	for _, sym := range s.names {
		if pkg, expr, ok := sym.Variable(); ok && pkg+"."+expr == name {
			return sym, s.rangeOf(sym), true
		}
	}
	return exe.Symbol{}, memory.Range{}, false
}

// Objects returns the memory of all variables, by address.
func (s *Symbols) Objects() []memory.Range {
	var all []memory.Range
	for _, sym := range s.names {
		if sym.Type == elf.STT_OBJECT && sym.Size > 0 {
			all = append(all, s.rangeOf(sym))
		}
	}
	slices.SortFunc(all, func(a, b memory.Range) int { return a.Start.Compare(b.Start) })
	return all
}

func (s *Symbols) rangeOf(sym exe.Symbol) memory.Range {
	return memory.RangeOf(sym.Addr+s.bias, sym.Size)
}

// runtimePrefixes are the packages whose variables debuggers read to find
// threads and goroutines, and the linker's own symbols.
var runtimePrefixes = []string{"runtime.", "internal/runtime/", "runtime/internal/", "go:"}

// runtimeVariables returns the variables of the Go runtime that are in data.
func (s *Symbols) runtimeVariables(data memory.Ranges) memory.Ranges {
	var all []memory.Range
	for name, sym := range s.names {
		if sym.Size == 0 || !isRuntime(name) {
			continue
		}
		if r := s.rangeOf(sym); data.Contains(r) {
			all = append(all, r)
		}
	}
	return memory.RangesOf(all...)
}

func isRuntime(name string) bool {
	if name == "go:buildinfo" {
		return false // the build flags belong to the program: see buildSettings
	}
	for _, prefix := range runtimePrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// cgoSymbol is a C function that is in every program with cgo; the Go half of
// runtime/cgo leaves symbols in other programs too.
const cgoSymbol = "x_cgo_init"

func (p *Program) usesCgo() bool {
	if !covers(p.Binary.Image, p.Runtime.Modules[0].PCHeader) {
		return true // a C program that loads Go code
	}
	if p.Symbols.table {
		return p.Symbols.names[cgoSymbol].Name != ""
	}
	return UsesCgo(p.Runtime.Program)
}

// UsesCgo reports whether C code runs in a program, from its pc-line table.
func UsesCgo(prog *module.Program) bool {
	funcs, err := prog.Modules[0].Functions(prog.Mem)
	if err != nil {
		return true // when in doubt, assume cgo
	}
	for i := range funcs.Len() {
		// runtime/cgo's Go half is present whenever its C half is.
		if f, err := funcs.Func(i); err == nil && strings.HasPrefix(f.Name, "runtime/cgo.") {
			return true
		}
	}
	return false
}
