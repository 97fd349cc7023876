//go:build !meminspect_off

package registry

import (
	"cmp"
	"slices"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Block is memory whose parts are marked and cleared: the elements of a slice
// up to its capacity.
type Block struct {
	Base *byte
	Size uint64
	Type *byte // runtime type *T of an element
}

// Mark registers the bytes [from, to) of a block. Marked ranges of one type
// that touch or overlap within one object become one region, even if they were
// marked through different slices. The ranges of one object share an ID, which
// Mark returns. New regions take name, depth, flags and budget from v, or if v
// sets none, from the object's other ranges.
func Mark(b Block, from, to uint64, v Slot) (uint64, error) {
	v.Kind, v.Type = anchor.SlotSlice, b.Type
	return b.change(from, to, func(before []piece) ([]piece, Slot) {
		if len(before) > 0 {
			s := reg.slot(before[0].ref)
			v.ID = s.ID
			if v.Name == "" && v.Budget == 0 && v.Flags == 0 {
				v.Name, v.Depth, v.Budget, v.Flags = s.Name, s.Depth, s.Budget, s.Flags
			}
		}
		v.Flags |= anchor.SlotMarked
		return union(before, piece{b.at(from), to - from, 0}), v
	})
}

// Clear unregisters the marked bytes of [from, to) of a block. It keeps the
// parts of a region that the range does not cover.
func Clear(b Block, from, to uint64) error {
	_, err := b.change(from, to, func(before []piece) ([]piece, Slot) {
		hole := piece{b.at(from), to - from, 0}
		var v Slot
		if i := slices.IndexFunc(before, hole.overlaps); i >= 0 {
			s := reg.slot(before[i].ref)
			v = Slot{Kind: s.Kind, ID: s.ID, Type: s.Type, Name: s.Name, Depth: s.Depth, Flags: s.Flags, Budget: s.Budget}
		}
		return subtract(before, hole), v
	})
	return err
}

// at returns the address of a byte of the block.
func (b *Block) at(off uint64) *byte { return (*byte)(unsafe.Add(unsafe.Pointer(b.Base), off)) }

// A piece is a marked range of memory.
type piece struct {
	base *byte
	size uint64
	ref  uint32 // its slot, 0 = not registered yet
}

func (p piece) from() uint64 { return uint64(uintptr(unsafe.Pointer(p.base))) }
func (p piece) to() uint64   { return p.from() + p.size }

func (p piece) overlaps(q piece) bool { return p.from() < q.to() && q.from() < p.to() }
func (p piece) touches(q piece) bool  { return p.from() <= q.to() && q.from() <= p.to() }

// change replaces the marked pieces of the block's object, sorted by address,
// by those that next returns. New ones become regions like v. Unchanged regions
// are not touched. If there is no room, change changes nothing.
func (b *Block) change(from, to uint64, next func(before []piece) (after []piece, v Slot)) (uint64, error) {
	var c change
	c.begin()
	defer c.end()
	before := b.pieces()
	if from == to {
		if len(before) == 0 {
			return 0, nil
		}
		return reg.slot(before[0].ref).ID, nil
	}
	after, v := next(before)
	stays := map[uint32]bool{}
	for _, p := range after {
		stays[p.ref] = true
	}
	added, room := stays[0], len(after)-len(before)
	if room > 0 && !reg.reserve(room) {
		return 0, ErrFull
	}
	if v.ID == 0 && added {
		v.ID = reg.newID()
	}
	for _, p := range before {
		if !stays[p.ref] {
			c.remove(p.ref)
		}
	}
	for _, p := range after {
		if p.ref == 0 {
			s := v
			s.Base, s.Size = p.base, p.size
			if _, err := c.put(&s); err != nil {
				return 0, err // unreachable: there is room
			}
		}
	}
	return v.ID, nil
}

// pieces returns the marked pieces of the block's type in the block's object,
// sorted by address. It visits every dynamic region.
func (b *Block) pieces() []piece {
	all := piece{b.Base, b.Size, 0}
	var found []piece
	for ref := uint32(1); ref <= reg.chunks*anchor.SlotsPerChunk; ref++ {
		s := reg.slot(ref)
		if s.Kind != anchor.SlotSlice || s.Flags&anchor.SlotMarked == 0 || s.Type != b.Type {
			continue
		}
		if p := (piece{s.Base, s.Size, ref}); p.overlaps(all) || sameObject(p, all) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(p, q piece) int { return cmp.Compare(p.from(), q.from()) })
	return found
}

// sameObject reports whether p and q are in one object on Go's heap, or touch
// in memory that Go does not collect.
func sameObject(p, q piece) bool {
	object := heapObject(unsafe.Pointer(p.base))
	return object == heapObject(unsafe.Pointer(q.base)) && (object != 0 || p.touches(q) && knowsHeap)
}

// union returns pieces, which are sorted and do not overlap, with one more.
// Unchanged pieces keep their slots.
func union(pieces []piece, p piece) []piece {
	var out []piece
	for _, q := range pieces {
		switch {
		case !q.touches(p):
			out = append(out, q)
		case q.from() <= p.from() && q.to() >= p.to():
			p = q
		default:
			to := max(p.to(), q.to())
			if q.from() < p.from() {
				p.base = q.base
			}
			p.size, p.ref = to-p.from(), 0
		}
	}
	return append(out, p)
}

// subtract returns pieces, which are sorted and do not overlap, without what
// hole covers. Unchanged pieces keep their slots.
func subtract(pieces []piece, hole piece) []piece {
	var out []piece
	for _, q := range pieces {
		if !q.overlaps(hole) {
			out = append(out, q)
			continue
		}
		if q.from() < hole.from() {
			out = append(out, piece{q.base, hole.from() - q.from(), 0})
		}
		if q.to() > hole.to() {
			out = append(out, piece{(*byte)(unsafe.Add(unsafe.Pointer(q.base), hole.to()-q.from())), q.to() - hole.to(), 0})
		}
	}
	return out
}
