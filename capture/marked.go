package capture

import (
	"cmp"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// marked lists what stands as marks in the segments and is not the program's
// memory, with the reason: a reader can then tell it from memory that happens
// to hold the same bytes. What is excluded of a region is listed although nothing
// of it was taken.
func (t *taking) marked(pl *plan) []note.MarkedRange {
	var out []note.MarkedRange
	add := func(rs []memory.Range, why note.MarkReason) {
		for _, r := range rs {
			out = append(out, note.MarkedRange{Addr: uint64(r.Start), Size: r.Size(), Why: why})
		}
	}
	var excluded, unknown memory.Ranges
	if t.walked != nil && t.walked.Erasure.Active {
		for _, p := range t.image.readable() {
			known, not := t.walked.Erasure.Excluded(p.Range)
			excluded, unknown = append(excluded, known...), append(unknown, not...)
		}
		for i := range pl.regions {
			known, _ := t.walked.Erasure.Excluded(pl.regions[i].span())
			excluded = append(excluded, known...)
		}
		excluded = memory.RangesOf(excluded...)
	}
	for _, gap := range t.image.gaps {
		why := note.MarkedGap
		if t.image.holes.OverlapSize(gap) > 0 {
			why = note.MarkedHole
		}
		add(memory.Ranges{gap}.Minus(excluded), why)
	}
	add(excluded, note.MarkedExcluded)
	add(unknown.Minus(excluded), note.MarkedUnknown)
	slices.SortFunc(out, func(a, b note.MarkedRange) int { return cmp.Compare(a.Addr, b.Addr) })
	return out
}
