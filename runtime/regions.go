//go:build !meminspect_off

package meminspect

import (
	"iter"
	"slices"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// Regions returns the regions that are registered at the moment of the call of
// the iterator: static entries in the order of their tables and of the source,
// then dynamic ones in the order in which they came. The body may register and
// unregister; the iteration does not see it.
func Regions() iter.Seq[Region] {
	return func(yield func(Region) bool) {
		more := true
		staticRegions(func(r Region) bool {
			more = yield(r)
			return more
		})
		if !more {
			return
		}
		for _, r := range reg.snapshot() {
			if !yield(r) {
				return
			}
		}
	}
}

// staticRegions is an iterator over the linked tables' entries.
func staticRegions(yield func(Region) bool) {
	for t := range Tables() {
		for i := range t.Entries {
			if r, ok := t.region(&t.Entries[i]); ok && !yield(r) {
				return
			}
		}
	}
}

// Tables returns the linked tables, the first linked first.
func Tables() iter.Seq[*Table] {
	return func(yield func(*Table) bool) {
		var tables []*Table
		for t := root.tables.Load(); t != nil; t = t.next {
			tables = append(tables, t)
		}
		for _, t := range slices.Backward(tables) {
			if !yield(t) {
				return
			}
		}
	}
}

// Lookup returns the first region under id.
func Lookup(id ID) (Region, bool) {
	reg.mu.Lock()
	if ref := reg.find(id, 0); ref != 0 {
		r := reg.slot(ref).region()
		reg.mu.Unlock()
		return r, true
	}
	reg.mu.Unlock()
	for t := root.tables.Load(); t != nil; t = t.next {
		for i := range t.Entries {
			if t.Entries[i].ID == id {
				return t.region(&t.Entries[i])
			}
		}
	}
	return Region{}, false
}

// snapshot returns the dynamic regions in the order of their registration.
func (g *registry) snapshot() []Region {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.copyLocked()
}

func (g *registry) copyLocked() []Region {
	rs := make([]Region, 0, root.regions.Load())
	for c := range g.dir[:g.chunks] {
		for i := range g.dir[c].slots {
			if s := &g.dir[c].slots[i]; s.kind != anchor.SlotFree && s.kind != anchor.SlotExcluded {
				rs = append(rs, s.region())
			}
		}
	}
	slices.SortFunc(rs, func(a, b Region) int {
		if a.Order < b.Order {
			return -1
		}
		return 1
	})
	return rs
}
