package collector

import (
	"cmp"
	"slices"

	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/target"
)

// marked lists what stands as marks in the segments and is not the program's
// memory, with the reason: a reader can then tell it from memory that happens
// to hold the same bytes.
func (t *taking) marked() []note.MarkedRange {
	var out []note.MarkedRange
	add := func(rs []target.Range, why note.MarkReason) {
		for _, r := range rs {
			out = append(out, note.MarkedRange{Addr: uint64(r.Start), Size: r.Size(), Why: why})
		}
	}
	for _, gap := range t.image.gaps {
		why := note.MarkedGap
		if overlap(t.image.holes, gap) > 0 {
			why = note.MarkedHole
		}
		add([]target.Range{gap}, why)
	}
	if t.walked != nil && t.walked.Erasure.Active {
		for _, p := range t.image.readable() {
			excluded, unknown := t.walked.Erasure.Excluded(p.Range)
			add(excluded, note.MarkedExcluded)
			add(unknown.Minus(excluded), note.MarkedUnknown)
		}
	}
	slices.SortFunc(out, func(a, b note.MarkedRange) int { return cmp.Compare(a.Addr, b.Addr) })
	return out
}
