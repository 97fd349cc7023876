package capture

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// segments returns the image as a core's segments, by address, and marked ones
// over every byte of cover that it does not hold.
//
// A debugger's time grows with the number of segments, so neighbours are
// joined, those with the smallest gaps first, until there are no more than
// limit. A gap is filled with the mark, never with the memory that stands
// there: nobody asked for it. Gaps in constant memory stay open, since debuggers
// read that from the file that it was mapped from, and rightly.
func (im *image) segments(cover, constant memory.Ranges, flags func(memory.Address) uint32, limit int) ([]elfcore.Segment, error) {
	pieces := im.readable()
	runs := join(pieces, cover, constant, limit)
	marked := uncovered(cover, runs)
	if len(runs)+len(marked) > mostSegments && limit < mostSegments {
		// Whoever has the file has the constants.
		im.drop(constant)
		pieces = im.readable()
		runs = join(pieces, cover, constant, limit)
		marked = uncovered(cover, runs)
	}
	im.gaps = nil
	for _, run := range runs {
		for i := 1; i < len(run.pieces); i++ {
			im.gaps = append(im.gaps, memory.Range{Start: run.pieces[i-1].End, End: run.pieces[i].Start})
		}
	}
	var out []elfcore.Segment
	for _, run := range runs {
		out = append(out, elfcore.Segment{
			Addr:    uint64(run.Start),
			Size:    run.Size(),
			Flags:   flags(run.Start),
			Content: run.content,
		})
	}
	for _, r := range marked {
		out = append(out, elfcore.Segment{Addr: uint64(r.Start), Size: r.Size(), Flags: elfcore.FlagRead | elfcore.FlagWrite})
	}
	if len(out) > mostSegments {
		return nil, fmt.Errorf("join segments: %d are left, of at most %d", len(out), mostSegments)
	}
	slices.SortFunc(out, func(a, b elfcore.Segment) int {
		return memory.Address(a.Addr).Compare(memory.Address(b.Addr))
	})
	return out, nil
}

// drop forgets the pieces that touch constant memory.
func (im *image) drop(constant memory.Ranges) {
	im.pieces = slices.DeleteFunc(im.pieces, func(p imagePiece) bool {
		gone := constant.OverlapSize(p.Range) > 0
		if gone {
			im.dropped += p.Size() - im.holes.OverlapSize(p.Range)
		}
		return gone
	})
	im.holes = im.holes.Minus(constant)
}

// mostSegments leaves room for the pieces into which the core's writer cuts
// marked segments, a thousand at most.
const mostSegments = elfcore.MaxSegments - 2000

// readable returns the pieces without their holes. A hole outside the covered
// memory is then in no segment, and debuggers say that they cannot read it.
func (im *image) readable() []imagePiece {
	if len(im.holes) == 0 {
		return im.pieces
	}
	var out []imagePiece
	for _, p := range im.pieces {
		at := p.Start
		for _, h := range im.holes {
			h = h.Intersect(p.Range)
			if h.Empty() {
				continue
			}
			if at < h.Start {
				out = append(out, imagePiece{memory.Range{Start: at, End: h.Start}, p.data[at-p.Start : h.Start-p.Start]})
			}
			at = h.End
		}
		if at < p.End {
			out = append(out, imagePiece{memory.Range{Start: at, End: p.End}, p.data[at-p.Start:]})
		}
	}
	return out
}

// A run is pieces with small gaps between them.
type run struct {
	memory.Range
	pieces []imagePiece
}

// smallGap is always filled: a program header, or two of them where a marked
// segment would stand between, takes as many bytes.
const smallGap = 64

// mostMarks is how many bytes of marks fewer segments may cost: small objects
// that are far apart are better off with a segment each.
func mostMarks(pieces []imagePiece) uint64 {
	n := uint64(1 << 20)
	for _, p := range pieces {
		n += 4 * p.Size()
	}
	return n
}

// join makes runs of pieces: of those with small gaps between them, then of
// those with the smallest gaps, until there are limit segments or the marks
// would be too many. A run does not reach over the border of a covered range, where
// another mapping begins, nor over constant memory.
func join(pieces []imagePiece, cover, constant memory.Ranges, limit int) []run {
	type gap struct {
		behind int // index of the piece behind it
		size   uint64
		worth  int // segments that filling it saves
	}
	borders := bordersOf(cover)
	filled := make([]bool, len(pieces)) // the gap before the piece
	var gaps []gap
	segments := len(pieces)
	for i := 1; i < len(pieces); i++ {
		from, to := pieces[i-1].End, pieces[i].Start
		g := gap{i, uint64(to - from), 1}
		if cover.OverlapSize(memory.Range{Start: from, End: to}) > 0 {
			g.worth = 2
			segments++
		}
		switch {
		case crosses(borders, from, to), constant.OverlapSize(memory.Range{Start: from, End: to}) > 0:
			// A covered range that begins or ends here, or what a file says better.
		case g.size <= smallGap:
			filled[i] = true
			segments -= g.worth
		default:
			gaps = append(gaps, g)
		}
	}
	slices.SortStableFunc(gaps, func(a, b gap) int { return cmp.Compare(a.size, b.size) })
	marks, most := uint64(0), mostMarks(pieces)
	for _, g := range gaps {
		if segments <= limit || segments <= mostSegments && marks+g.size > most {
			break
		}
		filled[g.behind] = true
		segments -= g.worth
		marks += g.size
	}
	var runs []run
	first := 0
	for i, p := range pieces {
		if i > 0 && filled[i] {
			last := &runs[len(runs)-1]
			last.End, last.pieces = p.End, pieces[first:i+1]
			continue
		}
		first = i
		runs = append(runs, run{p.Range, pieces[i : i+1]})
	}
	return runs
}

func bordersOf(cover memory.Ranges) []memory.Address {
	borders := make([]memory.Address, 0, 2*len(cover))
	for _, r := range cover {
		borders = append(borders, r.Start, r.End)
	}
	return borders
}

// crosses reports whether a border lies between from and to.
func crosses(borders []memory.Address, from, to memory.Address) bool {
	i, exact := slices.BinarySearch(borders, from)
	if exact {
		return to > from
	}
	return i < len(borders) && borders[i] <= to
}

// filler stands in gaps.
var filler = func() (b [4096]byte) { mark(b[:]); return }()

// content writes the run's pieces and marks between them.
func (r run) content(w io.Writer) error {
	at := r.Start
	for _, p := range r.pieces {
		for at < p.Start {
			n := min(uint64(p.Start-at), uint64(len(filler)))
			if _, err := w.Write(filler[:n]); err != nil {
				return err
			}
			at = at.Add(n)
		}
		if _, err := w.Write(p.data); err != nil {
			return err
		}
		at = p.End
	}
	return nil
}

// uncovered returns what of cover no run holds.
func uncovered(cover memory.Ranges, runs []run) memory.Ranges {
	held := make([]memory.Range, len(runs))
	for i := range runs {
		held[i] = runs[i].Range
	}
	return cover.Minus(memory.RangesOf(held...))
}
