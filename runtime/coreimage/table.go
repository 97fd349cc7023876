package coreimage

import (
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/internal/describe"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// collect takes the program's current regions and exclusions: it keeps the
// regions' memory alive, and determines the addresses of excluded memory.
func (c *image) collect() {
	var redacted []elfcore.Range
	leftOut := receiptBook{c: c, at: map[note.Receipt]int{}}
	secret := func(x registry.ExcludedSpan, base uint64) {
		for _, r := range c.held(x, base) {
			redacted = append(redacted, r)
			leftOut.add(r.Start, r.Len(), note.Receipt{Reason: note.ReasonExcluded, Rule: x.Rule})
		}
	}
	for r := range registry.Regions() {
		e := region{hold: r.Hold(), leads: describe.LeadsOf(&r), Region: note.Region{
			Status: describe.StatusOf(&r),
			ID:     r.ID, Size: r.Size, TypeAddr: uint64(r.TypeAddr()), Budget: r.Budget, Order: r.Order,
			Kind: r.Kind, Flags: r.Flags, Depth: int32(r.Depth),
			Name: r.Name, Expr: r.Expr, Package: r.Package, Pos: r.Pos, Note: r.Note,
		}}
		switch {
		case r.Kind == anchor.SlotForeign:
			e.Addr = uint64(r.Addr())
		case e.hold == nil:
			e.Status = note.Gone
		default:
			e.Addr = uint64(uintptr(e.hold))
		}
		if t := r.Type(); t != nil {
			e.Type = t.String()
			c.types.Add(t)
		}
		if e.Name == "" {
			e.Name = registry.FormatID(r.ID)
		}
		c.regions = append(c.regions, e)
		if e.Addr == 0 {
			continue
		}
		for _, x := range r.Excluded() {
			redacted = append(redacted, elfcore.Range{Start: e.Addr + x.Offset, End: e.Addr + x.Offset + x.Size})
			leftOut.add(e.Addr+x.Offset, x.Size, note.Receipt{ID: e.ID, Reason: reason(x.Rule), Rule: x.Rule})
		}
		// Memory that an excluded value refers to directly is as secret as the value.
		for _, x := range r.ExcludedValues() {
			secret(x, e.Addr)
		}
	}
	for _, x := range registry.ExcludedRanges() {
		redacted = append(redacted, elfcore.Range{Start: x.Offset, End: x.Offset + x.Size})
		secret(x, 0)
	}
	c.redacted = elfcore.Merge(redacted, 0)
	c.seams = seams(c.regions, c.redacted)
}

// A receiptBook writes one receipt for all places of a region that one rule
// excludes: a slice may have millions.
type receiptBook struct {
	c  *image
	at map[note.Receipt]int // by ID, reason and rule
}

func (b *receiptBook) add(addr, size uint64, what note.Receipt) {
	i, ok := b.at[what]
	if !ok {
		i = len(b.c.receipts)
		b.at[what] = i
		b.c.receipts = append(b.c.receipts, what)
	}
	r := &b.c.receipts[i]
	r.Addr = addr
	r.Size += size
	if r.Count++; r.Count > 1 {
		r.Addr = 0 // one receipt for many places has no address
	}
}

func reason(rule string) note.Reason {
	if rule == registry.TypeNotKnown {
		return note.ReasonUnknownType
	}
	return note.ReasonExcluded
}
