package fullcore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// ErrCut is why memory cannot be read that a core that was cut short held.
var ErrCut = errors.New("the core file ends before it")

// ErrLeftOut is why memory cannot be read that the core does not hold.
var ErrLeftOut = errors.New("not in the core")

// contents is what a core file holds of memory.
type contents struct{ file *elfcore.File }

// ReadAt is memory.Memory's.
func (m contents) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := m.file.ReadMemory(uint64(addr), p)
	if err != nil {
		err = memory.Unreadable(addr.Add(uint64(n)), err)
	}
	return n, err
}

// memory is a core's, which knows why it lacks what it lacks.
type coreMemory struct{ c *Core }

// Segments is memory.Mapped's: what can be read.
func (m coreMemory) Segments() []memory.Segment { return m.c.mem.Segments() }

// ReadAt is memory.Memory's.
func (m coreMemory) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := m.c.mem.ReadAt(p, addr)
	if bad := addr.Add(uint64(n)); err != nil && errors.Is(err, memory.ErrNotMapped) && m.c.Lacks(memory.RangeOf(bad, 1)) {
		why := ErrLeftOut
		if m.c.file.Find(uint64(bad)) != nil {
			why = ErrCut
		}
		return n, memory.Unreadable(bad, why)
	}
	return n, err
}

// Clock is 0: a full core does not have the time.
func (c *Core) Clock() int64 { return 0 }

// Descriptor returns "": a core has no descriptors.
func (c *Core) Descriptor(int) string { return "" }

// File returns "": a core has no files.
func (c *Core) File(int, string) string { return "" }

// SharesFiles returns true: a core has no descriptors of either.
func (c *Core) SharesFiles(int) bool { return true }

// Child returns what the program itself knows of a child: its number.
func (c *Core) Child(pid int) string { return fmt.Sprintf("process:[%d ]", pid) }

// Names returns nil: a core has no sockets and mounts.
func (c *Core) Names() *process.Names { return nil }

// Lacks reports whether the program had memory in r that is not in Memory: the
// core was cut short before it, leaves it out, or cannot be read there.
func (c *Core) Lacks(r memory.Range) bool {
	at, _ := slices.BinarySearchFunc(c.maps, r.Start, process.Mapping.CompareEnd)
	buf := make([]byte, min(r.Size(), 1<<20))
	for ; at < len(c.maps) && c.maps[at].Start < r.End; at++ {
		if !c.maps[at].Read {
			continue
		}
		had := c.maps[at].Intersect(r)
		for !had.Empty() {
			part := buf[:min(uint64(len(buf)), had.Size())]
			if n, _ := c.mem.ReadAt(part, had.Start); n < len(part) {
				return true
			}
			had.Start = had.Start.Add(uint64(len(part)))
		}
	}
	return false
}

// covered reports whether every byte of r is in one of the segments, which are
// sorted.
func covered(r memory.Range, segments []memory.Segment) bool {
	i, _ := slices.BinarySearchFunc(segments, r.Start, memory.Segment.CompareEnd)
	for ; i < len(segments) && segments[i].Start <= r.Start && !r.Empty(); i++ {
		r.Start = segments[i].End
	}
	return r.Empty()
}

// held returns the memory that the file really has bytes of.
func held(file *elfcore.File) *memory.Spliced {
	loads := slices.Clone(file.Loads)
	slices.SortStableFunc(loads, func(a, b elfcore.Load) int { return cmp.Compare(a.Addr, b.Addr) })
	mem := &memory.Spliced{}
	for i := range loads {
		l := &loads[i]
		seg := memory.Segment{
			Range: memory.RangeOf(memory.Address(l.Addr), file.Present(l)),
			Write: l.Flags&elfcore.FlagWrite != 0, Exec: l.Flags&elfcore.FlagExec != 0,
		}
		mem.Put(seg, contents{file})
	}
	return mem
}

// mappings makes a process' list of mappings of what the core has of each: the
// segments, and the files that the kernel or gdb name. Of mappings that are
// clean copies of a file some cores have no segment at all: these are unheld.
func mappings(file *elfcore.File, files []elfcore.Mapping) (all []process.Mapping, unheld map[memory.Address]bool) {
	inodes := map[string]uint64{}
	var named []process.Mapping
	for _, f := range files {
		if f.End <= f.Start {
			continue
		}
		if inodes[f.Path] == 0 {
			inodes[f.Path] = uint64(len(inodes) + 1)
		}
		named = append(named, process.Mapping{
			Range: memory.Range{Start: memory.Address(f.Start), End: memory.Address(f.End)},
			// The omitted part is code or constants, which are never written.
			Read: true, Exec: true, Offset: f.Offset, Inode: inodes[f.Path], Path: f.Path,
		})
	}
	slices.SortStableFunc(named, func(a, b process.Mapping) int { return a.Start.Compare(b.Start) })
	unheld = map[memory.Address]bool{}
	seen := make([]bool, len(named))
	for i := range file.Loads {
		l := &file.Loads[i]
		m := process.Mapping{
			Range: memory.RangeOf(memory.Address(l.Addr), l.MemSize),
			Read:  l.Flags&elfcore.FlagRead != 0 || l.FileSize > 0,
			Write: l.Flags&elfcore.FlagWrite != 0, Exec: l.Flags&elfcore.FlagExec != 0,
		}
		if m.Empty() {
			continue
		}
		at, _ := slices.BinarySearchFunc(named, m.Start, process.Mapping.CompareEnd)
		if at < len(named) && named[at].ContainsRange(m.Range) {
			n := &named[at]
			m.Path, m.Inode, m.Offset = n.Path, n.Inode, n.Offset+uint64(m.Start-n.Start)
		}
		for ; at < len(named) && named[at].Overlaps(m.Range); at++ {
			seen[at] = true
		}
		all = append(all, m)
	}
	for i, n := range named {
		if !seen[i] {
			all = append(all, n)
			unheld[n.Start] = true
		}
	}
	slices.SortStableFunc(all, func(a, b process.Mapping) int { return a.Start.Compare(b.Start) })
	return all, unheld
}
