package model

import (
	"iter"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// An Image is memory of a program at one moment.
type Image struct {
	Pieces []Piece       // sorted by address, without overlaps
	Holes  memory.Ranges // unreadable parts of Pieces, which contain the fill pattern there
	Torn   memory.Ranges // parts of Pieces that changed while they were read
}

// A Piece is a range of memory with its bytes.
type Piece struct {
	memory.Range
	Data []byte
}

// Each calls f for the image's bytes in r, piece by piece.
func (im *Image) Each(r memory.Range, f func(addr memory.Address, data []byte)) {
	i, _ := slices.BinarySearchFunc(im.Pieces, r.Start, Piece.CompareEnd)
	for ; i < len(im.Pieces) && im.Pieces[i].Start < r.End; i++ {
		p := &im.Pieces[i]
		if both := p.Intersect(r); !both.Empty() {
			f(both.Start, p.Data[both.Start-p.Start:both.End-p.Start])
		}
	}
}

// Fill overwrites the image's bytes in r with the fill pattern.
func (im *Image) Fill(r memory.Range) {
	im.Each(r, func(_ memory.Address, data []byte) { elfcore.FillMarks(data) })
}

// Put replaces the image's bytes by those of a piece. They are no longer holes.
func (im *Image) Put(p Piece) {
	im.Each(p.Range, func(addr memory.Address, data []byte) {
		copy(data, p.Data[addr.Sub(p.Start):])
	})
	if im.Holes.OverlapSize(p.Range) > 0 {
		im.Holes = im.Holes.Minus(memory.Ranges{p.Range})
	}
}

// Join returns the image of the first pieces and the parts of second that are
// in none of them. Both are sorted by address and without overlaps. n is the
// approximate number of first pieces.
func Join(first iter.Seq[Piece], n int, second []Piece) []Piece {
	all := make([]Piece, 0, n+len(second))
	addBefore := func(end memory.Address) {
		for len(second) > 0 && second[0].Start < end {
			p := &second[0]
			start := p.Start
			if n := len(all); n > 0 {
				start = max(start, all[n-1].End)
			}
			if stop := min(p.End, end); start < stop {
				all = append(all, p.from(start, stop))
			}
			if p.End > end {
				return
			}
			second = second[1:]
		}
	}
	for p := range first {
		addBefore(p.Start)
		all = append(all, p)
	}
	addBefore(^memory.Address(0))
	return all
}

// from returns the part of a piece from start to end.
func (p *Piece) from(start, end memory.Address) Piece {
	return Piece{memory.Range{Start: start, End: end}, p.Data[start-p.Start : end-p.Start : end-p.Start]}
}

// Readable returns the pieces without the holes.
func (im *Image) Readable() []Piece {
	if len(im.Holes) == 0 {
		return im.Pieces
	}
	var out []Piece
	for _, p := range im.Pieces {
		at := p.Start
		for _, h := range im.Holes {
			h = h.Intersect(p.Range)
			if h.Empty() {
				continue
			}
			if at < h.Start {
				out = append(out, Piece{memory.Range{Start: at, End: h.Start}, p.Data[at-p.Start : h.Start-p.Start]})
			}
			at = h.End
		}
		if at < p.End {
			out = append(out, Piece{memory.Range{Start: at, End: p.End}, p.Data[at-p.Start:]})
		}
	}
	return out
}

// Size returns the number of bytes in the image, except holes.
func (im *Image) Size() (n uint64) {
	for i := range im.Pieces {
		n += im.Pieces[i].Size()
	}
	return n - im.Holes.Size()
}

// SizeIn returns the number of the image's bytes in r, except holes.
func (im *Image) SizeIn(r memory.Range) (n uint64) {
	im.Each(r, func(_ memory.Address, data []byte) { n += uint64(len(data)) })
	return n - im.Holes.OverlapSize(r)
}

// ReadAt reads the image's bytes, and zeros elsewhere. It makes an Image a
// [memory.Memory] for readers that call [Image.Has] first.
func (im *Image) ReadAt(p []byte, addr memory.Address) (int, error) {
	clear(p)
	im.Each(memory.RangeOf(addr, uint64(len(p))), func(at memory.Address, data []byte) {
		copy(p[at.Sub(addr):], data)
	})
	return len(p), nil
}

// Has returns the memory in the image, including holes.
func (im *Image) Has() memory.Ranges {
	has := make(memory.Ranges, 0, len(im.Pieces))
	for i := range im.Pieces {
		has = has.Append(im.Pieces[i].Range)
	}
	return has
}
