//go:build !meminspect_off

package registry

// A Registration identifies one region among all that have had its ID.
type Registration struct {
	id    uint64
	order uint64
}

// Registration returns the registration of a slot that Add has filled.
func (s *Slot) Registration() Registration { return Registration{s.ID, s.order} }

// Drop unregisters one region if it is still registered.
func Drop(r Registration) {
	var c change
	c.begin()
	defer c.end()
	for ref := reg.find(r.id, 0); ref != 0; ref = reg.find(r.id, ref) {
		if reg.slot(ref).order == r.order {
			c.remove(ref)
			return
		}
	}
}
