package linker

import (
	"fmt"
	"path/filepath"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

// OpenProcess reads the program that runs as process pid, with the plugins and
// shared libraries that it has loaded. The process is not stopped: its tables
// do not change. The caller closes it.
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

// mapped lays the process' memory out by the segments of the files that it has
// mapped.
func (p *Program) mapped() error {
	maps, err := p.process.Maps()
	if err != nil {
		return err
	}
	// The name identifies the executable, also one that was replaced or deleted:
	// the kernel has the same name in both places.
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
			// As the process sees the path, which may be in a container.
			library, err := exe.OpenRecorded(filepath.Join(fmt.Sprintf("/proc/%d/root", p.process.PID), m.Path))
			if err != nil {
				continue // a font, a database, a C library of another kind
			}
			image = library.Loaded(bias(m, library))
			library.Close() // its segments are all that is needed of it
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

// bias is by how much a file was moved whose first bytes are mapped by m.
func bias(m process.Mapping, f *exe.File) memory.Address {
	const page = 4096
	return m.Start - f.LowestAddress()&^(page-1)
}
