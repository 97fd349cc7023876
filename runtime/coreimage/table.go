package coreimage

import (
	"encoding/binary"
	"reflect"
	"unsafe"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// collect takes the program's regions and exclusions as they are now: the
// regions' memory is held, what exclusions forbid is known by address.
func (c *image) collect() {
	var erased []elfcore.Range
	for r := range meminspect.Regions() {
		e := region{hold: r.Hold(), Region: note.Region{
			ID: uint64(r.ID), Size: r.Size, TypeAddr: uint64(r.TypeAddr()), Budget: r.Budget, Order: r.Order,
			Kind: uint32(r.Kind), Flags: r.Flags, Depth: int32(r.Depth),
			Name: r.Name, Expr: r.Expr, Package: r.Package, Pos: r.Pos, Note: r.Note,
		}}
		switch {
		case r.Kind == meminspect.KindForeign:
			e.Addr = uint64(r.Addr())
		case e.hold == nil:
			e.Status = note.Gone
		default:
			e.Addr = uint64(uintptr(e.hold))
		}
		if t := r.Type(); t != nil {
			e.Type = t.String()
		}
		if e.Name == "" {
			e.Name = r.ID.String()
		}
		c.regions = append(c.regions, e)
		if e.Addr == 0 {
			continue
		}
		for _, x := range r.Excluded() {
			erased = append(erased, elfcore.Range{Start: e.Addr + x.Offset, End: e.Addr + x.Offset + x.Size})
			c.receipts = append(c.receipts, note.Receipt{Addr: e.Addr + x.Offset, Size: x.Size, ID: e.ID, Reason: reason(x.Rule), Count: 1, Rule: x.Rule})
		}
	}
	for _, x := range meminspect.ExcludedRanges() {
		erased = append(erased, elfcore.Range{Start: x.Offset, End: x.Offset + x.Size})
		// What an excluded variable holds directly is as secret as itself.
		if r, ok := c.target(x); ok {
			erased = append(erased, r)
			c.receipts = append(c.receipts, note.Receipt{Addr: r.Start, Size: r.Len(), Reason: note.ReasonExcluded, Count: 1, Rule: x.Rule})
		}
	}
	c.erased = elfcore.Merge(erased, 0)
}

func reason(rule string) note.Reason {
	if rule == meminspect.TypeNotKnown {
		return note.ReasonUnknownType
	}
	return note.ReasonExcluded
}

// target returns the elements of a slice, the bytes of a string or what a
// pointer points at. It is read through the kernel: the program may be writing.
func (c *image) target(x meminspect.ExcludedSpan) (elfcore.Range, bool) {
	if x.Type == nil || unsafe.Sizeof(uintptr(0)) != 8 {
		return elfcore.Range{}, false
	}
	var words [16]byte
	n := min(int(x.Size), len(words))
	if n < 8 || c.read(words[:n], x.Offset) != n {
		return elfcore.Range{}, false
	}
	at, length := binary.NativeEndian.Uint64(words[:]), binary.NativeEndian.Uint64(words[8:])
	var size uint64
	switch x.Type.Kind() {
	case reflect.Slice:
		size = uint64(x.Type.Elem().Size()) * length
	case reflect.String:
		size = length
	case reflect.Pointer:
		size = uint64(x.Type.Elem().Size())
	}
	// A header caught in the middle of a change may say anything.
	if at == 0 || size == 0 || size > 1<<40 || at+size < at {
		return elfcore.Range{}, false
	}
	return elfcore.Range{Start: at, End: at + size}, true
}
