package read

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/heap"
	"github.com/meminspect/meminspect/internal/walk"
)

// objects finds the bounds of untyped objects that excluded values lead to. It
// reads the heap's spans on the first call.
type objects struct {
	r         *reading
	variables []memory.Range // by address, those of which there are symbols
	slots     *heap.Slots
	err       error // why the heap's spans are unknown
	reads     int   // of the spans
}

// at implements walk.Config.Object: it returns the slot of an object in the
// heap, a variable, or the mapping that contains the address.
func (o *objects) at(addr memory.Address) (memory.Range, bool) {
	if object, ok := o.variable(addr); ok {
		return object, true
	}
	if o.reads == 0 {
		o.read()
	}
	object, inHeap := o.slot(addr)
	for inHeap && object.Empty() && !o.r.held.Still && o.reads < maxSpanReads {
		o.read() // it may be new
		object, inHeap = o.slot(addr)
	}
	if inHeap || o.err != nil {
		return object, o.err == nil
	}
	// C memory, or memory that the program mapped.
	for i := range o.r.maps {
		if m := &o.r.maps[i]; m.Contains(addr) {
			return m.Range, true
		}
	}
	return memory.Range{}, true
}

// maxSpanReads bounds how often the spans of a running program are read.
const maxSpanReads = 8

// read reads the heap's spans, again if the program changes them during the
// read.
func (o *objects) read() {
	place, err := o.r.program.Runtime.Heap()
	if o.err = err; o.err != nil {
		o.reads = maxSpanReads
		return
	}
	for o.err = errNotRead; o.err != nil && o.reads < maxSpanReads; o.reads++ {
		if o.slots, o.err = place.Slots(o.r.mem); o.r.held.Still {
			o.reads = maxSpanReads
			return
		}
		if o.err != nil {
			time.Sleep(time.Millisecond)
		}
	}
}

var errNotRead = errors.New("the heap changes too fast")

func (o *objects) slot(addr memory.Address) (memory.Range, bool) {
	if o.slots == nil {
		return memory.Range{}, false
	}
	return o.slots.At(addr)
}

// variable returns the variable that contains an address, or all variables of
// that kind if the program has no symbols.
func (o *objects) variable(addr memory.Address) (memory.Range, bool) {
	for _, m := range o.r.program.Runtime.Modules {
		for _, part := range []memory.Range{m.NoPtrData, m.Data, m.BSS, m.NoPtrBSS} {
			if !part.Contains(addr) {
				continue
			}
			if o.variables == nil {
				o.variables = o.r.program.Symbols.Objects()
			}
			if i, _ := slices.BinarySearchFunc(o.variables, addr, memory.Range.CompareEnd); i < len(o.variables) && o.variables[i].Contains(addr) {
				return o.variables[i], true
			}
			return part, true
		}
	}
	return memory.Range{}, false
}

// doubts returns why the memory that exclusions cover is unknown.
func (o *objects) doubts(found *walk.Redactor) error {
	if found.Lost > 0 {
		return fmt.Errorf("%d values that they may be about are not in the full core: nothing was taken that may hold the same", found.Lost)
	}
	return fmt.Errorf("%d values that they are about lead to objects of unknown size: nothing was taken that may hold the same: %w", found.Unsized, o.err)
}
