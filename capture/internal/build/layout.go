package build

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A layout is an image arranged as the segments of a core.
type layout struct {
	segments []elfcore.Segment // by address
	gaps     []memory.Range    // in segments, between pieces of memory: filled with the fill pattern
	image    model.Image       // the memory in the segments
	dropped  uint64            // bytes of constants without a segment
}

// limits bound the joining of segments.
type limits struct {
	segments int    // to join down to
	fill     uint64 // maximum bytes of the fill pattern
}

// maxSegments leaves room for the pieces into which the core's writer cuts
// segments of the fill pattern, a thousand at most.
const maxSegments = elfcore.MaxSegments - 2000

// layOut returns an image as segments, with segments of the fill pattern over
// every byte of cover that the image lacks.
//
// A debugger's time grows with the number of segments, so neighbours are
// joined, those with the smallest gaps first, within the limits. A gap contains
// the fill pattern, never the program's memory, because that was not requested.
// Gaps in constant memory stay open: debuggers correctly read that from the
// mapped file.
func layOut(im model.Image, cover, constant memory.Ranges, flags func(memory.Address) uint32, limit limits) (*layout, error) {
	l := &layout{image: im}
	runs, filled := arrange(&l.image, cover, constant, limit)
	if len(runs)+len(filled) > maxSegments && limit.segments < maxSegments {
		// The executable contains the constants.
		l.image, l.dropped = withoutConstants(im, constant)
		runs, filled = arrange(&l.image, cover, constant, limit)
	}
	if n := len(runs) + len(filled); n > maxSegments {
		return nil, fmt.Errorf("join segments: %d are left, of at most %d", n, maxSegments)
	}
	between := 0
	for _, run := range runs {
		between += len(run.pieces) - 1
	}
	l.gaps = make([]memory.Range, 0, between)
	for _, run := range runs {
		l.segments = append(l.segments, elfcore.Segment{Addr: uint64(run.Start), Size: run.Size(), Flags: flags(run.Start), Content: run.content})
		for i := 1; i < len(run.pieces); i++ {
			if gap := (memory.Range{Start: run.pieces[i-1].End, End: run.pieces[i].Start}); !gap.Empty() {
				l.gaps = append(l.gaps, gap)
			}
		}
	}
	for _, r := range filled {
		l.segments = append(l.segments, elfcore.Segment{Addr: uint64(r.Start), Size: r.Size(), Flags: elfcore.FlagRead | elfcore.FlagWrite})
	}
	slices.SortFunc(l.segments, func(a, b elfcore.Segment) int { return cmp.Compare(a.Addr, b.Addr) })
	return l, nil
}

// withMemory returns how many segments have memory of the program.
func (l *layout) withMemory() (n int) {
	for i := range l.segments {
		if l.segments[i].Content != nil {
			n++
		}
	}
	return n
}

// captured returns how many bytes of the program's memory the segments have.
func (l *layout) captured(marked []note.MarkedRange) uint64 {
	var all []memory.Range
	for i := range l.segments {
		if s := &l.segments[i]; s.Content != nil {
			all = append(all, memory.RangeOf(memory.Address(s.Addr), s.Size))
		}
	}
	fill := make([]memory.Range, len(marked))
	for i, m := range marked {
		fill[i] = memory.RangeOf(memory.Address(m.Addr), m.Size)
	}
	return memory.RangesOf(all...).Minus(memory.RangesOf(fill...)).Size()
}

// report records what the segments lack.
func (l *layout) report(problems *model.Problems) {
	if l.dropped > 0 {
		problems.Missing("constants", fmt.Errorf("%d bytes in too many places to store them: they are in the executable alone", l.dropped))
	}
}

// arrange returns the runs of pieces that become segments, and the part of
// cover outside of them.
func arrange(im *model.Image, cover, constant memory.Ranges, limit limits) ([]run, memory.Ranges) {
	runs := join(im.Readable(), cover, constant, limit)
	inRuns := make([]memory.Range, len(runs))
	for i := range runs {
		inRuns[i] = runs[i].Range
	}
	return runs, cover.Minus(memory.RangesOf(inRuns...))
}

// withoutConstants returns the image without the pieces that touch constant
// memory, and the number of their bytes.
func withoutConstants(im model.Image, constant memory.Ranges) (rest model.Image, dropped uint64) {
	rest = model.Image{Holes: im.Holes.Minus(constant), Torn: im.Torn}
	for _, p := range im.Pieces {
		if constant.OverlapSize(p.Range) == 0 {
			rest.Pieces = append(rest.Pieces, p)
			continue
		}
		dropped += p.Size() - im.Holes.OverlapSize(p.Range)
	}
	return rest, dropped
}

// A run is pieces with small gaps between them.
type run struct {
	memory.Range
	pieces []model.Piece
}

// maxFill returns how many bytes of the fill pattern it may cost to have fewer
// segments: small objects that are far apart are better off with a segment
// each.
func maxFill(pieces []model.Piece) uint64 {
	n := uint64(1 << 20)
	for i := range pieces {
		n += 4 * pieces[i].Size()
	}
	return n
}

// join makes runs of pieces: first of those with small gaps between them, then
// of those with the smallest gaps, until there are few enough segments or the
// gaps would be too large. A run crosses neither the border of a covered range,
// where another mapping begins, nor constant memory.
func join(pieces []model.Piece, cover, constant memory.Ranges, limit limits) []run {
	type gap struct {
		next  int // index of the piece after it
		size  uint64
		worth int // segments that filling it saves
	}
	borders := bordersOf(cover)
	filled := make([]bool, len(pieces)) // the gap before the piece
	var gaps []gap
	segments := len(pieces)
	for i := 1; i < len(pieces); i++ {
		between := memory.Range{Start: pieces[i-1].End, End: pieces[i].Start}
		g := gap{i, between.Size(), 1}
		if cover.OverlapSize(between) > 0 {
			g.worth = 2
			segments++
		}
		switch {
		case crosses(borders, between), constant.OverlapSize(between) > 0:
			// A covered range begins or ends here, or the file has better data.
		case g.size <= model.SmallGap:
			filled[i] = true
			segments -= g.worth
		default:
			gaps = append(gaps, g)
		}
	}
	slices.SortStableFunc(gaps, func(a, b gap) int { return cmp.Compare(a.size, b.size) })
	fill, most := uint64(0), min(maxFill(pieces), limit.fill)
	for _, g := range gaps {
		if segments <= limit.segments || segments <= maxSegments && fill+g.size > most {
			break
		}
		filled[g.next] = true
		segments -= g.worth
		fill += g.size
	}
	return runsOf(pieces, filled)
}

// runsOf cuts pieces into runs, at each gap that is not filled.
func runsOf(pieces []model.Piece, filled []bool) []run {
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

// crosses reports whether a border is in a gap or at one of its ends.
func crosses(borders []memory.Address, gap memory.Range) bool {
	i, exact := slices.BinarySearch(borders, gap.Start)
	if exact {
		return !gap.Empty()
	}
	return i < len(borders) && borders[i] <= gap.End
}

// filler is the content of gaps.
var filler = func() (b [4096]byte) {
	elfcore.FillMarks(b[:])
	return b
}()

// content writes the run's pieces, and the fill pattern between them.
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
		if _, err := w.Write(p.Data); err != nil {
			return err
		}
		at = p.End
	}
	return nil
}

// flagsOf returns the permission flags of a segment at an address: those of the
// mapping that it comes from.
func flagsOf(maps []process.Mapping) func(memory.Address) uint32 {
	return func(at memory.Address) uint32 {
		for i := range maps {
			m := &maps[i]
			if !m.Contains(at) {
				continue
			}
			f := elfcore.FlagRead
			if m.Write {
				f |= elfcore.FlagWrite
			}
			if m.Exec {
				f |= elfcore.FlagExec
			}
			return f
		}
		return elfcore.FlagRead | elfcore.FlagWrite
	}
}
