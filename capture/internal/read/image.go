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
	moving   bool          // the program changes the memory
	found    *walk.Result  // result of the walk, whose memory is copied too; or nil
	arena    *memory.Arena // for the bytes, as far as it goes
	records  records       // read already
	progress Progress
}

// copy reads the ranges and the memory that the walk has captured. It returns a
// function that makes the image, which takes time but needs no process.
func (c *copier) copy(wanted memory.Ranges) (func() model.Image, error) {
	if c.moving {
		image, err := c.copyTwice(wanted)
		return func() model.Image { return image }, err
	}
	done, total := uint64(0), wanted.Size()
	if c.found != nil {
		total += c.found.Size()
	}
	report := func(n uint64) { c.progress("read", done+n, total) }
	if c.found != nil {
		if err := c.found.ReadRest(report); err != nil {
			return nil, fmt.Errorf("read memory: %w", err)
		}
		done = c.found.Size()
	}
	image, err := gather(c.mem, wanted, c.arena, report)
	return func() model.Image { return c.joined(image()) }, err
}

// joined returns an image with the records of goroutines and the memory that the walk has
// captured. Bytes in several of them are the same.
func (c *copier) joined(rest model.Image) model.Image {
	if n := len(c.records.ranges); n > 0 {
		rest.Pieces = model.Join(c.records.pieces(), n, rest.Pieces)
	}
	if c.found == nil {
		return rest
	}
	captured := func(yield func(model.Piece) bool) {
		for addr, data := range c.found.Bytes() {
			if !yield(model.Piece{Range: memory.RangeOf(addr, uint64(len(data))), Data: data}) {
				return
			}
		}
	}
	im := model.Image{
		Pieces: model.Join(captured, c.found.Count(), rest.Pieces),
		Holes:  c.found.Holes().Union(rest.Holes),
	}
	for _, h := range im.Holes {
		im.Fill(h)
	}
	return im
}

// copyTwice reads moving memory twice, and records what has changed in between.
// For values that were followed it keeps what the walk has read, so that
// everything they lead to is in the image; for other memory it keeps the second
// reading.
func (c *copier) copyTwice(wanted memory.Ranges) (model.Image, error) {
	ranges := wanted
	if c.found != nil {
		ranges = wanted.Union(c.found.Captured())
	}
	total := ranges.Size()
	report := func(done uint64) { c.progress("read", done, total) }
	makeFirst, err := gather(c.mem, ranges, c.arena, report)
	if err != nil {
		return model.Image{}, err
	}
	makeAgain, err := gather(c.mem, ranges, c.arena, report)
	if err != nil {
		return model.Image{}, err
	}
	first, again := makeFirst(), makeAgain()
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
	if c.found == nil {
		return nil
	}
	var pieces []model.Piece
	for _, r := range c.found.Captured() {
		for at := r.Start; at < r.End; {
			// Page by page: the walk reads only some pages of large values.
			end := min(r.End, at&^(pageSize-1)+pageSize)
			data := make([]byte, end-at)
			if n, _ := c.found.Seen.ReadAt(data, at); n > 0 {
				pieces = append(pieces, model.Piece{Range: memory.RangeOf(at, uint64(n)), Data: data[:n]})
			}
			at = end
		}
	}
	return pieces
}

// gather reads the ranges once. It returns a function that makes the image of them, with
// the fill pattern for unreadable bytes.
func gather(mem memory.Memory, ranges memory.Ranges, arena *memory.Arena, progress func(done uint64)) (func() model.Image, error) {
	// Ranges up to a page apart are read together with the gap, which is
	// discarded: the page has to be looked up anyway.
	data, holes, err := memory.Gather(mem, ranges, pageSize, arena, progress)
	if err != nil {
		return nil, fmt.Errorf("read memory: %w", err)
	}
	return func() model.Image {
		im := model.Image{Pieces: make([]model.Piece, len(ranges)), Holes: memory.RangesOf(holes...)}
		for i, r := range ranges {
			im.Pieces[i] = model.Piece{Range: r, Data: data[i]}
		}
		for _, h := range im.Holes {
			im.Fill(h)
		}
		return im
	}, nil
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
