package read

import (
	"fmt"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
)

const pageSize = 4096

// copyImage reads the ranges. With twice it reads them again and notes what has
// changed in between: the second reading is kept, since the first may be from
// before something that the walk has seen.
//
// The bytes are from arena as far as it goes.
func copyImage(mem memory.Memory, wanted []memory.Range, twice bool, arena *memory.Arena, progress Progress) (model.Image, error) {
	ranges := memory.RangesOf(wanted...)
	total := ranges.Size()
	report := func(done uint64) { progress("read", done, total) }
	first, err := gather(mem, ranges, arena, report)
	if err != nil || !twice {
		return first, err
	}
	again, err := gather(mem, ranges, arena, report)
	if err != nil {
		return again, err
	}
	for i := range again.Pieces {
		again.Torn = append(again.Torn, changes(again.Pieces[i].Range, first.Pieces[i].Data, again.Pieces[i].Data)...)
	}
	again.Holes = first.Holes.Union(again.Holes)
	return again, nil
}

// gather reads the ranges once. Bytes that cannot be read have the fill pattern.
func gather(mem memory.Memory, ranges memory.Ranges, arena *memory.Arena, progress func(done uint64)) (model.Image, error) {
	// Memory of neighbours up to a page apart is read with what is between, which
	// no one sees: the page has to be looked up for either.
	data, holes, err := memory.Gather(mem, ranges, pageSize, arena, progress)
	if err != nil {
		return model.Image{}, fmt.Errorf("read memory: %w", err)
	}
	im := model.Image{Pieces: make([]model.Piece, len(ranges)), Holes: memory.RangesOf(holes...)}
	for i, r := range ranges {
		im.Pieces[i] = model.Piece{Range: r, Data: data[i]}
	}
	for _, h := range im.Holes {
		im.Fill(h)
	}
	return im, nil
}

// changes returns the ranges of words that differ between two readings.
func changes(r memory.Range, a, b []byte) []memory.Range {
	var diff []memory.Range
	for off := 0; off < len(a); off += 8 {
		end := min(off+8, len(a))
		if string(a[off:end]) == string(b[off:end]) {
			continue
		}
		word := memory.Range{Start: r.Start.Add(uint64(off)), End: r.Start.Add(uint64(end))}
		if n := len(diff); n > 0 && diff[n-1].End == word.Start {
			diff[n-1].End = word.End
		} else {
			diff = append(diff, word)
		}
	}
	return diff
}
