package linker

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/tables"
)

// This file exposes the parts of a Program that tests need.

type Entry = entry

// New reads an executable that is already open; the caller closes it.
func New(name string, file *exe.File) (*Program, error) {
	p := &Program{Path: name, file: file, image: file.Loaded(0), mem: file}
	if err := p.read(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

func (p *Program) Degraded() error                     { return p.degrade }
func (p *Program) Tables() []*tables.Table             { return p.found.Tables }
func (p *Program) Problems() []error                   { return p.found.Problems }
func (p *Program) Entries() []*Entry                   { return p.entries }
func (p *Program) File() *exe.File                     { return p.file }
func (p *Program) Content() (*embedded.Content, error) { return p.content() }
func (e *entry) TypeName() string                      { return e.typeName() }
