package walk

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Copy is what a capture has of a program's memory.
type Copy struct {
	// Memory has the copied bytes. Elsewhere it has anything.
	Memory memory.Memory

	Has      memory.Ranges // what was copied
	Holes    memory.Ranges // what could not be read
	Torn     memory.Ranges // what changed while it was copied
	Redacted memory.Ranges // what is not, or will not be, in the core

	// Omissions are those of the walk that chose what to copy.
	Omissions Omissions

	// Otherwise is why something is missing that no omission accounts for.
	Otherwise note.Status
}

// An Omission is memory that a walk did not capture although something leads
// there.
type Omission struct {
	Addr memory.Address
	Why  note.Status
}

// Omissions are sorted by address, and no more than maxOmissions.
type Omissions []Omission

const maxOmissions = 1 << 20

// at returns why a walk left out what is at an address, 0 if it did not.
func (o Omissions) at(addr memory.Address) note.Status {
	i, _ := slices.BinarySearchFunc(o, addr, func(x Omission, addr memory.Address) int { return cmp.Compare(x.Addr, addr) })
	var why note.Status
	for ; i < len(o) && o[i].Addr == addr; i++ {
		why |= o[i].Why
	}
	return why
}

// omit notes that a walk does not capture what is at addr.
func (w *walker) omit(addr memory.Address, why note.Status) {
	if w.copy != nil || len(w.omissions) >= maxOmissions {
		return
	}
	w.omissions = append(w.omissions, Omission{addr, why})
}

// sorted returns the omissions in order, each once.
func (o Omissions) sorted() Omissions {
	slices.SortFunc(o, func(a, b Omission) int { return cmp.Or(cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.Why, b.Why)) })
	return slices.Compact(o)
}

// auditSteps bounds the values and pages that are looked at for the roots one
// by one. Those that are left are looked at together.
const auditSteps = 16 << 20

// Audit follows each root through a copy of its memory, however deep, and
// returns what the copy has of it. It finds what a walk cannot know: what changed
// after the walk went by, and what another root was to pay for.
//
// Exclusions, depths and budgets of the configuration do not count. If the roots together
// lead to more values than are looked at, the last of them get the status of
// all that these lead to.
func Audit(ctx context.Context, cfg Config, c *Copy) ([]note.Status, error) {
	cfg.Memory, cfg.Exclusions, cfg.Budget, cfg.Arena, cfg.Moving, cfg.Lacks = c.Memory, nil, 0, nil, false, nil
	cfg.Roots = slices.Clone(cfg.Roots)
	for i := range cfg.Roots {
		cfg.Roots[i].Depth, cfg.Roots[i].Budget = Unlimited, 0
	}
	w, err := newWalker(cfg)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	w.copy = c
	found := make([]note.Status, len(cfg.Roots))
	spent := 0
	for first := 0; first < len(cfg.Roots); {
		last := first + 1
		if spent > auditSteps {
			last = len(cfg.Roots)
		}
		w.pages = newPages(c.Memory, auditPages, w.cfg.Pages, nil)
		w.stats, w.effort = Stats{}, 0
		for i := first; i < last; i++ {
			w.pushRoot(i)
		}
		if err := w.rounds(ctx); err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		var all note.Status
		for i := first; i < last; i++ {
			all |= w.roots[i].Status
			if w.stats.Stopped != "" {
				all |= note.Unsupported // not everything was looked at
			}
		}
		for i := first; i < last; i++ {
			found[i] = all
		}
		spent += w.stats.Values + w.effort
		first = last
	}
	return found, nil
}

// auditPages are the pages of a copy that are held at a time.
const auditPages = 8 << 10

// look is capture for an audit: it returns how many bytes of a value, from the
// first one on, the copy has, and notes what it lacks.
func (w *walker) look(root int32, addr memory.Address, size uint64) uint64 {
	c, r := w.copy, memory.RangeOf(addr, size)
	status := &w.roots[root].Status
	for _, part := range []struct {
		ranges memory.Ranges
		why    note.Status
	}{{c.Torn, note.Torn}, {c.Holes, note.Holes}, {c.Redacted, note.Redacted}} {
		if part.ranges.OverlapSize(r) > 0 {
			*status |= part.why
		}
	}
	for _, gap := range c.Has.Gaps(r) {
		if c.Redacted.Contains(gap) || c.Holes.Contains(gap) {
			continue
		}
		// The first bytes of what was left out may be there for another reason.
		*status |= cmp.Or(c.Omissions.at(gap.Start), c.Omissions.at(addr), c.Otherwise)
		size = uint64(gap.Start.Sub(addr))
		break
	}
	w.pages.capture(addr, size)
	return size
}

// blank reports whether an audit must not believe the word at addr.
func (w *walker) blank(addr memory.Address) bool {
	c := w.copy
	return c != nil && (c.Redacted.Has(addr) || c.Holes.Has(addr))
}

// untyped notes that a value leads to memory that has no type.
func (w *walker) untyped(root int32) {
	if w.copy != nil {
		w.roots[root].Status |= note.Untyped
	}
}
