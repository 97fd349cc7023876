package coreimage

import (
	"bytes"
	"cmp"
	"io"
	"iter"
	"slices"
	"sync"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/internal/describe"
	"github.com/meminspect/meminspect/runtime/internal/self"
)

// blockSize is the number of bytes that are read and compared at a time. Smaller blocks
// take longer.
const blockSize = 1 << 20

// An image is a core to be written.
type image struct {
	elfcore.Core
	regions  []region
	types    describe.Types // of the regions
	receipts []note.Receipt
	redacted []elfcore.Range // memory that no capture may contain; sorted, without overlaps
	seams    []elfcore.Range // the parts of redacted that are written as marks; see seams
	holes    []elfcore.Range // found while writing
	torn     []elfcore.Range // found while writing
	a, b     []byte          // two readings of a block; b is for those through the kernel
	keys     keys
	read     func(p []byte, addr uint64) int                                      // reads up to the first unreadable byte
	direct   func(s *span, block elfcore.Range, use func(own []byte)) (done bool) // readDirectly
}

// A region is a row of the core's region table, with its memory.
type region struct {
	note.Region
	hold  unsafe.Pointer // keeps the memory alive until the core is written
	leads *describe.Leads
}

// memory returns the region's own memory.
func (r *region) memory() elfcore.Range { return elfcore.Range{Start: r.Addr, End: r.Addr + r.Size} }

// release drops all references to the regions' memory.
func (c *image) release() {
	for i := range c.regions {
		c.regions[i].hold = nil
	}
	c.Segments = nil // their contents refer to it
	putBlock(c.a)
	putBlock(c.b)
	c.a, c.b = nil, nil
}

// spare has buffers of blockSize: to make one costs as much as to copy a block.
var spare sync.Pool

// newBlock returns a buffer of n bytes, at most blockSize.
func newBlock(n uint64) []byte {
	if n <= blockSize/8 {
		return make([]byte, n)
	}
	if b, ok := spare.Get().(*[]byte); ok {
		return (*b)[:n]
	}
	return make([]byte, n, blockSize)
}

// putBlock takes back a buffer of newBlock. It keeps no copy of the program's memory.
func putBlock(b []byte) {
	clear(b)
	if cap(b) == blockSize {
		spare.Put(&b)
	}
}

// A span is memory that is read in one go, so that its two readings are close
// together: one region, or several overlapping ones. Regions that merely touch
// are separate spans.
type span struct {
	elfcore.Range
	regions []*region // that have some of it
	marks   bool      // a seam
	own     []byte    // the memory itself, if it is read directly; see ownMemory
}

// maxSeam is the largest redacted piece of a region that is written as marks. A
// larger one becomes a marked segment, which takes no space.
const maxSeam = 4 << 10

// seams returns the small redacted pieces of captured regions. They are written
// as marks, so that one segment contains the whole value. Delve fails to read
// across the border of two segments in a mapping of the executable, and would
// show nothing of a struct with an excluded field.
func seams(regions []region, redacted []elfcore.Range) []elfcore.Range {
	var out []elfcore.Range
	for i := range regions {
		all := regions[i].memory()
		holes := elfcore.Overlapping(redacted, all)
		if regions[i].Addr == 0 || len(holes) == 0 || len(elfcore.Subtract([]elfcore.Range{all}, holes)) == 0 {
			continue
		}
		for _, h := range holes {
			if h = (elfcore.Range{Start: max(h.Start, all.Start), End: min(h.End, all.End)}); h.Len() <= maxSeam {
				out = append(out, h)
			}
		}
	}
	return elfcore.Merge(out, 0)
}

// unreadable returns the parts of regions that are not in readable memory: foreign
// memory that is unmapped, or was never that large.
func unreadable(regions []region, readable []elfcore.Range) []elfcore.Range {
	var out []elfcore.Range
	for i := range regions {
		if all := regions[i].memory(); all.Start != 0 {
			out = append(out, elfcore.Subtract([]elfcore.Range{all}, elfcore.Overlapping(readable, all))...)
		}
	}
	return elfcore.Merge(out, 0)
}

// absent returns the unreadable parts that are larger than a seam. The core omits
// them; smaller holes are filled.
func absent(unreadable []elfcore.Range) []elfcore.Range {
	var out []elfcore.Range
	for _, r := range unreadable {
		if r.Len() > maxSeam {
			out = append(out, r)
		}
	}
	return out
}

// spans returns the ranges to capture, sorted and without overlaps. They omit
// the ranges in without, except for the seams.
func spans(regions []region, data, without, seams []elfcore.Range) []span {
	var parts []span
	for i := range regions {
		if r := &regions[i]; r.Addr != 0 {
			for _, part := range elfcore.Subtract([]elfcore.Range{r.memory()}, without) {
				parts = append(parts, span{Range: part, regions: []*region{r}})
			}
		}
	}
	byStart := func(a, b span) int { return cmp.Compare(a.Start, b.Start) }
	slices.SortStableFunc(parts, byStart)
	var out []span
	for _, part := range parts {
		if n := len(out); n > 0 && part.Start < out[n-1].End {
			out[n-1].End = max(out[n-1].End, part.End)
			out[n-1].regions = append(out[n-1].regions, part.regions...)
			continue
		}
		out = append(out, part)
	}
	data = elfcore.Subtract(elfcore.Merge(data, 0), without)
	for _, r := range elfcore.Subtract(data, merged(out)) {
		out = append(out, span{Range: r})
	}
	for _, r := range seams {
		out = append(out, span{Range: r, marks: true})
	}
	slices.SortStableFunc(out, byStart)
	return out
}

func merged(spans []span) []elfcore.Range {
	rs := make([]elfcore.Range, len(spans))
	for i, s := range spans {
		rs[i] = s.Range
	}
	return elfcore.Merge(rs, 0)
}

// segments returns the spans as segments; spans that touch share one.
func (c *image) segments(spans []span) []elfcore.Segment {
	var out []elfcore.Segment
	for len(spans) > 0 {
		n := 1
		for n < len(spans) && spans[n].Start == spans[n-1].End {
			n++
		}
		these := spans[:n]
		out = append(out, elfcore.Segment{
			Addr:  these[0].Start,
			Size:  these[n-1].End - these[0].Start,
			Flags: elfcore.FlagRead | elfcore.FlagWrite,
			Content: func(w io.Writer) error {
				for _, s := range these {
					if err := c.copySpan(w, s); err != nil {
						return err
					}
				}
				return nil
			},
		})
		spans = spans[n:]
	}
	return out
}

// copySpan writes a span's memory, then checks whether it changed during the
// read. A small span is read again until two readings agree, at most three
// times.
func (c *image) copySpan(w io.Writer, s span) error {
	if s.marks {
		_, err := w.Write(bytes.Repeat([]byte{elfcore.MarkByte}, int(s.Len())))
		return err
	}
	if s.Len() <= blockSize {
		a, holes := c.a[:s.Len()], len(c.holes)
		for try := 0; ; try++ {
			c.holes = c.holes[:holes] // those of this reading count
			c.copyBlock(a, &s, s.Range)
			if c.unchanged(a, &s, s.Range) {
				break
			}
			if try == 2 {
				c.torn = append(c.torn, s.Range)
				break
			}
		}
		s.judge(a, s.Start)
		_, err := w.Write(a)
		return err
	}
	sums := make([]uint64, 0, s.Len()/blockSize+1)
	for block := range blocks(s.Range) {
		a := c.a[:block.Len()]
		sums = append(sums, c.copyAndSum(a, &s, block))
		s.judge(a, block.Start)
		if _, err := w.Write(a); err != nil {
			return err
		}
	}
	for block := range blocks(s.Range) {
		if c.sumAgain(&s, block) != sums[0] {
			c.torn = append(c.torn, block)
		}
		sums = sums[1:]
	}
	return nil
}

// blocks returns the parts of r that are read at a time. They end at the borders
// of words.
func blocks(r elfcore.Range) iter.Seq[elfcore.Range] {
	return func(yield func(elfcore.Range) bool) {
		for at := r.Start; at < r.End; {
			end := min((at+blockSize)&^7, r.End)
			if !yield(elfcore.Range{Start: at, End: end}) {
				return
			}
			at = end
		}
	}
}

// judge adds to the status of the span's regions what follows from values in b,
// which is the copy of the memory at addr.
func (s *span) judge(b []byte, addr uint64) {
	for _, r := range s.regions {
		r.Status |= r.leads.In(r.memory(), b, addr)
	}
}

const pageSize = self.PageSize

// fill reads memory into p. Unreadable pages are filled with MarkByte, and
// recorded if record is set.
func (c *image) fill(p []byte, addr uint64, record bool) {
	for first := len(c.holes); len(p) > 0; {
		n := c.read(p, addr)
		p, addr = p[n:], addr+uint64(n)
		if len(p) == 0 {
			return
		}
		bad := min(pageSize-addr%pageSize, uint64(len(p)))
		elfcore.FillMarks(p[:bad])
		if record {
			if n := len(c.holes); n > first && c.holes[n-1].End == addr {
				c.holes[n-1].End += bad
			} else {
				c.holes = append(c.holes, elfcore.Range{Start: addr, End: addr + bad})
			}
		}
		p, addr = p[bad:], addr+bad
	}
}

// marked returns the note of the memory that is redacted or could not be read, of
// at most size bytes.
func (c *image) marked(size int) []byte {
	var all []note.MarkedRange
	for _, r := range c.redacted {
		all = append(all, note.MarkedRange{Addr: r.Start, Size: r.Len(), Why: note.MarkedExcluded})
	}
	for _, r := range elfcore.Merge(c.holes, 0) {
		all = append(all, note.MarkedRange{Addr: r.Start, Size: r.Len(), Why: note.MarkedHole})
	}
	slices.SortFunc(all, func(a, b note.MarkedRange) int { return cmp.Compare(a.Addr, b.Addr) })
	for ; ; all = all[:len(all)-1] {
		if b := note.EncodeMarked(all); len(b) <= size {
			return append(b, make([]byte, size-len(b))...)
		}
	}
}

// markedSize returns the room for the note of marked memory: for what is known to
// be unreadable, and a few holes that appear while memory is read.
func (c *image) markedSize(unreadable int) int {
	const appearing, each = 8, 20
	return 8 + each*(len(c.redacted)+unreadable+appearing)
}

// finish sets the regions' statuses after all memory was read.
func (c *image) finish() []note.Region {
	holes, torn := elfcore.Merge(c.holes, 0), elfcore.Merge(c.torn, 0)
	rs := make([]note.Region, len(c.regions))
	for i := range c.regions {
		r := &c.regions[i].Region
		if r.Addr != 0 {
			all := c.regions[i].memory()
			r.Captured = r.Size
			for _, h := range elfcore.Overlapping(holes, all) {
				r.Status |= note.Holes
				r.Captured -= min(h.End, all.End) - max(h.Start, all.Start)
			}
			if len(elfcore.Overlapping(torn, all)) > 0 {
				r.Status |= note.Torn
			}
			for _, e := range elfcore.Overlapping(c.redacted, all) {
				r.Status |= note.Redacted
				r.Captured -= min(e.End, all.End) - max(e.Start, all.Start)
			}
			if r.Status&note.Holes != 0 && r.Captured == 0 {
				r.Status = r.Status&^note.Holes | note.Unreadable
			}
		}
		rs[i] = *r
	}
	return rs
}
