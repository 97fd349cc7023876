package linker

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

// OpenProcess reads the program that runs as process pid, with its loaded
// plugins and shared libraries. It does not stop the process: tables do not
// change. The caller closes the program.
func OpenProcess(pid int) (*Program, error) {
	proc, err := process.Open(pid)
	if err != nil {
		return nil, err
	}
	file, err := exe.Open(proc.ExePath())
	if err != nil {
		proc.Close()
		return nil, fmt.Errorf("executable of process %d: %w", pid, err)
	}
	p := &Program{Path: proc.ExePath(), file: file, process: proc}
	if name, err := proc.ExeName(); err == nil {
		p.Path = name
	}
	if err = p.mapped(); err != nil {
		err = fmt.Errorf("memory of process %d: %w", pid, err)
	} else {
		err = p.read()
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("%s: %w", p.Path, err)
	}
	return p, nil
}

// mapped builds the process' memory from the segments of the files that it has
// mapped.
func (p *Program) mapped() error {
	maps, err := p.process.Maps()
	if err != nil {
		return err
	}
	// The name identifies the executable, even if it was replaced or deleted: the
	// kernel reports the same name in both places.
	name, err := p.process.ExeName()
	if err != nil {
		return err
	}
	var mem memory.Spliced
	seen := map[string]bool{}
	for _, m := range maps {
		// The first mapping of a file holds its first bytes.
		if m.Inode == 0 || m.Offset != 0 || m.Shared || seen[m.Path] {
			continue
		}
		seen[m.Path] = true
		var image *exe.Image
		if m.Path == name {
			image = p.file.Loaded(bias(m, p.file))
			p.image = image
		} else {
			// Open the path as the process sees it: it may be in a container.
			library, err := exe.OpenRecorded(p.process.FilePath(m))
			if err != nil {
				continue // a font, a database, a shared library that is not Go
			}
			image = library.Loaded(bias(m, library))
			library.Close() // only its segments are needed
		}
		for _, seg := range image.Segments() {
			mem.Put(seg, p.process.Memory())
		}
	}
	if p.image == nil {
		return fmt.Errorf("the executable is not among the mapped files")
	}
	p.mem = &mem
	return nil
}

// bias returns the distance by which a file was moved whose first bytes m maps.
func bias(m process.Mapping, f *exe.File) memory.Address {
	const page = 4096
	return m.Start - f.LowestAddress()&^(page-1)
}
