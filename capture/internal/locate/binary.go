package locate

import (
	"debug/elf"
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

// A Binary is the program's executable file, loaded.
type Binary struct {
	File  *exe.File
	Path  string            // by which the file can be opened
	Image *exe.Image        // the file at its addresses in the process
	Files []process.Mapping // of the file

	// Memory reads read-only memory from the file and the rest from the process.
	Memory *memory.Spliced
}

const pageSize = 4096

// place finds the load address of the executable: the start of its first
// mapping.
func place(file *exe.File, path, name string, maps []process.Mapping) (Binary, error) {
	b := Binary{File: file, Path: path}
	for _, m := range maps {
		if m.Path != name || m.Inode == 0 {
			continue
		}
		if len(b.Files) == 0 || m.Device == b.Files[0].Device && m.Inode == b.Files[0].Inode {
			b.Files = append(b.Files, m)
		}
	}
	if len(b.Files) == 0 {
		return b, fmt.Errorf("%w: no mapping of its executable %s", ErrNotGo, name)
	}
	base := memory.Address(0)
	if file.Type == elf.ET_DYN {
		base = b.Files[0].Start - file.LowestAddress()&^(pageSize-1)
	}
	b.Image = file.Loaded(base)
	return b, nil
}

// splice combines the process and the file into one memory. It reads read-only
// memory from the file, which costs the process nothing, and memory that the
// loader or the program may have written from the process.
func (b *Binary) splice(maps []process.Mapping, mem memory.Memory) {
	b.Memory = &memory.Spliced{}
	if core, ok := mem.(memory.Mapped); ok { // memory that a core lacks may be terabytes: do not search it
		b.Memory.PutAll(core)
	} else {
		for _, m := range maps {
			if m.Read && !strings.HasPrefix(m.Path, "[v") { // vvar, vdso, vsyscall belong to the kernel
				b.Memory.Put(memory.Segment{Range: m.Range, Write: m.Write, Exec: m.Exec}, mem)
			}
		}
	}
	for _, seg := range b.Image.Segments() {
		if !seg.Write {
			b.Memory.Put(seg, b.Image)
			continue
		}
		for _, m := range maps {
			// The loader made its relocated memory read-only.
			if r := m.Range.Intersect(seg.Range); !r.Empty() && !m.Write && m.Read {
				b.Memory.Put(memory.Segment{Range: r}, mem)
			}
		}
	}
}

// data returns the writable memory of the executable and of shared libraries,
// which are the files whose code is mapped too.
func (b *Binary) data(maps []process.Mapping) memory.Ranges {
	var data []memory.Range
	for _, seg := range b.Image.Segments() {
		if seg.Write {
			data = append(data, seg.Range)
		}
	}
	code := map[string]bool{}
	for _, m := range maps {
		code[m.Path] = code[m.Path] || m.Exec && m.Inode != 0
	}
	for _, m := range maps {
		if m.Write && !m.Shared && m.Inode != 0 && code[m.Path] {
			data = append(data, m.Range)
		}
	}
	return memory.RangesOf(data...)
}
