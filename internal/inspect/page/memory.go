package page

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A segment is a range of the address space that the core describes.
type segment struct {
	Start    string   `json:"start"`
	Size     uint64   `json:"size"`
	Captured uint64   `json:"captured"` // bytes
	Torn     uint64   `json:"torn,omitempty"`
	Writable bool     `json:"w,omitempty"`
	Regions  []string `json:"regions,omitempty"` // that begin in it
}

// memoryOf returns the segments of a core in the order of addresses.
func memoryOf(c *inspect.Core) []segment {
	loads := slices.Clone(c.Loads)
	slices.SortFunc(loads, func(a, b elfcore.Load) int { return cmp.Compare(a.Addr, b.Addr) })
	var marked []memory.Range
	for _, m := range c.Marked {
		marked = append(marked, memory.RangeOf(memory.Address(m.Addr), m.Size))
	}
	regions := slices.DeleteFunc(slices.Clone(c.Regions), func(r note.Region) bool { return !value.OfProgram(&r) })
	slices.SortStableFunc(regions, func(a, b note.Region) int { return cmp.Compare(a.Addr, b.Addr) })
	holes := memory.RangesOf(marked...)
	out := []segment{}
	for i := range loads {
		l := &loads[i]
		r := memory.RangeOf(memory.Address(l.Addr), l.MemSize)
		s := segment{Start: "0x" + strconv.FormatUint(l.Addr, 16), Size: l.MemSize, Torn: c.Torn.OverlapSize(r), Writable: l.Flags&elfcore.FlagWrite != 0}
		if !l.Marked() {
			held := memory.RangeOf(memory.Address(l.Addr), c.Present(l))
			s.Captured = held.Size() - min(held.Size(), holes.OverlapSize(held))
		}
		for ; len(regions) > 0 && regions[0].Addr < l.Addr+l.MemSize; regions = regions[1:] {
			if r.Contains(memory.Address(regions[0].Addr)) {
				s.Regions = append(s.Regions, value.Label(&regions[0], c.MainPath()))
			}
		}
		out = append(out, s)
	}
	return out
}
