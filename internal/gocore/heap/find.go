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
// ways to find it: those that succeed must agree, and a list of spans must be
// there.
func find(prog *module.Program, mem memory.Memory, l layout, symbol func(string) (memory.Address, bool)) (memory.Address, error) {
	named, isNamed := symbol("runtime.mheap_")
	coded, codeErr := atomicstores.Argument(prog, "runtime.mallocinit", "runtime.(*mheap).init", symbol)
	switch {
	case codeErr == nil && isNamed && named != coded:
		return 0, fmt.Errorf("%w: its symbol is at %v, the code of runtime.mallocinit uses %v", ErrNoHeap, named, coded)
	case codeErr == nil:
		return coded, l.checkSpans(mem, coded)
	case isNamed:
		return named, l.checkSpans(mem, named)
	}
	found := l.search(prog, mem)
	if len(found) != 1 {
		return 0, fmt.Errorf("%w: %w, and %d places in the data look like it", ErrNoHeap, codeErr, len(found))
	}
	return found[0], nil
}

// checkSpans reports an error if no list of spans is in the runtime.mheap at addr.
func (l *layout) checkSpans(mem memory.Memory, addr memory.Address) error {
	r := memory.Reader{Memory: mem}
	list, err := r.Slice(addr.Add(heapSpans))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoHeap, err)
	}
	if !l.plausible(r, list, 1) {
		return fmt.Errorf("%w: no list of spans at %v", ErrNoHeap, addr.Add(heapSpans))
	}
	return nil
}

// Bounds of what is believed; real programs stay far below each.
const (
	maxSpans = 1 << 27
	maxPages = 1 << 28 // 2 TiB of heap
	maxSlots = 1 << 31
)

// plausible reports whether list is runtime.mheap.allspans: of some of its
// elements, spread over it, each must be a span.
func (l *layout) plausible(r memory.Reader, list memory.Slice, least uint64) bool {
	if list.Data == 0 || !list.Data.Aligned(memory.PtrSize) || list.Len < least || list.Len > list.Cap || list.Cap > maxSpans {
		return false
	}
	for _, i := range []uint64{0, list.Len / 3, list.Len / 2, list.Len - 1} {
		at, err := r.Pointer(list.Data.Add(i * memory.PtrSize))
		if err != nil || at == 0 || !at.Aligned(memory.PtrSize) {
			return false
		}
		b, err := r.Bytes(at, uint64(l.span), uint64(l.span))
		if err != nil {
			return false
		}
		if _, _, err := l.decode(b); err != nil {
			return false
		}
	}
	return true
}

// search returns the places in the program's data that look like runtime.mheap_.
func (l *layout) search(prog *module.Program, mem memory.Memory) []memory.Address {
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
			if list.Cap >= leastCap && l.plausible(r, list, 4) {
				found = append(found, part.Start.Add(off-heapSpans))
			}
		}
	}
	return found
}
