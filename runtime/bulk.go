//go:build !meminspect_off

package meminspect

import (
	"math"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Spec is a registration yet to be made, for RegisterAll.
type Spec struct {
	id      ID
	v       *slot
	another bool
}

// Value is the Spec of Register.
func Value[T any](id ID, p *T, opts ...Option) Spec {
	return spec(id, &slot{kind: anchor.SlotValue, base: (*byte)(unsafe.Pointer(p)), size: sizeAt(p), typ: typeWord((*T)(nil))}, opts)
}

// Elements is the Spec of RegisterSlice.
func Elements[T any](id ID, s []T, opts ...Option) Spec {
	return spec(id, &slot{kind: anchor.SlotSlice, base: (*byte)(unsafe.Pointer(unsafe.SliceData(s))), size: sizeOf(s), typ: typeWord((*T)(nil))}, opts)
}

func spec(id ID, v *slot, opts []Option) Spec {
	return Spec{id: id, v: v, another: v.apply(opts)}
}

// RegisterAll registers all of specs or none, under one lock: nobody sees some
// of them without the others. It returns their IDs in order.
func RegisterAll(specs ...Spec) ([]ID, error) {
	ids := make([]ID, 0, len(specs))
	for i := range specs {
		if v := specs[i].v; v == nil {
			return nil, &RegionError{Op: opRegister, Err: ErrEmpty}
		} else if v.size == 0 {
			return nil, &RegionError{Op: opRegister, ID: specs[i].id, Name: v.name, Err: ErrEmpty}
		}
	}
	var c change
	c.begin()
	var refs []uint32
	for i := range specs {
		s := &specs[i]
		ref, err := c.add(s.id, s.v, s.another, false)
		if err != nil {
			for _, ref := range refs {
				reg.drop(ref)
			}
			c.events = nil
			c.end()
			return nil, &RegionError{Op: opRegister, ID: s.id, Name: s.v.name, Err: err}
		}
		ids = append(ids, s.v.id)
		refs = append(refs, ref)
	}
	return ids, c.end()
}

// UnregisterAll withdraws all regions under each of ids, under one lock. IDs
// without regions are passed over; the error names the first of them.
func UnregisterAll(ids ...ID) error {
	var c change
	c.begin()
	var missing error
	for _, id := range ids {
		if !c.removeAll(id) && missing == nil {
			missing = &RegionError{Op: opUnregister, ID: id, Err: ErrNotRegistered}
		}
	}
	if err := c.end(); err != nil {
		return err
	}
	return missing
}

// UnregisterPointer withdraws the regions that begin at p.
func UnregisterPointer[T any](p *T) error {
	at := uintptr(unsafe.Pointer(p))
	return unregisterIf(func(r *Region) bool { return r.Addr() == at && at != 0 })
}

// UnregisterRange withdraws the regions that lie wholly within size bytes from
// addr on. It looks at every region.
func UnregisterRange(addr uintptr, size uint64) error {
	end := uint64(addr) + size
	if end < size {
		end = math.MaxUint64
	}
	return unregisterIf(func(r *Region) bool {
		at := uint64(r.Addr())
		return at != 0 && at >= uint64(addr) && at+r.Size <= end
	})
}

// unregisterIf withdraws the dynamic regions that match.
func unregisterIf(match func(*Region) bool) error {
	var c change
	c.begin()
	found := false
	for ref := uint32(1); ref <= reg.chunks*anchor.SlotsPerChunk; ref++ {
		s := reg.slot(ref)
		if s.kind == anchor.SlotFree || s.kind == anchor.SlotExcluded {
			continue
		}
		if r := s.region(); match(&r) {
			c.remove(ref)
			found = true
		}
	}
	err := c.end()
	if !found {
		return &RegionError{Op: opUnregister, Err: ErrNotRegistered}
	}
	return err
}

// New allocates a T and registers it.
func New[T any](id ID, opts ...Option) (*T, ID, error) {
	p := new(T)
	id, err := Register(id, p, opts...)
	if id == 0 {
		return nil, 0, err
	}
	return p, id, err
}

// Make allocates n values of T and registers them.
func Make[T any](id ID, n int, opts ...Option) ([]T, ID, error) {
	s := make([]T, max(n, 0))
	id, err := RegisterSlice(id, s, opts...)
	if id == 0 {
		return nil, 0, err
	}
	return s, id, err
}

// Free withdraws what New registered; the collector takes the memory when
// nobody else has it.
func Free[T any](p *T) error { return UnregisterPointer(p) }

// FreeSlice is Free for Make.
func FreeSlice[T any](s []T) error { return UnregisterPointer(unsafe.SliceData(s)) }
