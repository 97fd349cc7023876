package walk

import (
	"bytes"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// MarkByte fills memory that must not be in a core. Debuggers show eight of
// them for memory that was not captured.
const MarkByte = 0xA5

// A Redactor overwrites excluded memory. A writer applies it to every piece of
// memory that it is about to write, wherever the piece comes from.
type Redactor struct {
	// Active reports whether any exclusion exists. Then the type of every written
	// byte must be known: see Allow.
	Active bool
	// Ranges are redacted, in the capture and outside it.
	Ranges memory.Ranges
	// Values are the parts of Ranges, one for each covered value.
	Values []Value
	// Receipts has one receipt per exclusion, in the order of Config.Exclusions.
	Receipts []Receipt
	// Blind counts values that could not be searched for excluded values: a bound
	// was reached, or memory was inconsistent. If it is not zero, the capture may
	// contain memory that an excluded value refers to, through another reference.
	Blind int
	// Lost counts values for which Config.Lacks reports missing memory and that
	// exclusions concern, or may concern by what they lead to. If it is not zero,
	// the capture may contain memory that should have been redacted, through
	// another reference.
	Lost int
	// Unsized counts excluded values that lead to an object of unknown type and
	// size. If it is not zero, the capture may contain that object.
	Unsized int

	captured func() memory.Ranges // by the walk
	allowed  memory.Ranges        // further memory with a known type
	more     [][]memory.Range     // what must still be added to allowed
	known    memory.Ranges        // the union of both, nil until requested
	seen     []memory.Piece
	seenAll  bool
}

// A Value is an excluded value, or memory that one leads to.
type Value struct {
	memory.Range
	Reached bool // from an excluded value
}

func (x *excluder) finish(res *Result) *Redactor {
	ranges := make([]memory.Range, len(x.values))
	for i := range x.values {
		ranges[i] = x.values[i].Range
	}
	return &Redactor{
		Active:   x.active,
		Ranges:   memory.RangesOf(ranges...),
		Values:   x.values,
		Receipts: x.receipts,
		Blind:    x.blind,
		Lost:     x.lost,
		Unsized:  x.unsized,
		captured: res.Captured,
		allowed:  res.Facts,
		seen:     x.seen,
		seenAll:  x.seenAll,
	}
}

// Moved counts the places in excluded values that have changed since the walk
// read them. Ranges does not cover what they lead to now, or led to in between.
// It needs Config.Moving. If there was too much to remember, it returns 1.
func (r *Redactor) Moved(mem memory.Memory) (n int, err error) {
	if !r.seenAll {
		return 1, nil
	}
	now := make([]memory.Piece, len(r.seen))
	for i, p := range r.seen {
		now[i] = memory.Piece{Addr: p.Addr, Data: make([]byte, len(p.Data))}
	}
	if err := memory.ReadBatch(mem, now); err != nil {
		return 0, err
	}
	for i := range now {
		if now[i].N < len(now[i].Data) || !bytes.Equal(now[i].Data, r.seen[i].Data) {
			n++
		}
	}
	return n, nil
}

// Allow adds ranges, in any order, whose content the caller knows and that no exclusion
// can concern: the Go runtime's own variables, type descriptors, pc-line tables. The
// caller must not change them afterwards: they are sorted when they are needed, which
// without exclusions is never.
func (r *Redactor) Allow(more []memory.Range) { r.more, r.known = append(r.more, more), nil }

// typed returns the memory with known types.
func (r *Redactor) typed() memory.Ranges {
	if r.known == nil {
		for _, more := range r.more {
			r.allowed = r.allowed.Union(memory.RangesOf(more...))
		}
		r.known, r.more = r.allowed, nil
		if r.captured != nil {
			r.known = r.captured().Union(r.allowed)
		}
	}
	return r.known
}

// Apply overwrites the excluded bytes of image, which is a copy of the memory at
// addr. If there are exclusions it also overwrites all bytes of unknown type. It
// returns how many bytes of each it overwrote.
func (r *Redactor) Apply(addr memory.Address, image []byte) (excluded, unknown uint64) {
	all := memory.RangeOf(addr, uint64(len(image)))
	for _, part := range r.Ranges.Overlap(all) {
		excluded += mark(image[part.Start-addr : part.End-addr])
	}
	if !r.Active {
		return excluded, 0
	}
	for _, part := range r.typed().Gaps(all) {
		unknown += mark(image[part.Start-addr : part.End-addr])
	}
	return excluded, unknown
}

// Excluded returns the parts of a range that Apply overwrites because of an
// exclusion, and those that it overwrites because their type is unknown.
func (r *Redactor) Excluded(of memory.Range) (excluded, unknown memory.Ranges) {
	excluded = r.Ranges.Overlap(of)
	if r.Active {
		unknown = r.typed().Gaps(of)
	}
	return excluded, unknown
}

// Skeleton overwrites all words of a goroutine's stack except those that a
// traceback needs, addresses in the program's code and in the stack itself, and
// those that known reports, which may be nil. The
// image is a copy of the memory at addr. Stacks have no types, so if anything
// is excluded, nothing else of them may be kept. A word that is only partly in
// the image is overwritten. Skeleton returns the number of kept words.
func Skeleton(addr memory.Address, image []byte, stack memory.Range, text memory.Ranges, known func(memory.Address) bool) (kept int) {
	head := int(-uint64(addr) & (wordBytes - 1))
	if head >= len(image) {
		mark(image)
		return 0
	}
	mark(image[:head])
	for len(image[head:]) >= wordBytes {
		word := image[head : head+wordBytes]
		if value := memory.Address(le.Uint64(word)); text.Has(value) || stack.Contains(value) || value == stack.End || known != nil && known(value) {
			kept++
		} else {
			mark(word)
		}
		head += wordBytes
	}
	mark(image[head:])
	return kept
}

// mark fills b with MarkByte.
func mark(b []byte) uint64 {
	for i := range b {
		b[i] = MarkByte
	}
	return uint64(len(b))
}
