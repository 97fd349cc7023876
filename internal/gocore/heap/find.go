package heap

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/atomicstores"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// ErrNoHeap is wrapped by the error for a program whose heap was not found by two
// ways that agree.
var ErrNoHeap = errors.New("the heap (runtime.mheap_) was not found")

// find returns the address of runtime.mheap_. The symbol, the code of
// runtime.mallocinit, which initialises it, and a search of the data are three
// ways to find it: those that succeed must agree.
//
// Only the search looks at the list of spans. A running program may map the
// memory of a new span that prog.Mem does not have yet; [Layout.readSpans]
// checks the list when it reads it.
func find(prog *module.Program, l Layout, symbol func(string) (memory.Address, bool)) (memory.Address, error) {
	named, isNamed := symbol("runtime.mheap_")
	coded, codeErr := atomicstores.Argument(prog, "runtime.mallocinit", "runtime.(*mheap).init", symbol)
	switch {
	case codeErr == nil && isNamed && named != coded:
		return 0, fmt.Errorf("%w: its symbol is at %v, the code of runtime.mallocinit uses %v", ErrNoHeap, named, coded)
	case codeErr == nil:
		return coded, nil
	case isNamed:
		return named, nil
	}
	found := l.search(prog, prog.Mem)
	if len(found) != 1 {
		return 0, fmt.Errorf("%w: %w, and %d places in the data look like it", ErrNoHeap, codeErr, len(found))
	}
	return found[0], nil
}

// Bounds of what is believed; real programs stay far below each.
const (
	maxSpans = 1 << 27
	maxPages = 1 << 28 // 2 TiB of heap
	maxSlots = 1 << 31
)

// check reports an error if list is not runtime.mheap.allspans with that many
// spans or more: of some of its elements, spread over it, each must be a span.
func (l *Layout) check(r memory.Reader, list memory.Slice, least uint64) error {
	if list.Data == 0 || !list.Data.Aligned(memory.PtrSize) || list.Len < least || list.Len > list.Cap || list.Cap > maxSpans {
		return fmt.Errorf("%w: its list of spans has %d elements of %d at %v", ErrNoHeap, list.Len, list.Cap, list.Data)
	}
	for _, i := range []uint64{0, list.Len / 3, list.Len / 2, list.Len - 1} {
		at, err := r.Pointer(list.Data.Add(i * memory.PtrSize))
		if err != nil {
			return fmt.Errorf("%w: list of spans: %w", ErrNoHeap, err)
		}
		if at == 0 || !at.Aligned(memory.PtrSize) {
			return fmt.Errorf("%w: span %d of %d is at %v", ErrNoHeap, i, list.Len, at)
		}
		b, err := r.Bytes(at, uint64(l.span), uint64(l.span))
		if err != nil {
			return fmt.Errorf("%w: span %d of %d: %w", ErrNoHeap, i, list.Len, err)
		}
		if _, _, err := l.decode(b); err != nil {
			return fmt.Errorf("%w: span %d of %d at %v: %w", ErrNoHeap, i, list.Len, at, err)
		}
	}
	return nil
}

// search returns the places in the program's data that look like runtime.mheap_.
func (l *Layout) search(prog *module.Program, mem memory.Memory) []memory.Address {
	const leastCap, maxData = 1024, 256 << 20
	var found []memory.Address
	r := memory.Reader{Memory: mem}
	m := prog.Modules[0]
	for _, part := range []memory.Range{m.BSS, m.NoPtrBSS, m.Data, m.NoPtrData} {
		b, err := r.Bytes(part.Start, part.Size(), maxData)
		if err != nil {
			continue
		}
		le := binary.LittleEndian
		for off := uint64(heapSpans); off+24 <= uint64(len(b)); off += memory.PtrSize {
			list := memory.Slice{Data: memory.Address(le.Uint64(b[off:])), Len: le.Uint64(b[off+8:]), Cap: le.Uint64(b[off+16:])}
			if list.Cap >= leastCap && l.check(r, list, 4) == nil {
				found = append(found, part.Start.Add(off-heapSpans))
			}
		}
	}
	return found
}
