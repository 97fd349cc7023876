//go:build !meminspect_off

package registry

import "github.com/meminspect/meminspect/runtime/format/anchor"

// Count returns the number of used slots, for tests.
func Count() uint64 { return root.regions.Load() }

// Quiet reports whether no slot is being changed, for tests.
func Quiet() bool { return root.seq.Load()%2 == 0 }

// Unlink removes the last linked table, for tests.
func Unlink(t *Table) {
	var c change
	c.begin()
	defer c.end()
	if root.tables.Load() != t {
		panic("another table was linked last")
	}
	root.tables.Store(t.next)
	t.flags &^= anchor.TableLinked
	t.next = nil
	for i := range t.Entries {
		t.Entries[i].Flags &^= anchor.EntryWithdrawn
	}
	excludedChanged(-len(t.Exclusions))
}
