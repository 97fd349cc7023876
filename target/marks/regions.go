package marks

import (
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/target"
)

// A Region is one that the program registered while it ran.
type Region struct {
	ID     uint64
	Kind   uint32 // package anchor's kinds of slots
	Flags  uint32
	Depth  int32
	Base   target.Address // Go memory, or the weak handle of it
	Offset uint64         // address of foreign memory, or offset from Base
	Bytes  uint64
	Type   target.Address // of the runtime type *T, 0 = none
	Budget uint64
	Order  uint64
	Name   string
	Torn   bool // it was caught in the middle of a change
}

// Addr is the address of the region's first byte, except of a weak one: that
// has to be followed.
func (r *Region) Addr() target.Address {
	switch r.Kind {
	case anchor.SlotForeign:
		return target.Address(r.Offset)
	case anchor.SlotExcluded:
		return r.Base.Add(r.Offset)
	}
	return r.Base
}

// Follow returns where a weak region's object is, or 0 when it was collected.
// A weak handle points at a word that points at the object, or is zero.
func (r *Region) Follow(mem target.Memory) (target.Address, error) {
	if r.Kind != anchor.SlotWeak || r.Base == 0 {
		return r.Addr(), nil
	}
	return target.Reader{Memory: mem}.Pointer(r.Base)
}

// Regions reads the regions registered at run time, in the order in which they
// came. While the program runs a slot may change under the reader's eyes: it is
// read again then, and after that left as torn.
func (s *State) Regions(mem target.Memory) ([]Region, error) {
	var regions []Region
	again := make([]byte, anchor.ChunkSize)
	err := list(mem, s.chunks, anchor.ChunkSize, anchor.ChunkNext, chunksMost, func(at target.Address, b []byte) error {
		// The whole chunk once more: a slot whose sequence number did not move
		// was whole in between.
		n, _ := mem.ReadAt(again, at)
		for i := range anchor.SlotsPerChunk {
			off := anchor.ChunkSlots + i*anchor.SlotSize
			slot := b[off : off+anchor.SlotSize]
			seq, kind := le.Uint32(slot[anchor.SlotSeq:]), le.Uint32(slot[anchor.SlotKind:])
			if kind == anchor.SlotFree && seq%2 == 0 {
				continue
			}
			torn := false
			if seq%2 != 0 || off+anchor.SlotSize > n || le.Uint32(again[off+anchor.SlotSeq:]) != seq {
				slot, torn = settle(mem, at.Add(uint64(off)), slot)
			}
			if r := decodeSlot(slot); r.Kind != anchor.SlotFree {
				r.Torn = torn
				r.Name, _ = text(mem, slot[anchor.SlotName:])
				regions = append(regions, r)
			}
		}
		return nil
	})
	slices.SortStableFunc(regions, func(a, b Region) int {
		switch {
		case a.Order < b.Order:
			return -1
		case a.Order > b.Order:
			return 1
		}
		return 0
	})
	if err != nil {
		return regions, fmt.Errorf("registered regions: %w", err)
	}
	return regions, nil
}

// settle reads a slot until its sequence number is even and the same before and
// after.
func settle(mem target.Memory, at target.Address, first []byte) (slot []byte, torn bool) {
	const tries = 5
	slot = first
	for range tries {
		now, err := target.Reader{Memory: mem}.Bytes(at, anchor.SlotSize, anchor.SlotSize)
		if err != nil {
			return slot, true
		}
		before, after := le.Uint32(slot[anchor.SlotSeq:]), le.Uint32(now[anchor.SlotSeq:])
		if before == after && before%2 == 0 {
			return slot, false
		}
		slot = now
	}
	return slot, true
}

func decodeSlot(b []byte) Region {
	return Region{
		ID:     le.Uint64(b[anchor.SlotID:]),
		Kind:   le.Uint32(b[anchor.SlotKind:]),
		Flags:  le.Uint32(b[anchor.SlotFlags:]),
		Depth:  int32(le.Uint32(b[anchor.SlotDepth:])),
		Base:   target.Address(le.Uint64(b[anchor.SlotBase:])),
		Offset: le.Uint64(b[anchor.SlotAddr:]),
		Bytes:  le.Uint64(b[anchor.SlotBytes:]),
		Type:   target.Address(le.Uint64(b[anchor.SlotType:])),
		Budget: le.Uint64(b[anchor.SlotBudget:]),
		Order:  le.Uint64(b[anchor.SlotOrder:]),
	}
}

// A Heartbeat is a counter that the program must move.
type Heartbeat struct {
	Addr    target.Address
	Name    string
	Limit   int64 // nanoseconds that may pass between two beats
	Count   uint64
	Running bool
}

// Heartbeats reads them.
func (s *State) Heartbeats(mem target.Memory) ([]Heartbeat, error) {
	var all []Heartbeat
	err := list(mem, s.heartbeats, anchor.HeartbeatSize, anchor.HeartbeatNext, heartbeatsMost, func(at target.Address, b []byte) error {
		name, err := text(mem, b[anchor.HeartbeatName:])
		all = append(all, Heartbeat{
			Addr: at, Name: name,
			Limit:   int64(le.Uint64(b[anchor.HeartbeatLimit:])),
			Count:   le.Uint64(b[anchor.HeartbeatCount:]),
			Running: le.Uint32(b[anchor.HeartbeatState:]) == 1,
		})
		return err
	})
	if err != nil {
		return all, fmt.Errorf("heartbeats: %w", err)
	}
	return all, nil
}

// A Ring is a log ring's memory.
type Ring struct {
	Addr    target.Address // of the descriptor
	Name    string
	Version uint32
	Data    target.Range
}

// Rings reads them.
func (s *State) Rings(mem target.Memory) ([]Ring, error) {
	var all []Ring
	err := list(mem, s.rings, anchor.RingSize, anchor.RingNext, ringsMost, func(at target.Address, b []byte) error {
		name, err := text(mem, b[anchor.RingName:])
		all = append(all, Ring{
			Addr: at, Name: name, Version: le.Uint32(b[anchor.RingVersion:]),
			Data: target.RangeOf(target.Address(le.Uint64(b[anchor.RingData:])), le.Uint64(b[anchor.RingBytes:])),
		})
		return err
	})
	if err != nil {
		return all, fmt.Errorf("log rings: %w", err)
	}
	return all, nil
}
