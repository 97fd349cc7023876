//go:build !meminspect_off

package registry

import (
	"cmp"
	"iter"
	"slices"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// Regions returns the regions that are registered when the iteration begins:
// static entries in the order of their tables and of the source, then dynamic
// ones in the order of their registration. The loop body may register and
// unregister; the iteration is not affected.
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
		reg.mu.Lock()
		dynamic := reg.copyLocked()
		reg.mu.Unlock()
		for _, r := range dynamic {
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

// Lookup returns the first region under id: a dynamic one if there is any, else
// a static entry.
func Lookup(id uint64) (Region, bool) {
	reg.mu.Lock()
	if ref := reg.find(id, 0); ref != 0 {
		r := reg.slot(ref).region()
		reg.mu.Unlock()
		return r, true
	}
	reg.mu.Unlock()
	e, r := findEntry(id)
	return r, e != nil
}

// allLocked returns all regions in the order of Regions. The caller holds the
// registry's mutex.
func (g *registry) allLocked() []Region {
	return append(slices.Collect(staticRegions), g.copyLocked()...)
}

// copyLocked returns the dynamic regions in the order of their registration.
// The caller holds the mutex.
func (g *registry) copyLocked() []Region {
	rs := make([]Region, 0, root.regions.Load())
	for c := range g.dir[:g.chunks] {
		for i := range g.dir[c].slots {
			if s := &g.dir[c].slots[i]; s.Kind != anchor.SlotFree && s.Kind != anchor.SlotExcluded {
				rs = append(rs, s.region())
			}
		}
	}
	slices.SortFunc(rs, func(a, b Region) int { return cmp.Compare(a.Order, b.Order) })
	return rs
}
