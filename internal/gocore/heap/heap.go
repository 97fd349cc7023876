// Package heap reads the heap of a Go program from outside: its objects, which of
// them points at which, and what keeps each alive. It needs neither symbols nor
// debug information, and the program needs no code for it.
//
// The work has two halves. [Target.Extract] reads the memory of the stopped program
// once, in the order of addresses, and returns a [Graph]: a number for each object,
// a list of edges, and the roots. The program can then go on. Everything else is
// computed from the graph: what each root holds ([Graph.Holdings]), and the paths
// to most of the memory ([Graph.Paths]).
//
// Layouts differ between Go releases, and a wrong one gives results that look
// right. Every structure is therefore checked against others that describe the same
// memory, and a release that is not known is refused.
package heap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// Totals are what the runtime's own structures have of the heap.
type Totals struct {
	Objects uint64 // in use: what the program can reach, and garbage not yet collected
	Bytes   uint64 // of their slots, as runtime.MemStats.HeapAlloc counts

	Spans      uint64 // that hold objects
	SpanBytes  uint64 // Bytes, and free slots between objects
	StackBytes uint64 // of spans that hold stacks
	ScanBytes  uint64 // of spans whose objects may hold pointers
}

// objects are the slots of a heap: a number for each place at which an object may
// be. Numbers below scan are of objects that may hold pointers.
type objects struct {
	spans  []span   // by address
	order  []uint32 // their indexes by the numbers of their slots
	hint   []uint32 // the place in order of the span of each 64th slot
	pages  pageTable
	scan   uint32
	slots  uint32
	live   bitset // slots in use
	marked bitset // slots that the last completed collection kept

	inline bool // spans of small objects end in the marks of the Green Tea collector
}

// slot returns the number of the slot that an address lies in.
func (o *objects) slot(addr uint64) (uint32, bool) {
	a := addr>>arenaShift - o.pages.low
	if a >= uint64(len(o.pages.arenas)) {
		return 0, false
	}
	table := o.pages.arenas[a]
	if table == 0 {
		return 0, false
	}
	i := o.pages.pages[uint64(table-1)*arenaPages|addr>>pageShift%arenaPages]
	if i == 0 {
		return 0, false
	}
	s := &o.spans[i-1]
	k := uint32((addr - s.base) * uint64(s.divMul) >> 32)
	return s.first + k, k < s.nelems
}

// spanOf returns the index of the span that a slot is in.
func (o *objects) spanOf(slot uint32) int {
	at := o.hint[slot/64]
	for {
		i := o.order[at]
		if s := &o.spans[i]; slot-s.first < s.nelems {
			return int(i)
		}
		at++
	}
}

// sizeOf returns the bytes of a slot.
func (o *objects) sizeOf(slot uint32) uint64 { return o.spans[o.spanOf(slot)].elem }

// errInconsistent is wrapped by the error for a heap whose structures contradict
// each other.
var errInconsistent = errors.New("the heap's structures contradict each other: the program was not stopped, or its layout is not the one of its Go release")

// readSpans reads the list of spans of the runtime.mheap at addr: those that hold
// objects, without these, and those of the runtime's own memory, as of stacks.
func (l *Layout) readSpans(mem memory.Memory, addr memory.Address) (spans, manual []span, totals Totals, err error) {
	r := memory.Reader{Memory: mem}
	list, err := r.Slice(addr.Add(heapSpans))
	if err != nil {
		return nil, nil, totals, fmt.Errorf("list of spans: %w", err)
	}
	if err := l.check(r, list, 1); err != nil {
		return nil, nil, totals, err
	}
	b, err := r.Bytes(list.Data, list.Len*memory.PtrSize, maxSpans*memory.PtrSize)
	if err != nil {
		return nil, nil, totals, fmt.Errorf("list of spans: %w", err)
	}
	ranges := make([]memory.Range, 0, list.Len)
	for ; len(b) > 0; b = b[memory.PtrSize:] {
		ranges = append(ranges, memory.RangeOf(memory.Address(binary.LittleEndian.Uint64(b)), uint64(l.span)))
	}
	if err := sortRanges(ranges); err != nil {
		return nil, nil, totals, err
	}
	const near = 64
	data, holes, err := memory.Gather(mem, ranges, near, nil, nil)
	if err != nil {
		return nil, nil, totals, fmt.Errorf("spans: %w", err)
	}
	if len(holes) > 0 {
		return nil, nil, totals, fmt.Errorf("spans: %w", memory.Unreadable(holes[0].Start, memory.ErrNotMapped))
	}
	spans = make([]span, 0, len(data))
	for i, b := range data {
		s, state, err := l.decode(b)
		if err != nil {
			return nil, nil, totals, fmt.Errorf("span at %v: %w: %w", ranges[i].Start, errInconsistent, err)
		}
		switch state {
		case spanInUse:
			spans = append(spans, s)
			totals.SpanBytes += s.size
			if !s.noscan() {
				totals.ScanBytes += s.size
			}
		case spanManual:
			manual = append(manual, s)
			totals.StackBytes += s.size
		}
	}
	totals.Spans = uint64(len(spans))
	return spans, manual, totals, nil
}

// readObjects reads which slots of the heap are in use.
func (l *Layout) readObjects(ctx context.Context, mem memory.Memory, addr memory.Address) (*objects, Totals, error) {
	spans, _, totals, err := l.readSpans(mem, addr)
	if err != nil {
		return nil, totals, err
	}
	o := &objects{}
	if o.pages, err = newPageTable(spans); err != nil {
		return nil, totals, fmt.Errorf("spans: %w: %w", errInconsistent, err)
	}
	o.spans = o.pages.sorted(spans)
	if len(o.spans) != len(spans) {
		return nil, totals, fmt.Errorf("spans: %w: %d of %d are in the table of pages", errInconsistent, len(o.spans), len(spans))
	}
	if err := o.number(); err != nil {
		return nil, totals, err
	}
	if l.minor >= 25 {
		if err := o.findInlineMarks(mem); err != nil {
			return nil, totals, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, totals, err
	}
	sweepgen, err := memory.Reader{Memory: mem}.Uint32(addr.Add(heapSweepGen))
	if err != nil {
		return nil, totals, err
	}
	if err := o.readBits(mem, sweepgen, &totals); err != nil {
		return nil, totals, err
	}
	return o, totals, nil
}

// number gives each slot its number: in the order of addresses, those of spans
// whose objects may hold pointers first.
func (o *objects) number() error {
	next := uint64(0)
	for _, noscan := range []bool{false, true} {
		for i := range o.spans {
			if s := &o.spans[i]; s.noscan() == noscan {
				s.first = uint32(next)
				if next += uint64(s.nelems); next >= maxSlots {
					return fmt.Errorf("heap: it has more than %d slots", uint64(maxSlots))
				}
				for uint64(len(o.hint))*64 < next {
					o.hint = append(o.hint, uint32(len(o.order)))
				}
				o.order = append(o.order, uint32(i))
			}
		}
		if !noscan {
			o.scan = uint32(next)
		}
	}
	o.slots = uint32(next)
	o.live, o.marked = newBitset(o.slots), newBitset(o.slots)
	return nil
}

// readBits reads the spans' bits. A slot is in use if it lies below the span's
// index of the first free one, or was in use when the span was last swept.
func (o *objects) readBits(mem memory.Memory, sweepgen uint32, totals *Totals) error {
	const batch = 4096
	wrong := 0
	for from := 0; from < len(o.spans); from += batch {
		spans := o.spans[from:min(from+batch, len(o.spans))]
		alloc, err := readBitmaps(mem, spans, func(s *span) uint64 { return s.alloc })
		if err != nil {
			return fmt.Errorf("allocation bits: %w", err)
		}
		swept := func(s *span) bool { return s.sweepgen == sweepgen || s.sweepgen == sweepgen+3 }
		mark, err := readBitmaps(mem, spans, func(s *span) uint64 {
			if swept(s) {
				return 0
			}
			return s.mark
		})
		if err != nil {
			return fmt.Errorf("mark bits: %w", err)
		}
		for i := range spans {
			s := &spans[i]
			if swept(s) {
				o.marked.or(s.first, alloc[i], s.nelems)
			} else if err := o.readMarks(mem, s, mark[i]); err != nil {
				return err
			}
			used := alloc[i]
			for k := range s.free {
				used[k/8] |= 1 << (k % 8)
			}
			count := o.live.or(s.first, used, s.nelems)
			if count != int(s.count) {
				wrong++
			}
			totals.Objects += uint64(count)
			totals.Bytes += uint64(count) * s.elem
		}
	}
	// A thread may be stopped between the two steps of an allocation.
	const threads = 64
	if wrong > len(o.spans)/1000+threads {
		return fmt.Errorf("%w: the counts of %d of %d spans are wrong", errInconsistent, wrong, len(o.spans))
	}
	return nil
}

// readMarks sets the slots of a span that was not swept yet which the collector
// marked: in the span's bitmap, or in the marks at its end.
func (o *objects) readMarks(mem memory.Memory, s *span, mark []byte) error {
	o.marked.or(s.first, mark, s.nelems)
	if !o.hasInlineMarks(s) {
		return nil
	}
	const size = inlineMarks/2 - 1 // without the class
	b, err := memory.Reader{Memory: mem}.Bytes(memory.Address(s.base+s.size-inlineMarks/2), size, size)
	if err != nil {
		return fmt.Errorf("mark bits: %w", err)
	}
	o.marked.or(s.first, b, s.nelems)
	return nil
}

// hasInlineMarks reports whether a span ends in the marks of the Green Tea
// collector.
func (o *objects) hasInlineMarks(s *span) bool {
	return o.inline && s.elem >= 2*memory.PtrSize && s.elem <= headerFrom && !s.isLarge() && !s.arena
}

// findInlineMarks finds out whether the program has the Green Tea collector: then
// each span of small objects ends in its class. The version does not show it, since
// the default changes, and a wrong guess takes bitmaps from the wrong place.
func (o *objects) findInlineMarks(mem memory.Memory) error {
	const sample = 2048
	o.inline = true
	var asked []*span
	for i := range o.spans {
		if s := &o.spans[i]; o.hasInlineMarks(s) {
			if asked = append(asked, s); len(asked) == sample {
				break
			}
		}
	}
	last := make([]byte, len(asked))
	pieces := make([]memory.Piece, len(asked))
	for i, s := range asked {
		pieces[i] = memory.Piece{Addr: memory.Address(s.base + s.size - 1), Data: last[i : i+1]}
	}
	if err := memory.ReadBatch(mem, pieces); err != nil {
		return fmt.Errorf("mark bits: %w", err)
	}
	same := 0
	for i, s := range asked {
		if last[i] == s.class {
			same++
		}
	}
	switch {
	case same >= len(asked)-len(asked)/100:
	case same > len(asked)/4:
		return fmt.Errorf("%w: %d of %d spans end in their class", errInconsistent, same, len(asked))
	default:
		o.inline = false
	}
	return nil
}

// readBitmaps reads a bitmap for each span, with a bit for each of its slots;
// zeros for one whose address is 0.
func readBitmaps(mem memory.Memory, spans []span, addr func(*span) uint64) ([][]byte, error) {
	size := uint64(0)
	for i := range spans {
		size += uint64(spans[i].nelems+7) / 8
	}
	all := make([]byte, size)
	maps := make([][]byte, len(spans))
	places := make([]bitmap, 0, len(spans))
	for i := range spans {
		n := (spans[i].nelems + 7) / 8
		maps[i], all = all[:n:n], all[n:]
		if a := addr(&spans[i]); a != 0 && n > 0 {
			places = append(places, bitmap{memory.Address(a), maps[i]})
		}
	}
	return maps, readMaps(mem, places)
}

// A bitmap is one to be read.
type bitmap struct {
	addr memory.Address
	into []byte
}

// readMaps reads bitmaps. The runtime allocates them next to each other, in the order in
// which it sweeps spans: to read them one by one takes longer than to read the rest of the
// heap.
func readMaps(mem memory.Memory, maps []bitmap) error {
	const near = 4096
	slices.SortFunc(maps, func(a, b bitmap) int { return a.addr.Compare(b.addr) })
	ranges := make([]memory.Range, len(maps))
	for i, m := range maps {
		ranges[i] = memory.RangeOf(m.addr, uint64(len(m.into)))
		if i > 0 && ranges[i].Start < ranges[i-1].End {
			return fmt.Errorf("%w: %v and %v overlap", errInconsistent, ranges[i-1], ranges[i])
		}
	}
	data, holes, err := memory.Gather(mem, ranges, near, nil, nil)
	if err != nil {
		return err
	}
	if len(holes) > 0 {
		return memory.Unreadable(holes[0].Start, memory.ErrNotMapped)
	}
	for i, m := range maps {
		copy(m.into, data[i])
	}
	return nil
}

// sortRanges sorts ranges by address; two that overlap are an error.
func sortRanges(ranges []memory.Range) error {
	slices.SortFunc(ranges, func(a, b memory.Range) int { return a.Start.Compare(b.Start) })
	for i := 1; i < len(ranges); i++ {
		if ranges[i].Start < ranges[i-1].End {
			return fmt.Errorf("spans: %w: %v and %v overlap", errInconsistent, ranges[i-1], ranges[i])
		}
	}
	return nil
}
