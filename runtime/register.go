//go:build !meminspect_off

package meminspect

import (
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// Register marks the memory that p points at until Unregister. With IDDynamic
// it picks an ID, else id must be one that generated code declares; a second
// registration of an ID is refused with ErrRegistered. It returns the region's
// ID. The region keeps *p alive.
//
// Register allocates nothing but a chunk of memory for every 256 regions that
// are registered at once. When a backend refuses the region, Register returns
// the backend's error beside the ID: the region stands all the same.
func Register[T any](id ID, p *T, opts ...Option) (ID, error) {
	return register(opRegister, id, &slot{
		kind: anchor.SlotValue,
		base: (*byte)(unsafe.Pointer(p)),
		size: sizeAt(p),
		typ:  typeWord((*T)(nil)),
	}, opts)
}

// RegisterSlice is Register for the elements of s, as many as there are now.
func RegisterSlice[T any](id ID, s []T, opts ...Option) (ID, error) {
	return register(opRegister, id, &slot{
		kind: anchor.SlotSlice,
		base: (*byte)(unsafe.Pointer(unsafe.SliceData(s))),
		size: sizeOf(s),
		typ:  typeWord((*T)(nil)),
	}, opts)
}

// RegisterString is Register for the bytes of s.
func RegisterString(id ID, s string, opts ...Option) (ID, error) {
	return register(opRegister, id, &slot{
		kind: anchor.SlotString,
		base: unsafe.StringData(s),
		size: uint64(len(s)),
	}, opts)
}

// RegisterForeign is Register for size bytes at addr that Go does not manage:
// mapped memory, C's. Nothing keeps them alive; a capture that finds them gone
// says so.
func RegisterForeign(id ID, addr uintptr, size uint64, opts ...Option) (ID, error) {
	if addr == 0 || uint64(addr)+size < size {
		size = 0
	}
	return register(opRegister, id, &slot{kind: anchor.SlotForeign, addr: uint64(addr), size: size}, opts)
}

// Replace is Register that withdraws what was registered under id before, if
// anything was, in one step: nobody sees the ID without a region.
func Replace[T any](id ID, p *T, opts ...Option) (ID, error) {
	return register(opReplace, id, &slot{
		kind: anchor.SlotValue,
		base: (*byte)(unsafe.Pointer(p)),
		size: sizeAt(p),
		typ:  typeWord((*T)(nil)),
	}, opts)
}

// ReplaceSlice is Replace for the elements of s.
func ReplaceSlice[T any](id ID, s []T, opts ...Option) (ID, error) {
	return register(opReplace, id, &slot{
		kind: anchor.SlotSlice,
		base: (*byte)(unsafe.Pointer(unsafe.SliceData(s))),
		size: sizeOf(s),
		typ:  typeWord((*T)(nil)),
	}, opts)
}

// ReplaceString is Replace for the bytes of s.
func ReplaceString(id ID, s string, opts ...Option) (ID, error) {
	return register(opReplace, id, &slot{
		kind: anchor.SlotString,
		base: unsafe.StringData(s),
		size: uint64(len(s)),
	}, opts)
}

func sizeAt[T any](p *T) uint64 {
	if p == nil {
		return 0
	}
	return uint64(unsafe.Sizeof(*p))
}

func sizeOf[T any](s []T) uint64 {
	var element T
	return uint64(len(s)) * uint64(unsafe.Sizeof(element))
}

// register adds a region under id, or in the place of those that are there.
func register(op string, id ID, v *slot, opts []Option) (ID, error) {
	another := v.apply(opts)
	fail := func(err error) (ID, error) {
		return 0, &RegionError{Op: op, ID: id, Name: v.name, Err: err}
	}
	if v.size == 0 {
		return fail(ErrEmpty)
	}
	var c change
	c.begin()
	if _, err := c.add(id, v, another, op == opReplace); err != nil {
		c.end()
		return fail(err)
	}
	return v.id, c.end()
}

const (
	opRegister   = "register"
	opReplace    = "replace"
	opUnregister = "unregister"
)

// add puts a region into the registry within a change, under v.id from then
// on, and returns its slot.
func (c *change) add(id ID, v *slot, another, replace bool) (ref uint32, err error) {
	taken := id != IDDynamic && reg.find(id, 0) != 0
	switch {
	case id == IDDynamic:
		id = reg.newID()
	case taken && replace:
		c.removeAll(id)
	case taken && !another:
		return 0, ErrRegistered
	case !taken && uint64(id)&anchor.NamedBit == 0:
		return 0, ErrReserved
	}
	v.id = id
	return c.put(v)
}

// put is add for an ID that is v's already, whatever stands under it.
func (c *change) put(v *slot) (ref uint32, err error) {
	if ref = reg.put(v); ref == 0 {
		return 0, ErrFull
	}
	c.note(true, ref)
	return ref, nil
}

// removeAll takes all regions under id out of the registry and reports whether
// there were any.
func (c *change) removeAll(id ID) bool {
	ref := reg.find(id, 0)
	if ref == 0 {
		return false
	}
	for ref != 0 {
		next := reg.find(id, ref)
		c.remove(ref)
		ref = next
	}
	return true
}

func (c *change) remove(ref uint32) {
	c.note(false, ref)
	reg.drop(ref)
}

// Unregister withdraws all regions under id. When a backend fails to withdraw
// one, the region is gone all the same and the backend's error is returned.
func Unregister(id ID) error {
	var c change
	c.begin()
	found := c.removeAll(id)
	err := c.end()
	if !found {
		return &RegionError{Op: opUnregister, ID: id, Err: ErrNotRegistered}
	}
	return err
}
