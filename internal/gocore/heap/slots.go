package heap

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// A Place is where a program keeps its heap, for those who need nothing of it but
// the bounds of objects.
type Place struct {
	layout Layout
	heap   memory.Address // runtime.mheap_
}

// FindPlace finds the heap of a program, which may be running. symbol is as for
// [Find].
func FindPlace(prog *module.Program, symbol func(string) (memory.Address, bool)) (Place, error) {
	l, err := LayoutOf(prog.Version)
	if err != nil {
		return Place{}, err
	}
	addr, err := find(prog, l, symbol)
	return Place{l, addr}, err
}

// Slots are the places of objects in a heap.
type Slots struct {
	spans []span
	pages pageTable
}

// Slots reads the heap's spans. It fails if they contradict each other, as they may
// if the program is running.
func (p Place) Slots(mem memory.Memory) (*Slots, error) {
	spans, manual, _, err := p.layout.readSpans(mem, p.heap)
	if err != nil {
		return nil, fmt.Errorf("read the heap's spans: %w", err)
	}
	s := &Slots{spans: append(spans, manual...)}
	if s.pages, err = newPageTable(s.spans); err != nil {
		return nil, fmt.Errorf("read the heap's spans: %w", err)
	}
	return s, nil
}

// At returns the slot of an object that an address is in, or the span if it has no
// objects: stacks are in those. It returns an empty range for an address in the
// heap that is free, and false for one outside of the heap.
func (s *Slots) At(addr memory.Address) (memory.Range, bool) {
	a := uint64(addr)>>arenaShift - s.pages.low
	if a >= uint64(len(s.pages.arenas)) || s.pages.arenas[a] == 0 {
		return memory.Range{}, false
	}
	i := s.pages.pages[s.pages.index(uint64(addr))]
	if i == 0 {
		return memory.Range{}, true
	}
	sp := &s.spans[i-1]
	base := memory.Address(sp.base)
	if sp.nelems == 0 {
		return memory.RangeOf(base, sp.size), true
	}
	k := uint64(addr.Sub(base)) * uint64(sp.divMul) >> 32
	if k >= uint64(sp.nelems) {
		return memory.Range{}, true // the end of the span
	}
	return memory.RangeOf(base.Add(k*sp.elem), sp.elem), true
}
