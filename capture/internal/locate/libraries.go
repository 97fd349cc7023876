package locate

import (
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/gocore/tables"
)

// A librarian is a source that opens the shared libraries that are mapped.
type librarian interface {
	Library(process.Mapping) (file *exe.File, path string, err error)

	// MissingLibrary returns why a library with Go code cannot be read, nil if all
	// can.
	MissingLibrary() error
}

// findCode finds the files with the modules' code: the executable, or shared
// libraries of a C program and plugins. If a file cannot be read, only the
// names of its functions are missing.
func (p *Program) findCode() {
	p.Runtime.Home = p.Binary
	code := &memory.Spliced{}
	put := func(image *exe.Image) {
		for _, seg := range image.Segments() {
			code.Put(seg, image)
		}
	}
	put(p.Binary.Image)
	for _, m := range p.Runtime.Modules {
		if covers(p.Binary.Image, m.PCHeader) {
			continue
		}
		library, err := p.library(m.PCHeader)
		if err != nil {
			p.Problems.Mention("functions", err.Error(), "")
			continue
		}
		put(library.Image)
		if m == p.Runtime.Modules[0] {
			p.Runtime.Home = library
		}
	}
	p.Code = module.NewCode(p.Runtime.Program, code)
}

func covers(image *exe.Image, addr memory.Address) bool {
	for _, seg := range image.Segments() {
		if seg.Contains(addr) {
			return true
		}
	}
	return false
}

// library returns the shared library that is mapped at addr.
func (p *Program) library(addr memory.Address) (Binary, error) {
	for _, m := range p.Maps {
		if !m.Contains(addr) {
			continue
		}
		source, ok := p.Source.(librarian)
		if !ok || m.Inode == 0 {
			break
		}
		file, path, err := source.Library(m)
		if err != nil {
			return Binary{}, fmt.Errorf("shared library: %w", err)
		}
		return place(file, path, m.Path, p.Maps)
	}
	return Binary{}, errors.New("a module's code is in no file that can be read")
}

// findOtherRuntimes reports the Go runtimes of the process that are not
// captured: each shared library of a C program has one.
func (p *Program) findOtherRuntimes() {
	var others memory.Spliced
	for _, m := range p.Maps {
		if m.Write && !m.Shared && m.Inode != 0 { // initialised data, not all of memory
			others.Put(memory.Segment{Range: m.Range, Write: true}, p.Binary.Memory)
		}
	}
	for _, m := range p.Runtime.Modules {
		for _, own := range []memory.Range{m.NoPtrData, m.Data} {
			others.Cut(own)
		}
	}
	if n := len(tables.FindIn(&others, p.Binary.Memory).Anchors); n > 0 {
		captured := "the first of its shared libraries with Go code"
		if p.Runtime.Home.File == p.Binary.File {
			captured = "the program's own"
		}
		p.Problems.Missing("runtimes", fmt.Errorf("the process has %d more of Go, each in a shared library: only %s is captured", n, captured))
	}
}
