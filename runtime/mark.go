//go:build !meminspect_off

package meminspect

import (
	"slices"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// Mark registers the elements from up to but not including to of a block whose
// parts come and go: an arena, a ring, a pool. Ranges of one block that touch or
// overlap become one region; all of a block's are under one dynamic ID, which
// Mark returns. A block is told by its first element's address. Options are
// those of a block: where none are given, what it has already counts on. Mark
// and Clear look at every region.
func Mark[T any](block []T, from, to int, opts ...Option) (ID, error) {
	if from < 0 || to > len(block) || from > to {
		return 0, &RegionError{Op: "mark", Err: ErrRange}
	}
	var element T
	each := uint64(unsafe.Sizeof(element))
	v := &slot{kind: anchor.SlotSlice, base: (*byte)(unsafe.Pointer(unsafe.SliceData(block))), typ: typeWord((*T)(nil))}
	v.apply(opts)
	return remark("mark", v, uint64(from)*each, uint64(to)*each, true)
}

// Clear takes the elements from up to but not including to of a block out of
// what Mark registered; a region may be split by it. What was not marked is
// left as it is.
func Clear[T any](block []T, from, to int) error {
	if from < 0 || to > len(block) || from > to {
		return &RegionError{Op: "clear", Err: ErrRange}
	}
	var element T
	each := uint64(unsafe.Sizeof(element))
	v := &slot{kind: anchor.SlotSlice, base: (*byte)(unsafe.Pointer(unsafe.SliceData(block))), typ: typeWord((*T)(nil))}
	_, err := remark("clear", v, uint64(from)*each, uint64(to)*each, false)
	return err
}

// A piece is a marked range of a block, in bytes from its start.
type piece struct {
	from, to uint64
	ref      uint32 // its slot, 0 = not registered yet
}

// remark makes a block's marked ranges what they were with [from, to) added or
// taken away, and touches no region that stays as it is.
func remark(op string, v *slot, from, to uint64, mark bool) (ID, error) {
	var c change
	c.begin()
	id := IDDynamic
	var before []piece
	for ref := uint32(1); ref <= reg.chunks*anchor.SlotsPerChunk; ref++ {
		if s := reg.slot(ref); s.kind == anchor.SlotSlice && s.flags&flagMarked != 0 && s.base == v.base && s.typ == v.typ {
			before = append(before, piece{s.addr, s.addr + s.size, ref})
			id = s.id
		}
	}
	if from == to {
		return id, c.end()
	}
	if len(before) > 0 && v.name == "" && v.budget == 0 && v.flags == 0 {
		s := reg.slot(before[0].ref)
		v.name, v.depth, v.budget, v.flags = s.name, s.depth, s.budget, s.flags
	}
	slices.SortFunc(before, func(a, b piece) int {
		if a.from < b.from {
			return -1
		}
		return 1
	})
	after := marked(before, from, to, mark)
	stays := map[uint32]bool{}
	for _, p := range after {
		stays[p.ref] = true
	}
	for _, p := range before {
		if !stays[p.ref] {
			c.remove(p.ref)
		}
	}
	for _, p := range after {
		if p.ref != 0 {
			continue
		}
		if id == IDDynamic {
			id = reg.newID()
		}
		s := &slot{id: id, kind: v.kind, base: v.base, typ: v.typ, name: v.name, depth: v.depth, budget: v.budget, flags: v.flags | flagMarked, addr: p.from, size: p.to - p.from}
		if _, err := c.put(s); err != nil {
			c.end()
			return 0, &RegionError{Op: op, ID: id, Err: err}
		}
	}
	return id, c.end()
}

// flagMarked is set in the flags of slots that Mark made.
const flagMarked uint32 = 1 << 31

// marked returns the ranges of before, which are sorted and apart, with [from,
// to) added or taken away; those that stay as they are keep their slots.
func marked(before []piece, from, to uint64, mark bool) []piece {
	var after []piece
	if !mark {
		for _, p := range before {
			if p.to <= from || p.from >= to {
				after = append(after, p)
				continue
			}
			if p.from < from {
				after = append(after, piece{p.from, from, 0})
			}
			if p.to > to {
				after = append(after, piece{to, p.to, 0})
			}
		}
		return after
	}
	whole := piece{from, to, 0}
	for _, p := range before {
		switch {
		case p.to < from || p.from > to:
			after = append(after, p)
		case p.from <= whole.from && p.to >= whole.to:
			whole = p
		default:
			whole = piece{min(whole.from, p.from), max(whole.to, p.to), 0}
		}
	}
	return append(after, whole)
}
