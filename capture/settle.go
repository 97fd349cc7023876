package capture

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// settle says how each region ended, now that everything has been read.
func (t *taking) settle(pl *plan) {
	for i := range pl.regions {
		r := &pl.regions[i]
		span := r.span()
		if r.root >= 0 {
			t.settleWalked(r, &t.walked.Ends[r.root])
		}
		if t.image.holes.OverlapSize(span) > 0 {
			r.Status |= note.Unreadable
		}
		if t.image.torn.OverlapSize(span) > 0 {
			r.Status |= note.Torn
		}
		if r.Status&note.Gone == 0 {
			erased, unknown := t.walked.Erasure.Excluded(span)
			lost := erased.Size() + unknown.Size()
			r.Captured = t.image.held(span)
			r.Captured -= min(lost, r.Captured)
			if erased.Size() > 0 {
				r.Status |= note.Erased
			}
		}
		t.summary.Regions.count(r.Status)
	}
	t.summary.Partial = t.summary.Partial || t.summary.Regions.Cut+t.summary.Regions.Torn+t.summary.Regions.Unreadable > 0
}

func (t *taking) settleWalked(r *region, end *walk.End) {
	if end.Cut {
		r.Status |= note.Cut
	}
	if end.State == walk.Unreadable {
		r.Status |= note.Unreadable
	}
	if end.Erased > 0 {
		r.Status |= note.Erased
	}
	for _, rec := range end.Records {
		reason := note.ReasonUnreadable
		if rec.Kind == walk.MapWriting {
			reason = note.ReasonChanged
			r.Status |= note.Torn
		} else {
			r.Status |= note.Broken
		}
		t.receipts = append(t.receipts, note.Receipt{Addr: uint64(rec.Addr), ID: r.ID, Reason: reason, Count: 1, Rule: rec.String()})
	}
	if end.Failures > 0 && r.Status&note.Torn == 0 {
		r.Status |= note.Broken
	}
}

// erase overwrites everything that exclusions cover, wherever the image has it
// and whoever asked for it, and where exclusions stand every byte that nobody
// vouches for.
func (t *taking) erase(pl *plan) {
	e := t.walked.Erasure
	e.Allow(memory.RangesOf(t.known...))
	e.Allow(memory.RangesOf(t.raw...))
	var unknown uint64
	for i := range t.image.pieces {
		p := &t.image.pieces[i]
		_, n := e.Apply(p.Start, p.data)
		unknown += n
	}
	if unknown > 0 {
		t.receipts = append(t.receipts, note.Receipt{Size: unknown, Reason: note.ReasonUnknownType, Count: 1})
	}
	for _, r := range e.Receipts {
		t.receipts = append(t.receipts, note.Receipt{
			Size: r.Bytes, Reason: note.ReasonExcluded, Count: uint32(r.Values), Rule: pl.rules[r.Exclusion],
		})
	}
	if e.Blind > 0 {
		t.summary.problem("exclusions", fmt.Errorf("%d values were too many to search for excluded ones; what they hold was not taken by way of them", e.Blind))
	}
}

func (c *Regions) count(s note.Status) {
	c.All++
	if s == note.Complete {
		c.Complete++
	}
	for _, b := range []struct {
		bit note.Status
		n   *int
	}{{note.Cut, &c.Cut}, {note.Torn, &c.Torn}, {note.Unreadable, &c.Unreadable}, {note.Erased, &c.Erased}, {note.Gone, &c.Gone}, {note.Broken, &c.Broken}} {
		if s&b.bit != 0 {
			*b.n++
		}
	}
}
