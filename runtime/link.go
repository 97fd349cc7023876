//go:build !meminspect_off

package meminspect

import "github.com/meminspect/meminspect/runtime/format/anchor"

// Off says that the program was built with the tag meminspect_off.
const Off = false

// Link adds a table to the program's. Generated code calls it from init; a
// table that is linked already is left alone. It takes the same time however
// many entries the table has, unless somebody was attached before, who is told
// of each.
func Link(t *Table) {
	var c change
	c.begin()
	if t.flags&anchor.TableLinked == 0 {
		t.flags |= anchor.TableLinked
		t.next = root.tables.Load()
		root.tables.Store(t)
		excludedChanged(len(t.Exclusions))
		c.excluded = len(t.Exclusions) > 0
		for i := range t.Entries {
			if !c.tell {
				break
			}
			if r, ok := t.region(&t.Entries[i]); ok {
				c.events = append(c.events, Event{true, r})
			}
		}
	}
	// A package's init cannot do anything about what a backend has against
	// its entries.
	_ = c.end()
}
