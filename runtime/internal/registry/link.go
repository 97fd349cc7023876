//go:build !meminspect_off

package registry

import (
	"iter"
	"slices"
	"sync/atomic"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// Link adds a table to the program's tables. It ignores a table that is already
// linked. Its time does not depend on the number of entries, except that it
// announces each one to backends and notifiers, if there are any.
func Link(t *Table) {
	var c change
	c.begin()
	defer c.end()
	if t.flags&anchor.TableLinked != 0 {
		return
	}
	t.flags |= anchor.TableLinked
	t.next = root.tables.Load()
	root.tables.Store(t)
	excludedChanged(len(t.Exclusions))
	c.excluded = len(t.Exclusions) > 0
	if !c.tell {
		return
	}
	for i := range t.Entries {
		if r, ok := t.region(&t.Entries[i]); ok {
			c.events = append(c.events, Event{Added: true, Region: r})
		}
	}
}

// Tables returns the linked tables in the order of linking.
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

// NameOf returns the name that a linked table gives to an ID, "" if none does.
func NameOf(id uint64) string {
	if id&anchor.NamedBit == 0 {
		return ""
	}
	for t := root.tables.Load(); t != nil; t = t.next {
		for i := range t.Entries {
			if t.Entries[i].ID == id {
				return t.Entries[i].Name
			}
		}
		for i := range t.Declared {
			if t.Declared[i].ID == id {
				return t.Declared[i].Name
			}
		}
	}
	return ""
}

// findEntry returns the first static entry that is registered under id, and its
// region.
func findEntry(id uint64) (*Entry, Region) {
	if id&anchor.NamedBit == 0 {
		return nil, Region{}
	}
	for t := root.tables.Load(); t != nil; t = t.next {
		for i := range t.Entries {
			if e := &t.Entries[i]; e.ID == id {
				if r, ok := t.region(e); ok {
					return e, r
				}
			}
		}
	}
	return nil, Region{}
}

// withdraw marks a static entry as unregistered, also for external readers.
func (c *change) withdraw(e *Entry, r Region) {
	atomic.StoreUint32(&e.Flags, e.Flags|anchor.EntryWithdrawn)
	if c.tell {
		c.events = append(c.events, Event{Region: r})
	}
}
