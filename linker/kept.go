package linker

import (
	"cmp"
	"debug/elf"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Cost is the memory that annotations add to a program, in bytes, compared
// with the same program built with the tag meminspect_off.
type Cost struct {
	Text     int64 `json:"text,string"`     // code
	ReadOnly int64 `json:"readOnly,string"` // types, strings, tables of the linker
	Data     int64 `json:"data,string"`     // initialised variables
	BSS      int64 `json:"bss,string"`      // zeroed variables
	// Kept are the annotated variables that nothing else keeps in the program,
	// with their sizes. Without symbols it is nil, with a note.
	Kept      []Kept `json:"kept"`
	KeptBytes uint64 `json:"keptBytes,string"`
	Note      string `json:"note,omitempty"`
}

// A Kept is a variable that only its annotation keeps in the program.
type Kept struct {
	Package string `json:"package"`
	Name    string `json:"name"`
	Symbol  string `json:"symbol"`
	Bytes   uint64 `json:"bytes,string"`
	entry   *entry
}

// Cost compares p with off.
func (p *Program) Cost(off *Program) (*Cost, error) {
	if p.file.Arch != off.file.Arch {
		return nil, fmt.Errorf("compare %s with %s: one is for %s, the other for %s", p.Path, off.Path, p.file.Arch, off.file.Arch)
	}
	if n := len(off.found.Tables); n > 0 {
		return nil, fmt.Errorf("compare with %s: it has %d tables: build it with the tag meminspect_off", off.Path, n)
	}
	mine, theirs := p.kinds(), off.kinds()
	c := &Cost{
		Text: mine[0] - theirs[0], ReadOnly: mine[1] - theirs[1],
		Data: mine[2] - theirs[2], BSS: mine[3] - theirs[3],
		Kept: []Kept{},
	}
	names, err := newSymbols(p.file)
	if err != nil {
		c.Note = fmt.Sprintf("which variables annotations alone keep alive is not known: %s: %v", p.Path, err)
		return c, nil
	}
	others, err := newSymbols(off.file)
	if err != nil {
		c.Note = fmt.Sprintf("which variables annotations alone keep alive is not known: %s: %v", off.Path, err)
		return c, nil
	}
	seen := map[string]bool{}
	for _, e := range p.entries {
		sym, ok := names.at(e.Addr - p.image.Bias)
		if !ok || seen[sym.Name] || others.byName[sym.Name] || e.Table == nil {
			continue
		}
		seen[sym.Name] = true
		c.Kept = append(c.Kept, Kept{e.Package, e.Name, sym.Name, sym.Size, e})
		c.KeptBytes += sym.Size
	}
	return c, nil
}

// kinds sums the program's memory: code, read-only, initialised, zeroed.
func (p *Program) kinds() [4]int64 {
	var sums [4]int64
	for _, s := range p.file.SegmentSizes() {
		switch {
		case s.Exec:
			sums[0] += int64(s.Size())
		case !s.Write:
			sums[1] += int64(s.Size())
		default:
			sums[2] += int64(s.InFile)
			sums[3] += int64(s.Size() - s.InFile)
		}
	}
	return sums
}

// kept reports the variables in Cost.Kept as findings.
func (c *checker) kept(off *Program) error {
	cost, err := c.p.Cost(off)
	if err != nil {
		return err
	}
	for _, k := range cost.Kept {
		c.onEntry(KeptAlive, k.entry, "%s is in the program for its annotation alone: %d bytes", k.Symbol, k.Bytes)
	}
	return nil
}

// symbols are a file's variables, by address and by name.
type symbols struct {
	sorted []exe.Symbol
	byName map[string]bool
}

func newSymbols(f *exe.File) (*symbols, error) {
	all, err := f.Symbols()
	if err != nil {
		return nil, err
	}
	s := &symbols{byName: make(map[string]bool, len(all)/2)}
	for _, sym := range all {
		if sym.Type == elf.STT_OBJECT && sym.Section != elf.SHN_UNDEF {
			s.sorted = append(s.sorted, sym)
			s.byName[sym.Name] = true
		}
	}
	slices.SortFunc(s.sorted, func(a, b exe.Symbol) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(b.Size, a.Size))
	})
	return s, nil
}

// at returns the symbol that covers addr.
func (s *symbols) at(addr memory.Address) (exe.Symbol, bool) {
	i, ok := slices.BinarySearchFunc(s.sorted, addr, func(sym exe.Symbol, a memory.Address) int { return sym.Addr.Compare(a) })
	if !ok {
		i--
	}
	for ; i >= 0 && i < len(s.sorted); i-- {
		if memory.RangeOf(s.sorted[i].Addr, max(s.sorted[i].Size, 1)).Contains(addr) {
			return s.sorted[i], true
		}
		if s.sorted[i].Size > 0 {
			break
		}
	}
	return exe.Symbol{}, false
}
