// Package module finds what Go's linker and runtime left in a program for
// themselves: the build information, the modules (runtime.moduledata) and
// their pc-line tables, without symbols and, where need be, without section
// headers.
package module

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Program is a Go program seen from outside.
type Program struct {
	Mem       memory.Mapped
	Version   Version
	BuildInfo *debug.BuildInfo // nil when only the version is known
	Modules   []*Module        // the program's own first, then those it links to

	// Incomplete is why modules after the last of Modules could not be read, or nil.
	Incomplete error
}

// Hints are addresses at which to look first. They need not be right.
type Hints struct {
	ModuleData, PCLNTab, BuildInfo []memory.Address
	// Version is the Go version to assume when the memory has no build
	// information, in the form of runtime.Version.
	Version string
}

// ErrNoModule is returned when memory holds no Go module.
var ErrNoModule = errors.New("no Go module data found: not a Go program, or its pc-line table was removed")

// OfFile finds the program in an executable file.
func OfFile(f *exe.File) (*Program, error) {
	return OfImage(f.Loaded(0), f)
}

// OfImage finds the program in mem, which has f at the bias of image: a
// process's memory, a core, or the image itself.
func OfImage(image *exe.Image, mem memory.Mapped) (*Program, error) {
	var h Hints
	h.ModuleData, h.PCLNTab, h.BuildInfo = image.File.Hints()
	for _, addrs := range [][]memory.Address{h.ModuleData, h.PCLNTab, h.BuildInfo} {
		for i := range addrs {
			addrs[i] += image.Bias
		}
	}
	return Find(mem, h)
}

// maxModules bounds the modules of one program.
const maxModules = 4096

// Find finds the program in mem.
func Find(mem memory.Mapped, hints Hints) (*Program, error) {
	text, info, err := findBuildInfo(mem, hints.BuildInfo)
	if err != nil {
		if hints.Version == "" {
			return nil, err
		}
		text = hints.Version
	}
	p := &Program{Mem: mem, BuildInfo: info}
	if p.Version, err = ParseVersion(text); err != nil {
		return nil, err
	}
	first, err := p.firstModule(hints)
	if err != nil {
		return nil, err
	}
	// The list of modules is built when the program starts; in a file it has
	// the one.
	seen := map[memory.Address]bool{}
	for m := first; ; {
		p.Modules = append(p.Modules, m)
		seen[m.Addr] = true
		if m.Next == 0 || seen[m.Next] || len(p.Modules) == maxModules {
			return p, nil
		}
		next, err := decode(mem, m.Next, p.Version)
		if err != nil {
			p.Incomplete = fmt.Errorf("module after the one at %v: %w", m.Addr, err)
			return p, nil
		}
		m = next
	}
}

// maxTries bounds the places with a magic that are looked at more closely:
// each costs a search of its own. Programs have one, and tools that read
// programs a few more in their code.
const maxTries = 64

// firstModule finds a moduledata.
func (p *Program) firstModule(hints Hints) (*Module, error) {
	for _, addr := range hints.ModuleData {
		if m, err := decode(p.Mem, addr, p.Version); err == nil {
			return m, nil
		}
	}
	for _, addr := range hints.PCLNTab {
		if m := p.moduleOf(addr); m != nil {
			return m, nil
		}
	}
	// The magic of Go 1.20 and later, two zeros, the instruction size (1 on
	// amd64, 4 on arm64) and the pointer size.
	tries := 0
	for _, quantum := range []byte{1, 4} {
		magic := append(binary.LittleEndian.AppendUint32(nil, pcMagic), 0, 0, quantum, memory.PtrSize)
		for _, exec := range []bool{false, true} {
			for addr := range memory.Search(p.Mem, magic, 8, func(s memory.Segment) bool { return s.Exec == exec }) {
				if m := p.moduleOf(addr); m != nil {
					return m, nil
				}
				if tries++; tries == maxTries {
					return nil, ErrNoModule
				}
			}
		}
	}
	return nil, ErrNoModule
}

// moduleOf finds the moduledata that begins with the address of the pc-line
// table at pcHeader.
func (p *Program) moduleOf(pcHeader memory.Address) *Module {
	if _, err := readPCHeader(p.Mem, pcHeader); err != nil {
		return nil
	}
	word := binary.LittleEndian.AppendUint64(nil, uint64(pcHeader))
	for _, writable := range []bool{true, false} {
		want := func(s memory.Segment) bool { return s.Write == writable && !s.Exec }
		for addr := range memory.Search(p.Mem, word, 8, want) {
			if m, err := decode(p.Mem, addr, p.Version); err == nil {
				return m
			}
		}
	}
	return nil
}

// ModuleOf returns the module whose types or text hold addr, or nil.
func (p *Program) ModuleOf(addr memory.Address) *Module {
	for _, m := range p.Modules {
		if m.Types.Contains(addr) || m.Text.Contains(addr) {
			return m
		}
	}
	return nil
}
