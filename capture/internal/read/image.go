package read

import (
	"fmt"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/walk"
)

const pageSize = 4096

// A copier copies memory.
type copier struct {
	mem      memory.Memory
	moving   bool          // the program changes it
	seen     *walk.Result  // of the walk that chose what to copy, or nil
	arena    *memory.Arena // for the bytes, as far as it goes
	progress Progress
}

// copy reads the ranges. Moving memory it reads twice, and notes what has changed
// in between. Of values that were followed it keeps what the walk has read, so
// that all they lead to is in the image; of other memory the second reading.
func (c *copier) copy(wanted []memory.Range) (model.Image, error) {
	ranges := memory.RangesOf(wanted...)
	total := ranges.Size()
	report := func(done uint64) { c.progress("read", done, total) }
	first, err := gather(c.mem, ranges, c.arena, report)
	if err != nil || !c.moving {
		return first, err
	}
	again, err := gather(c.mem, ranges, c.arena, report)
	if err != nil {
		return again, err
	}
	again.Holes = first.Holes.Union(again.Holes)
	followed := c.followed()
	for _, r := range followed {
		first.Put(r)
	}
	for i := range again.Pieces {
		again.Torn = append(again.Torn, changes(again.Pieces[i].Range, first.Pieces[i].Data, again.Pieces[i].Data)...)
	}
	for _, r := range followed {
		again.Put(r)
	}
	return again, nil
}

// followed returns the bytes that the walk has followed.
func (c *copier) followed() []model.Piece {
	if c.seen == nil {
		return nil
	}
	var pieces []model.Piece
	for _, r := range c.seen.Captured {
		for at := r.Start; at < r.End; {
			// A page at a time: of large values the walk reads some pages only.
			end := min(r.End, at&^(pageSize-1)+pageSize)
			data := make([]byte, end-at)
			if n, _ := c.seen.Seen.ReadAt(data, at); n > 0 {
				pieces = append(pieces, model.Piece{Range: memory.RangeOf(at, uint64(n)), Data: data[:n]})
			}
			at = end
		}
	}
	return pieces
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
