package collector

import (
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/target"
)

// An image is the memory that goes into a core: first a list of what is
// wanted, then, after read, its bytes, which may be overwritten until the core
// is written.
type image struct {
	wanted []target.Range
	left   uint64 // of the budget

	pieces []imagePiece // sorted, without overlaps
	torn   []target.Range
	holes  []target.Range // wanted and unreadable, sorted
}

type imagePiece struct {
	target.Range
	data []byte
}

// want asks for a range. When the budget does not hold all of it, it asks for
// the first bytes and returns how many. Ranges may overlap; what is asked for
// twice is paid for twice, which errs on the safe side.
func (im *image) want(r target.Range) (granted uint64) {
	n := min(r.Size(), im.left)
	if n == 0 {
		return 0
	}
	im.left -= n
	im.wanted = append(im.wanted, target.RangeOf(r.Start, n))
	return n
}

const (
	readAtOnce = 1 << 20 // bytes of one piece of a batch: more gains nothing
	pageSize   = 4096
)

// read reads all that is wanted. With twice it reads it again and notes what
// has changed in between: the second reading is kept, since the first may be
// from before something that the walk has seen.
func (im *image) read(mem target.Memory, twice bool, progress func(done, total uint64)) error {
	ranges := unite(im.wanted)
	var total uint64
	for _, r := range ranges {
		total += r.Size()
	}
	im.pieces = make([]imagePiece, len(ranges))
	for i, r := range ranges {
		im.pieces[i] = imagePiece{r, make([]byte, r.Size())}
	}
	var err error
	if im.holes, err = fill(mem, im.pieces, progress, total); err != nil || !twice {
		return err
	}
	again := make([]imagePiece, len(ranges))
	for i, r := range ranges {
		again[i] = imagePiece{r, make([]byte, r.Size())}
	}
	holes, err := fill(mem, again, progress, total)
	if err != nil {
		return err
	}
	for i := range again {
		im.torn = append(im.torn, changes(again[i].Range, im.pieces[i].data, again[i].data)...)
	}
	im.pieces, im.holes = again, unite(append(im.holes, holes...))
	return nil
}

// changes returns the ranges of words that differ between two readings.
func changes(r target.Range, a, b []byte) []target.Range {
	var diff []target.Range
	for off := 0; off < len(a); off += 8 {
		end := min(off+8, len(a))
		if string(a[off:end]) == string(b[off:end]) {
			continue
		}
		word := target.Range{Start: r.Start.Add(uint64(off)), End: r.Start.Add(uint64(end))}
		if n := len(diff); n > 0 && diff[n-1].End == word.Start {
			diff[n-1].End = word.End
		} else {
			diff = append(diff, word)
		}
	}
	return diff
}

// fill reads the pieces' bytes and returns what could not be read, sorted.
// Bytes of holes are marked. An error means that nothing more can be read.
func fill(mem target.Memory, pieces []imagePiece, progress func(done, total uint64), total uint64) ([]target.Range, error) {
	var holes []target.Range
	var batch []target.Piece
	var done, inBatch uint64
	flush := func() error {
		for len(batch) > 0 {
			if err := target.ReadBatch(mem, batch); err != nil {
				return fmt.Errorf("read memory: %w", err)
			}
			// Behind a page that cannot be read others may be readable.
			var rest []target.Piece
			for _, p := range batch {
				if p.N == len(p.Data) {
					continue
				}
				bad := p.Addr.Add(uint64(p.N))
				end := min(uint64(len(p.Data)), uint64(p.N)+pageSize-uint64(bad)%pageSize)
				mark(p.Data[p.N:end])
				holes = append(holes, target.Range{Start: bad, End: p.Addr.Add(end)})
				if end < uint64(len(p.Data)) {
					rest = append(rest, target.Piece{Addr: p.Addr.Add(end), Data: p.Data[end:]})
				}
			}
			batch = append(batch[:0], rest...)
		}
		done += inBatch
		inBatch = 0
		progress(done, total)
		return nil
	}
	const batchBytes = 8 << 20
	for _, p := range pieces {
		for off := 0; off < len(p.data); off += readAtOnce {
			end := min(off+readAtOnce, len(p.data))
			batch = append(batch, target.Piece{Addr: p.Start.Add(uint64(off)), Data: p.data[off:end]})
			inBatch += uint64(end - off)
			if inBatch >= batchBytes {
				if err := flush(); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return unite(holes), nil
}

// mark overwrites b with the pattern that says: not captured.
func mark(b []byte) {
	for i := range b {
		b[i] = elfcore.MarkByte
	}
}

// over calls f for the bytes of the image that lie in r, piece by piece.
func (im *image) over(r target.Range, f func(addr target.Address, data []byte)) {
	i, _ := slices.BinarySearchFunc(im.pieces, r.Start, func(p imagePiece, a target.Address) int {
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
func (im *image) erase(r target.Range) (erased uint64) {
	im.over(r, func(_ target.Address, data []byte) {
		mark(data)
		erased += uint64(len(data))
	})
	return erased
}

// held returns how many bytes of r the image holds, holes not counted.
func (im *image) held(r target.Range) (n uint64) {
	im.over(r, func(_ target.Address, data []byte) { n += uint64(len(data)) })
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
func unite(ranges []target.Range) []target.Range {
	all := make([]elfcore.Range, len(ranges))
	for i, r := range ranges {
		all[i] = elfcore.Range{Start: uint64(r.Start), End: uint64(r.End)}
	}
	merged := elfcore.Merge(all, 0)
	out := make([]target.Range, len(merged))
	for i, r := range merged {
		out[i] = target.Range{Start: target.Address(r.Start), End: target.Address(r.End)}
	}
	return out
}

// overlap returns how many bytes of r lie in the sorted ranges.
func overlap(ranges []target.Range, r target.Range) (n uint64) {
	i, _ := slices.BinarySearchFunc(ranges, r.Start, func(p target.Range, a target.Address) int {
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
