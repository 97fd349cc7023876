package walk

import (
	"bytes"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// MarkByte fills what must not be in a core; eight of them are what debuggers
// show for memory that was not captured.
const MarkByte = 0xA5

// An Erasure is what exclusions take out of a capture. A writer applies it to
// every piece of memory that it is about to write, whatever the memory is and
// whoever asked for it.
type Erasure struct {
	// Active says that there is any exclusion. Then the type of every byte that
	// is written must be known: see Allow.
	Active bool
	// Ranges is what is erased, in the capture and outside of it.
	Ranges memory.Ranges
	// Receipts are per exclusion, in the order of Config.Exclusions.
	Receipts []Receipt
	// Blind counts values that could not be searched for what is excluded
	// (bounds were reached, or memory made no sense). Unless it is zero, what
	// an excluded value holds may stand in the capture under another name.
	Blind int
	// Lost counts values that Config.Lacks, and that exclusions are about, or
	// may be about if only by what they lead to. Unless it is zero, what would
	// have been erased may stand in the capture under another name.
	Lost int

	known   memory.Ranges
	seen    []memory.Piece
	seenAll bool
}

func (x *excluder) finish(captured, facts memory.Ranges) *Erasure {
	return &Erasure{
		Active:   x.active,
		Ranges:   memory.RangesOf(x.erase...),
		Receipts: x.receipts,
		Blind:    x.blind,
		Lost:     x.lost,
		known:    captured.Union(facts),
		seen:     x.seen,
		seenAll:  x.seenAll,
	}
}

// Moved counts the places, in what excluded values hold, that have changed since
// the walk went by: what stands behind them now, or stood there in between, is
// not in Ranges. It needs Config.Moving. Where there was too much to remember it
// counts one.
func (e *Erasure) Moved(mem memory.Memory) (n int, err error) {
	if !e.seenAll {
		return 1, nil
	}
	now := make([]memory.Piece, len(e.seen))
	for i, p := range e.seen {
		now[i] = memory.Piece{Addr: p.Addr, Data: make([]byte, len(p.Data))}
	}
	if err := memory.ReadBatch(mem, now); err != nil {
		return 0, err
	}
	for i := range now {
		if now[i].N < len(now[i].Data) || !bytes.Equal(now[i].Data, e.seen[i].Data) {
			n++
		}
	}
	return n, nil
}

// Allow says that the caller knows what stands in some more ranges and that no
// exclusion can concern it: the Go runtime's own variables, type descriptors,
// pc-line tables.
func (e *Erasure) Allow(more memory.Ranges) { e.known = e.known.Union(more) }

// Apply overwrites, in an image of the memory at addr, what is excluded, and
// where exclusions exist all bytes whose type is not known. It returns how
// many bytes of each there were.
func (e *Erasure) Apply(addr memory.Address, image []byte) (excluded, unknown uint64) {
	all := memory.RangeOf(addr, uint64(len(image)))
	for _, r := range e.Ranges.Overlap(all) {
		excluded += mark(image[r.Start-addr : r.End-addr])
	}
	if !e.Active {
		return excluded, 0
	}
	for _, r := range e.known.Gaps(all) {
		unknown += mark(image[r.Start-addr : r.End-addr])
	}
	return excluded, unknown
}

// Excluded returns the parts of a range that Apply overwrites because of an
// exclusion, and because their type is not known.
func (e *Erasure) Excluded(r memory.Range) (excluded, unknown memory.Ranges) {
	excluded = e.Ranges.Overlap(r)
	if e.Active {
		unknown = e.known.Gaps(r)
	}
	return excluded, unknown
}

// Skeleton overwrites, in an image of the goroutine stack memory at addr,
// every word but those that a traceback needs: addresses in the program's code
// and in the stack itself. Stacks have no types; where anything is excluded
// this is all of them that may be kept. A word that only partly lies in the
// image is overwritten. It returns how many words were kept.
func Skeleton(addr memory.Address, image []byte, stack memory.Range, text memory.Ranges) (kept int) {
	head := int(-uint64(addr) & (wordBytes - 1))
	if head >= len(image) {
		mark(image)
		return 0
	}
	mark(image[:head])
	for len(image[head:]) >= wordBytes {
		word := image[head : head+wordBytes]
		if value := memory.Address(le.Uint64(word)); text.Has(value) || stack.Contains(value) || value == stack.End {
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
