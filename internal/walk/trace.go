package walk

import (
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Trace is a Memory that records what was read from it. Between a program's
// memory and the gotypes.Set that reads it, it collects the bytes that a reader
// of the core needs to understand the same types without the executable file.
// It must not be used by two goroutines at once.
type Trace struct {
	mem  memory.Memory
	seen []memory.Range
}

// NewTrace returns a Trace over mem.
func NewTrace(mem memory.Memory) *Trace { return &Trace{mem: mem} }

// ReadAt implements memory.Memory.
func (t *Trace) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := t.mem.ReadAt(p, addr)
	if r := memory.RangeOf(addr, uint64(max(n, 0))); !r.Empty() {
		if k := len(t.seen); k > 0 && t.seen[k-1].Start <= r.Start && r.Start <= t.seen[k-1].End {
			t.seen[k-1].End = max(t.seen[k-1].End, r.End)
		} else {
			t.seen = append(t.seen, r)
		}
	}
	return n, err
}

// Seen returns the memory that was read.
func (t *Trace) Seen() memory.Ranges {
	all := memory.RangesOf(t.seen...)
	t.seen = slices.Clone(all)
	return all
}
