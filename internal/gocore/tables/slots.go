package tables

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Slot is a dynamic region.
type Slot struct {
	Addr   memory.Address // of the slot itself
	Kind   uint32         // see package anchor
	ID     uint64
	Base   memory.Address // Go memory, or the weak handle of it
	Offset uint64         // address of foreign memory; offset from Base otherwise
	Bytes  uint64
	Type   memory.Address // of the runtime type *T of an element, or 0
	Name   string
	Depth  int32 // counts only under anchor.EntryHasDepth
	Flags  uint32
	Budget uint64
	Order  uint64 // counts registrations
	// Torn is set when the slot changed under each attempt to read it: what
	// it has may belong to two regions.
	Torn bool
}

// maxSlotsRead is enough for some five million slots, each read twice.
const maxSlotsRead = 1 << 30

// slotTries is how often a changing slot is read.
const slotTries = 100

// Slots reads the used slots, in the order in which their regions were
// registered. An error comes with those before it.
func Slots(mem memory.Memory, a *Anchor) ([]Slot, error) {
	d := newDecoder(mem)
	d.left = maxSlotsRead
	var all []Slot
	var names []text
	err := d.list(a.Chunks, "dynamic regions", func(addr memory.Address) (memory.Address, error) {
		chunk, err := d.record(addr, anchor.ChunkSize)
		if err != nil {
			return 0, fmt.Errorf("dynamic regions at %v: %w", addr, err)
		}
		// The sequence numbers again, after all slots: those that did not
		// move are good.
		again, err := d.record(addr, anchor.ChunkSize)
		if err != nil {
			return 0, fmt.Errorf("dynamic regions at %v: %w", addr, err)
		}
		for i := range uint64(anchor.SlotsPerChunk) {
			off := anchor.ChunkSlots + i*anchor.SlotSize
			first := &record{d: d, addr: addr.Add(off), b: chunk.b[off : off+anchor.SlotSize]}
			second := again.b[off : off+anchor.SlotSize]
			s, err := d.slot(first, second)
			if err != nil {
				return 0, fmt.Errorf("dynamic region at %v: %w", addr.Add(off), err)
			}
			if s.Kind != anchor.SlotFree {
				all = append(all, s)
				names = append(names, text{first.pointer(anchor.SlotName), first.u64(anchor.SlotName + 8)})
			}
		}
		return chunk.pointer(anchor.ChunkNext), nil
	})
	for i, name := range d.texts(names) {
		all[i].Name = name // one that cannot be read is no reason to lose a region
	}
	slices.SortStableFunc(all, func(a, b Slot) int { return cmp.Compare(a.Order, b.Order) })
	return all, err
}

// slot decodes r when it was stable between two readings, else reads it again.
func (d *decoder) slot(r *record, second []byte) (Slot, error) {
	stable := func() bool { return r.u32(anchor.SlotSeq)%2 == 0 && bytes.Equal(r.b, second) }
	tries := 0
	for ; !stable() && tries < slotTries; tries++ {
		again, err := d.r.Bytes(r.addr, anchor.SlotSize, anchor.SlotSize)
		if err != nil {
			return Slot{}, err
		}
		r.b, second = second, again
	}
	s := Slot{
		Addr:   r.addr,
		Kind:   r.u32(anchor.SlotKind),
		ID:     r.u64(anchor.SlotID),
		Base:   r.pointer(anchor.SlotBase),
		Offset: r.u64(anchor.SlotAddr),
		Bytes:  r.u64(anchor.SlotBytes),
		Type:   r.pointer(anchor.SlotType),
		Depth:  int32(r.u32(anchor.SlotDepth)),
		Flags:  r.u32(anchor.SlotFlags),
		Budget: r.u64(anchor.SlotBudget),
		Order:  r.u64(anchor.SlotOrder),
		Torn:   !stable(),
	}
	return s, nil
}

// A text is the location of a string's bytes.
type text struct {
	data memory.Address
	size uint64
}

// texts reads many strings at once. What cannot be read, or is longer than a
// name can be, is "".
func (d *decoder) texts(where []text) []string {
	var ranges []memory.Range
	for _, t := range where {
		if t.size > 0 && t.size <= maxText && t.size <= d.left {
			d.left -= t.size
			ranges = append(ranges, memory.RangeOf(t.data, t.size))
		}
	}
	ranges = memory.RangesOf(ranges...)
	const near = 1024 // names are short, and a page has many
	all := make([]string, len(where))
	data, holes, err := memory.Gather(d.r.Memory, ranges, near, nil, nil)
	if err != nil {
		return all
	}
	for i, t := range where {
		r := memory.RangeOf(t.data, t.size)
		at, _ := slices.BinarySearchFunc(ranges, r.Start, memory.Range.CompareEnd)
		if r.Empty() || at == len(ranges) || !ranges[at].ContainsRange(r) {
			continue
		}
		if memory.Ranges(holes).OverlapSize(r) > 0 {
			continue
		}
		from := r.Start - ranges[at].Start
		all[i] = string(data[at][from : uint64(from)+t.size])
	}
	return all
}

// Memory returns the range that the slot's region covers now. A weak region
// whose value is gone has the empty range.
func (s Slot) Memory(mem memory.Memory) (memory.Range, error) {
	switch s.Kind {
	case anchor.SlotForeign:
		return memory.RangeOf(memory.Address(s.Offset), s.Bytes), nil
	case anchor.SlotWeak:
		if s.Base == 0 {
			return memory.Range{}, nil
		}
		at, err := memory.Reader{Memory: mem}.Pointer(s.Base)
		if err != nil {
			return memory.Range{}, fmt.Errorf("weak handle of the region at %v: %w", s.Addr, err)
		}
		if at == 0 {
			return memory.Range{}, nil
		}
		return memory.RangeOf(at.Add(s.Offset), s.Bytes), nil
	case anchor.SlotValue, anchor.SlotSlice, anchor.SlotString, anchor.SlotExcluded:
		return memory.RangeOf(s.Base.Add(s.Offset), s.Bytes), nil
	}
	return memory.Range{}, fmt.Errorf("dynamic region at %v: kind %d is not known", s.Addr, s.Kind)
}
