package exe

import (
	"debug/elf"
	"errors"
	"io"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
)

var (
	_ memory.Mapped = (*File)(nil)
	_ memory.Mapped = (*Image)(nil)
)

// An Image is a File at its addresses in a process.
type Image struct {
	File *File
	Bias memory.Address // added to the file's addresses; wraps like the loader's
}

// Loaded returns the file with its addresses moved by bias.
func (f *File) Loaded(bias memory.Address) *Image { return &Image{f, bias} }

// ReadAt implements memory.Memory.
func (f *File) ReadAt(p []byte, addr memory.Address) (int, error) {
	return f.readAt(p, addr, 0)
}

// Segments implements memory.Mapped.
func (f *File) Segments() []memory.Segment { return f.Loaded(0).Segments() }

// ReadAt implements memory.Memory.
func (im *Image) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := im.File.readAt(p, addr-im.Bias, im.Bias)
	var bad *memory.UnreadableError
	if im.Bias != 0 && errors.As(err, &bad) {
		err = memory.Unreadable(addr.Add(uint64(n)), bad.Err)
	}
	return n, err
}

// Segments implements memory.Mapped.
func (im *Image) Segments() []memory.Segment {
	segs := make([]memory.Segment, 0, len(im.File.loads))
	for _, p := range im.File.loads {
		segs = append(segs, memory.Segment{
			Range: memory.RangeOf(p.addr+im.Bias, p.memsz),
			Write: p.flags&elf.PF_W != 0,
			Exec:  p.flags&elf.PF_X != 0,
			Zeros: p.memsz - p.filesz,
		})
	}
	slices.SortFunc(segs, func(a, b memory.Segment) int { return a.Start.Compare(b.Start) })
	return segs
}

// readAt reads from addr, an address of the file. It moves the pointers that it
// reads by bias.
func (f *File) readAt(p []byte, addr, bias memory.Address) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	done := 0
	at, _ := slices.BinarySearchFunc(f.loads, addr, func(l program, a memory.Address) int {
		if l.memory().End <= a {
			return -1
		}
		return 1
	})
	var err error
	for done < len(p) && err == nil {
		here := addr.Add(uint64(done))
		if at == len(f.loads) || !f.loads[at].memory().Contains(here) {
			err = memory.Unreadable(here, memory.ErrNotMapped)
			break
		}
		var n int
		n, err = f.readSegment(p[done:], here, f.loads[at])
		done += n
		at++
	}
	if rerr := f.relocate(p[:done], addr, bias); rerr != nil {
		// The loader's value for these bytes is unknown.
		return 0, memory.Unreadable(addr, rerr)
	}
	return done, err
}

// readSegment reads the bytes of p that are in seg, without relocations.
func (f *File) readSegment(p []byte, addr memory.Address, seg program) (int, error) {
	off := uint64(addr - seg.addr)
	p = p[:min(uint64(len(p)), seg.memsz-off)]
	done := 0
	if off < seg.filesz {
		inFile := p[:min(uint64(len(p)), seg.filesz-off)]
		n, err := f.cache.ReadAt(inFile, int64(seg.offset+off))
		if n < len(inFile) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // shorter than when it was opened
			}
			return n, memory.Unreadable(addr.Add(uint64(n)), err)
		}
		done = n
	}
	clear(p[done:]) // bss
	return len(p), nil
}

// ReadOnlyAfterRelocation returns the ranges of writable segments that the
// loader makes read-only after relocating them.
func (im *Image) ReadOnlyAfterRelocation() []memory.Range {
	var all []memory.Range
	for _, p := range im.File.programs {
		if p.typ == elf.PT_GNU_RELRO {
			all = append(all, memory.RangeOf(p.addr+im.Bias, p.memsz))
		}
	}
	return all
}
