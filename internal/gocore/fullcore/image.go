package fullcore

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// An image is an executable in a core's memory, read as a file. It lacks the
// parts that are only in the file, sections and symbols, and has the current
// content of writable segments.
type image struct {
	*exe.File
	bias memory.Address
}

// findImage looks for the executable in the core: where the kernel reported to the
// program that its headers are, at the start of the mappings that bear its
// name, and else wherever a Go program begins.
func (c *Core) findImage() *image {
	if at := c.aux(atPhdr); at != 0 {
		if im := c.imageAt(at &^ (pageSize - 1)); im != nil {
			return im
		}
	}
	if recorded := c.recorded(); recorded != "" {
		for _, m := range c.maps {
			if m.Path == recorded || m.Path == recorded+deleted {
				if im := c.imageAt(m.Start); im != nil {
					return im
				}
				break
			}
		}
	}
	for i := range c.file.Loads {
		im := c.imageAt(memory.Address(c.file.Loads[i].Addr))
		if im == nil {
			continue
		}
		if id, _ := im.BuildIDs(); id != "" {
			return im
		}
	}
	return nil
}

// imageLike looks for an executable with the same ELF header as f.
func (c *Core) imageLike(f *exe.File) *image {
	var want, got [headerSize]byte
	if _, err := f.ReadAt(want[:], f.LowestAddress()); err != nil {
		return nil
	}
	for i := range c.file.Loads {
		at := memory.Address(c.file.Loads[i].Addr)
		if _, err := c.raw.ReadAt(got[:], at); err == nil && bytes.Equal(want[:], got[:]) {
			return c.imageAt(at)
		}
	}
	return nil
}

// Sizes and places in a 64-bit ELF header.
const (
	headerSize  = 64
	programSize = 56
	maxHeaders  = 512
)

// imageAt reads the executable whose ELF header is at base, nil if there is
// none.
func (c *Core) imageAt(base memory.Address) *image {
	le := binary.LittleEndian
	r := memory.Reader{Memory: c.raw}
	head, err := r.Bytes(base, headerSize, headerSize)
	if err != nil || string(head[:4]) != elf.ELFMAG {
		return nil
	}
	at, count := le.Uint64(head[32:]), uint64(le.Uint16(head[56:]))
	if count == 0 || count > maxHeaders || at > pageSize {
		return nil
	}
	if head, err = r.Bytes(base, at+count*programSize, pageSize+maxHeaders*programSize); err != nil {
		return nil
	}
	// These parts of the file are not in memory.
	clear(head[40:48]) // e_shoff
	clear(head[60:64]) // e_shnum, e_shstrndx
	v := &view{mem: c.raw, head: head}
	table := head[at:]
	var first *viewPart
	for ; len(table) >= programSize; table = table[programSize:] {
		p := viewPart{offset: le.Uint64(table[8:]), addr: memory.Address(le.Uint64(table[16:])), size: le.Uint64(table[32:])}
		switch elf.ProgType(le.Uint32(table)) {
		case elf.PT_LOAD:
		case elf.PT_DYNAMIC: // it has been relocated, and so has all that it is about
			le.PutUint32(table, uint32(elf.PT_NULL))
			continue
		default:
			continue
		}
		if p.offset+p.size < p.offset || p.offset+p.size > 1<<46 {
			return nil
		}
		v.parts = append(v.parts, p)
		v.size = max(v.size, int64(p.offset+p.size))
		if first == nil || p.addr < first.addr {
			first = &p
		}
	}
	if first == nil {
		return nil
	}
	if elf.Type(le.Uint16(head[16:])) == elf.ET_DYN {
		v.bias = base - first.addr&^(pageSize-1)
	}
	f, err := exe.New(v, v.size)
	if err != nil || f.LowestAddress()&^(pageSize-1)+v.bias != base {
		return nil
	}
	return &image{f, v.bias}
}

// whole reports whether mem has all read-only memory of the image.
func (im *image) whole(mem *memory.Spliced) bool {
	there := mem.Segments()
	for _, seg := range im.Loaded(im.bias).Segments() {
		if seg.Write {
			continue
		}
		if !covered(seg.Filled(), there) {
			return false
		}
	}
	return true
}

// A view is memory as the file that it was loaded from.
type view struct {
	mem   memory.Memory
	head  []byte // instead of the first bytes
	parts []viewPart
	size  int64
	bias  memory.Address
}

type viewPart struct {
	offset, size uint64
	addr         memory.Address
}

// ReadAt implements io.ReaderAt. Bytes outside all segments are zero and
// unused. It ends at missing memory.
func (v *view) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		here := uint64(off) + uint64(done)
		if here >= uint64(v.size) {
			return done, io.EOF
		}
		if here < uint64(len(v.head)) {
			done += copy(p[done:], v.head[here:])
			continue
		}
		end := uint64(v.size)
		var part *viewPart
		for i := range v.parts {
			q := &v.parts[i]
			switch {
			case q.offset <= here && here < q.offset+q.size:
				part = q
			case q.offset > here:
				end = min(end, q.offset)
			}
		}
		if part == nil {
			n := min(uint64(len(p)-done), end-here)
			clear(p[done : done+int(n)])
			done += int(n)
			continue
		}
		n := min(uint64(len(p)-done), part.offset+part.size-here)
		got, err := v.mem.ReadAt(p[done:done+int(n)], (part.addr + v.bias).Add(here-part.offset))
		done += got
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
