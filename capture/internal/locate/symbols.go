package locate

import (
	"debug/elf"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/gocore/symbols"
)

// Symbols are the names of the program's variables.
type Symbols struct {
	names symbols.Table
	bias  memory.Address // difference between addresses in the process and in names
	path  string         // of the file that they come from
	table bool           // they come from a symbol table, not from the linker step
}

// findSymbols reads the symbols from the file with the Go runtime or from its
// unstripped twin. A stripped program has none, which is not an error.
func (p *Program) findSymbols(opts *model.Options) error {
	s := &p.Symbols
	s.names, s.bias, s.path = symbols.Table{}, p.Runtime.Home.Image.Bias, p.Runtime.Home.Path
	if opts.Symbols != "" {
		table, err := symbols.OpenTwin(opts.Symbols, p.Runtime.Home.File)
		if err == nil {
			s.names, s.path, s.table = table, opts.Symbols, true
			return nil
		}
		if !opts.Lenient {
			return &model.InputError{Err: err}
		}
		p.Problems.Missing("symbols", err)
	}
	if table, err := symbols.Read(p.Runtime.Home.File); err == nil {
		s.names, s.table = table, true
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
func (s *Symbols) Variable(name string) (exe.Symbol, memory.Range, error) {
	sym, err := s.names.Variable(name)
	return sym, s.rangeOf(sym), err
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

// printBacklog has the last text of print and println, and of fatal errors.
const printBacklog = "runtime.printBacklog"

// privateVariables are variables of the runtime that no debugger needs and that
// describe the host, or from which the hashes of maps' keys follow.
var privateVariables = map[string]bool{
	"runtime.cgroupScratch": true, // paths of mounts and control groups
	"runtime.aeskeysched":   true,
	"runtime.hashkey":       true,

	"internal/runtime/maps.aeskeysched": true, // from Go 1.27
	"internal/runtime/maps.hashkey":     true,
}

// runtimeVariables returns the variables of the Go runtime that are in data, and those
// of them that are private or have the last text that was printed.
func (s *Symbols) runtimeVariables(data memory.Ranges) (variables, private, printed memory.Ranges) {
	var all, hidden []memory.Range
	for name, sym := range s.names {
		if sym.Size == 0 || !isRuntime(name) {
			continue
		}
		at := s.rangeOf(sym)
		if !data.Contains(at) {
			continue
		}
		all = append(all, at)
		switch {
		case name == printBacklog:
			printed = memory.RangesOf(at)
		case privateVariables[name]:
			hidden = append(hidden, at)
		}
	}
	return memory.RangesOf(all...), memory.RangesOf(hidden...), printed
}

func isRuntime(name string) bool {
	if name == "go:buildinfo" {
		return false // the build flags belong to the program: see buildSettings
	}
	for _, prefix := range runtimePrefixes {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			// "runtime.example/p.v" is a variable of a module.
			own, _, _ := strings.Cut(rest, "[")
			return prefix != "runtime." || !strings.Contains(own, "/")
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
