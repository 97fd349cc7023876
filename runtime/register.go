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
	if p == nil {
		return 0, &RegionError{Op: "register", ID: id, Err: ErrEmpty}
	}
	return register(id, &slot{
		kind: anchor.SlotValue,
		base: (*byte)(unsafe.Pointer(p)),
		size: uint64(unsafe.Sizeof(*p)),
		typ:  typeWord((*T)(nil)),
	}, opts)
}

// RegisterSlice is Register for the elements of s, as many as there are now.
func RegisterSlice[T any](id ID, s []T, opts ...Option) (ID, error) {
	var element T
	return register(id, &slot{
		kind: anchor.SlotSlice,
		base: (*byte)(unsafe.Pointer(unsafe.SliceData(s))),
		size: uint64(len(s)) * uint64(unsafe.Sizeof(element)),
		typ:  typeWord((*T)(nil)),
	}, opts)
}

// RegisterString is Register for the bytes of s.
func RegisterString(id ID, s string, opts ...Option) (ID, error) {
	return register(id, &slot{
		kind: anchor.SlotString,
		base: unsafe.StringData(s),
		size: uint64(len(s)),
	}, opts)
}

// RegisterForeign is Register for size bytes at addr that Go does not manage:
// mapped memory, C's. Nothing keeps them alive; a capture that finds them gone
// says so.
func RegisterForeign(id ID, addr uintptr, size uint64, opts ...Option) (ID, error) {
	if addr == 0 {
		size = 0
	}
	return register(id, &slot{kind: anchor.SlotForeign, addr: uint64(addr), size: size}, opts)
}

// An Option says more about a region.
type Option struct {
	kind uint8
	n    uint64
	s    string
}

const (
	optName uint8 = iota + 1
	optDepth
	optBudget
	optAnother
	optSummary
)

// Name names a region; without it a region is called what its ID is.
func Name(name string) Option { return Option{kind: optName, s: name} }

// Depth says how many pointers a capture follows from the region.
func Depth(n int) Option { return Option{kind: optDepth, n: uint64(n)} }

// Budget says how many bytes a capture takes at most, followed memory included.
func Budget(bytes uint64) Option { return Option{kind: optBudget, n: bytes} }

// InSummary lets the region's value stand in short reports.
func InSummary() Option { return Option{kind: optSummary} }

// Another allows an ID that is registered already: the region is one more
// under it, and Unregister removes them together.
func Another() Option { return Option{kind: optAnother} }

func (s *slot) apply(opts []Option) (another bool) {
	for i := range opts {
		switch o := &opts[i]; o.kind {
		case optName:
			s.name = o.s
		case optDepth:
			s.depth = int32(min(o.n, 1<<31-1))
			s.flags |= anchor.EntryHasDepth
		case optBudget:
			s.budget = o.n
		case optSummary:
			s.flags |= anchor.EntrySummary
		case optAnother:
			another = true
		}
	}
	return another
}

func register(id ID, v *slot, opts []Option) (ID, error) {
	another := v.apply(opts)
	fail := func(err error) (ID, error) {
		return 0, &RegionError{Op: "register", ID: id, Name: v.name, Err: err}
	}
	if v.size == 0 {
		return fail(ErrEmpty)
	}
	var c change
	c.begin()
	switch {
	case id == IDDynamic:
		id = reg.newID()
	case uint64(id)&anchor.NamedBit == 0 && !(another && reg.find(id, 0) != 0):
		c.end()
		return fail(ErrReserved)
	case !another && reg.find(id, 0) != 0:
		c.end()
		return fail(ErrRegistered)
	}
	v.id = id
	ref := reg.put(v)
	if ref == 0 {
		c.end()
		return fail(ErrFull)
	}
	if c.tell {
		c.note(true, reg.slot(ref).region())
	}
	return id, c.end()
}

// Unregister withdraws all regions under id. When a backend fails to withdraw
// one, the region is gone all the same and the backend's error is returned.
func Unregister(id ID) error {
	var c change
	c.begin()
	ref := reg.find(id, 0)
	if ref == 0 {
		c.end()
		return &RegionError{Op: "unregister", ID: id, Err: ErrNotRegistered}
	}
	for ref != 0 {
		next := reg.find(id, ref)
		if c.tell {
			c.note(false, reg.slot(ref).region())
		}
		reg.drop(ref)
		ref = next
	}
	return c.end()
}
