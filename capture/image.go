package capture

import (
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// An image is the memory that goes into a core: first a list of what is
// wanted, then, after read, its bytes, which may be overwritten until the core
// is written.
type image struct {
	wanted []memory.Range
	left   uint64 // of the budget

	pieces []imagePiece // sorted, without overlaps
	torn   memory.Ranges
	holes  memory.Ranges  // wanted and unreadable, sorted
	gaps   []memory.Range // filled with marks between pieces, known when there are segments

	dropped uint64 // bytes of constants that would have taken too many segments
}

type imagePiece struct {
	memory.Range
	data []byte
}

// want asks for a range. When the budget does not hold all of it, it asks for
// the first bytes and returns how many. Ranges may overlap; what is asked for
// twice is paid for twice, which errs on the safe side.
func (im *image) want(r memory.Range) (granted uint64) {
	n := min(r.Size(), im.left)
	if n == 0 {
		return 0
	}
	im.left -= n
	im.wanted = append(im.wanted, memory.RangeOf(r.Start, n))
	return n
}

const pageSize = 4096

// read reads all that is wanted. With twice it reads it again and notes what
// has changed in between: the second reading is kept, since the first may be
// from before something that the walk has seen.
//
// The bytes are from arena as far as it goes.
func (im *image) read(mem memory.Memory, twice bool, arena *memory.Arena, progress func(done, total uint64)) error {
	ranges := memory.RangesOf(im.wanted...)
	total := ranges.Size()
	first, holes, err := gather(mem, ranges, arena, func(done uint64) { progress(done, total) })
	if err != nil {
		return err
	}
	im.pieces, im.holes = first, holes
	if !twice {
		return nil
	}
	again, holes, err := gather(mem, ranges, arena, func(done uint64) { progress(done, total) })
	if err != nil {
		return err
	}
	for i := range again {
		im.torn = append(im.torn, changes(again[i].Range, first[i].data, again[i].data)...)
	}
	im.pieces, im.holes = again, im.holes.Union(holes)
	return nil
}

// gather reads the ranges. Bytes that cannot be read are marked.
func gather(mem memory.Memory, ranges []memory.Range, arena *memory.Arena, progress func(done uint64)) ([]imagePiece, memory.Ranges, error) {
	// Memory of neighbours up to a page apart is read with what stands between,
	// which no one sees: the page has to be looked up for either.
	data, holes, err := memory.Gather(mem, ranges, pageSize, arena, progress)
	if err != nil {
		return nil, nil, fmt.Errorf("read memory: %w", err)
	}
	im := &image{pieces: make([]imagePiece, len(ranges))}
	for i, r := range ranges {
		im.pieces[i] = imagePiece{r, data[i]}
	}
	for _, h := range holes {
		im.erase(h)
	}
	return im.pieces, memory.RangesOf(holes...), nil
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

// mark overwrites b with the pattern that says: not captured.
func mark(b []byte) {
	for i := range b {
		b[i] = elfcore.MarkByte
	}
}

// over calls f for the bytes of the image that lie in r, piece by piece.
func (im *image) over(r memory.Range, f func(addr memory.Address, data []byte)) {
	i, _ := slices.BinarySearchFunc(im.pieces, r.Start, imagePiece.CompareEnd)
	for ; i < len(im.pieces) && im.pieces[i].Start < r.End; i++ {
		p := &im.pieces[i]
		if both := p.Intersect(r); !both.Empty() {
			f(both.Start, p.data[both.Start-p.Start:both.End-p.Start])
		}
	}
}

// erase marks the bytes of r wherever the image holds them and returns how
// many those were.
func (im *image) erase(r memory.Range) (erased uint64) {
	im.over(r, func(_ memory.Address, data []byte) {
		mark(data)
		erased += uint64(len(data))
	})
	return erased
}

// held returns how many bytes of r the image holds, holes not counted.
func (im *image) held(r memory.Range) (n uint64) {
	im.over(r, func(_ memory.Address, data []byte) { n += uint64(len(data)) })
	return n - im.holes.OverlapSize(r)
}

// payload is the number of bytes that the image holds.
func (im *image) payload() (n uint64) {
	for _, p := range im.pieces {
		n += p.Size()
	}
	return n - im.holes.Size()
}
