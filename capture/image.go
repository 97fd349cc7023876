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
	torn   []memory.Range
	holes  []memory.Range // wanted and unreadable, sorted
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
	ranges := unite(im.wanted)
	var total uint64
	for _, r := range ranges {
		total += r.Size()
	}
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
	im.pieces, im.holes = again, unite(append(im.holes, holes...))
	return nil
}

// gather reads the ranges. Bytes that cannot be read are marked.
func gather(mem memory.Memory, ranges []memory.Range, arena *memory.Arena, progress func(done uint64)) ([]imagePiece, []memory.Range, error) {
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
	return im.pieces, unite(holes), nil
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
	i, _ := slices.BinarySearchFunc(im.pieces, r.Start, func(p imagePiece, a memory.Address) int {
		if p.End <= a {
			return -1
		}
		return 1
	})
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
	return n - overlap(im.holes, r)
}

// payload is the number of bytes that the image holds.
func (im *image) payload() (n uint64) {
	for _, p := range im.pieces {
		n += p.Size()
	}
	for _, h := range im.holes {
		n -= h.Size()
	}
	return n
}

// unite returns the union of ranges, sorted, neighbours joined.
func unite(ranges []memory.Range) []memory.Range {
	sorted := ascending(ranges)
	out := sorted[:0]
	for _, r := range sorted {
		if n := len(out); n > 0 && r.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, r.End)
			continue
		}
		out = append(out, r)
	}
	return out
}

// ascending returns a copy without empty ranges, sorted by start: by merging the
// sorted runs that it already consists of, since what a walk found, a million
// ranges at times, comes sorted and is followed by little.
func ascending(ranges []memory.Range) []memory.Range {
	now := make([]memory.Range, 0, len(ranges))
	var ends []int // of the runs
	for _, r := range ranges {
		if r.Empty() {
			continue
		}
		if n := len(now); n > 0 && r.Start < now[n-1].Start {
			ends = append(ends, n)
		}
		now = append(now, r)
	}
	if len(now) == 0 {
		return nil
	}
	ends = append(ends, len(now))
	next := make([]memory.Range, len(now))
	for len(ends) > 1 {
		merged := ends[:0]
		from, out := 0, next[:0]
		for i := 0; i < len(ends); i += 2 {
			middle, end := ends[i], ends[min(i+1, len(ends)-1)]
			out = mergeRuns(out, now[from:middle], now[middle:end])
			merged = append(merged, len(out))
			from = end
		}
		ends = merged
		now, next = out, now
	}
	return now
}

func mergeRuns(out, a, b []memory.Range) []memory.Range {
	for len(a) > 0 && len(b) > 0 {
		if b[0].Start < a[0].Start {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}

// overlap returns how many bytes of r lie in the sorted ranges.
func overlap(ranges []memory.Range, r memory.Range) (n uint64) {
	i, _ := slices.BinarySearchFunc(ranges, r.Start, func(p memory.Range, a memory.Address) int {
		if p.End <= a {
			return -1
		}
		return 1
	})
	for ; i < len(ranges) && ranges[i].Start < r.End; i++ {
		n += ranges[i].Intersect(r).Size()
	}
	return n
}
