package live

import (
	"debug/elf"
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/memlimit"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// FindMemoryLimit finds, in the executable file, where the Go runtime stores
// its memory limit, for MemoryLimit.
func (p *Program) FindMemoryLimit() error {
	file, err := exe.Open(p.proc.ExePath())
	if err != nil {
		return err
	}
	defer file.Close()
	base, err := p.base(file)
	if err != nil {
		return err
	}
	prog, err := module.OfFile(file)
	if err != nil {
		return err
	}
	at, err := memlimit.Find(prog)
	if err == nil {
		p.limit = at + base
	}
	return err
}

// base returns the load bias: a position-independent executable is moved to
// where its first mapping begins.
func (p *Program) base(file *exe.File) (memory.Address, error) {
	if file.Type != elf.ET_DYN {
		return 0, nil
	}
	maps, err := p.proc.Maps()
	if err != nil {
		return 0, err
	}
	name, err := p.proc.ExeName()
	if err != nil {
		return 0, err
	}
	for _, m := range maps {
		if m.Inode != 0 && strings.TrimSuffix(m.Path, " (deleted)") == strings.TrimSuffix(name, " (deleted)") {
			return m.Start - file.LowestAddress()&^(pageSize-1), nil
		}
	}
	return 0, memlimit.ErrUnknown
}

// pageSize is the smallest page size by which Linux loads programs.
const pageSize = 4096

// MemoryLimit returns the Go runtime's current memory limit, memlimit.None if
// there is none.
func (p *Program) MemoryLimit() (int64, error) {
	if p.limit == 0 {
		return 0, memlimit.ErrUnknown
	}
	return memlimit.Read(p.proc.Memory(), p.limit)
}
