package coreimage

import (
	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// collect takes the program's regions and exclusions as they are now: the
// regions' memory is held, what exclusions forbid is known by address.
func (c *image) collect() {
	var erased []elfcore.Range
	secret := func(x meminspect.ExcludedSpan, base uint64) {
		for _, r := range c.held(x, base) {
			erased = append(erased, r)
			c.receipts = append(c.receipts, note.Receipt{Addr: r.Start, Size: r.Len(), Reason: note.ReasonExcluded, Count: 1, Rule: x.Rule})
		}
	}
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
		// What an excluded value holds directly is as secret as itself.
		for _, x := range r.ExcludedValues() {
			secret(x, e.Addr)
		}
	}
	for _, x := range meminspect.ExcludedRanges() {
		erased = append(erased, elfcore.Range{Start: x.Offset, End: x.Offset + x.Size})
		secret(x, 0)
	}
	c.erased = elfcore.Merge(erased, 0)
	c.seams = seams(c.regions, c.erased)
}

func reason(rule string) note.Reason {
	if rule == meminspect.TypeNotKnown {
		return note.ReasonUnknownType
	}
	return note.ReasonExcluded
}
