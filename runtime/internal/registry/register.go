//go:build !meminspect_off

package registry

import (
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Mode is what Add does if its ID is already registered.
type Mode uint8

// Modes.
const (
	New     Mode = iota // refuse
	Another             // register one more region under the ID
	Replace             // unregister the others
)

// Add registers v under id, or under a new dynamic ID if id is 0, and sets
// v.ID. It allocates only one chunk for every 256 regions that are registered
// at the same time. If it returns an error, which is one of this package, it
// has registered nothing.
func Add(id uint64, v *Slot, mode Mode) error {
	if v.Size == 0 {
		return ErrEmpty
	}
	var c change
	c.begin()
	defer c.end()
	_, err := c.add(id, v, mode)
	return err
}

// A Spec is one registration for AddAll.
type Spec struct {
	ID   uint64
	Slot Slot
	Mode Mode
}

// AddAll registers all of specs or none, in one step, and sets the ID in each
// Slot. If it fails, it returns the index of the Spec that caused the error.
func AddAll(specs []Spec) (int, error) {
	for i := range specs {
		if specs[i].Slot.Size == 0 {
			return i, ErrEmpty
		}
	}
	var c change
	c.begin()
	defer c.end()
	refs := make([]uint32, 0, len(specs))
	for i := range specs {
		s := &specs[i]
		ref, err := c.add(s.ID, &s.Slot, s.Mode)
		if err != nil {
			for _, ref := range refs {
				reg.drop(ref)
			}
			c.events = nil
			return i, err
		}
		refs = append(refs, ref)
	}
	return 0, nil
}

// AddBuiltin registers data under a reserved ID and replaces what was
// registered there.
func AddBuiltin(id uint64, name string, data []byte) error {
	v := &Slot{Kind: anchor.SlotSlice, Base: unsafe.SliceData(data), Size: uint64(len(data)), Type: TypeWord((*byte)(nil)), Name: name}
	if v.Size == 0 {
		return ErrEmpty
	}
	var c change
	c.begin()
	defer c.end()
	c.removeAll(id)
	v.ID = id
	_, err := c.put(v)
	return err
}

// Remove unregisters all regions under id, static entries included, and reports
// whether there were any.
func Remove(id uint64) bool {
	var c change
	c.begin()
	defer c.end()
	return c.removeAll(id)
}

// RemoveAll unregisters all regions under each ID in one step. If an ID had
// none, it returns the first such ID, and false.
func RemoveAll(ids []uint64) (missing uint64, ok bool) {
	var c change
	c.begin()
	defer c.end()
	ok = true
	for _, id := range ids {
		if !c.removeAll(id) && ok {
			missing, ok = id, false
		}
	}
	return missing, ok
}

// RemoveIf unregisters the regions that match, static entries included, and
// reports whether there were any. match must not call this package.
func RemoveIf(match func(*Region) bool) bool {
	var c change
	c.begin()
	defer c.end()
	found := false
	for t := root.tables.Load(); t != nil; t = t.next {
		for i := range t.Entries {
			if r, ok := t.region(&t.Entries[i]); ok && match(&r) {
				c.withdraw(&t.Entries[i], r)
				found = true
			}
		}
	}
	for ref := uint32(1); ref <= reg.chunks*anchor.SlotsPerChunk; ref++ {
		s := reg.slot(ref)
		if s.Kind == anchor.SlotFree || s.Kind == anchor.SlotExcluded {
			continue
		}
		if r := s.region(); match(&r) {
			c.remove(ref)
			found = true
		}
	}
	return found
}

// add registers v within a change, sets v.ID, and returns its slot. It changes
// nothing if it fails.
func (c *change) add(id uint64, v *Slot, mode Mode) (ref uint32, err error) {
	dynamic := id != 0 && reg.find(id, 0) != 0
	entry, _ := findEntry(id)
	switch {
	case mode == New && (dynamic || entry != nil):
		return 0, ErrRegistered
	case id != 0 && !dynamic && id&anchor.NamedBit == 0:
		return 0, ErrReserved
	case !(dynamic && mode == Replace) && !reg.reserve(1):
		return 0, ErrFull
	}
	if mode == Replace {
		c.removeAll(id)
	}
	if v.ID = id; id == 0 {
		v.ID = reg.newID()
	}
	return c.put(v)
}

// put registers v under v.ID, even if other regions have that ID.
func (c *change) put(v *Slot) (ref uint32, err error) {
	if ref = reg.put(v); ref == 0 {
		return 0, ErrFull
	}
	c.note(true, ref)
	return ref, nil
}

// removeAll unregisters all regions under id within a change and reports
// whether there were any.
func (c *change) removeAll(id uint64) bool {
	found := false
	for e, r := findEntry(id); e != nil; e, r = findEntry(id) {
		c.withdraw(e, r)
		found = true
	}
	for ref := reg.find(id, 0); ref != 0; {
		next := reg.find(id, ref)
		c.remove(ref)
		ref, found = next, true
	}
	return found
}

func (c *change) remove(ref uint32) {
	c.note(false, ref)
	reg.drop(ref)
}
