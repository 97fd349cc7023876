package meminspect

import (
	"unsafe"

	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// Mark registers the elements block[from:to] of memory whose parts come and go:
// an arena, a ring, a pool. Ranges are compared by address: those of one
// element type that touch or overlap in one object become one region, even if
// they were marked through different slices of it. All ranges of an object
// share one dynamic ID, which Mark returns.
//
// Options apply to the new range; without options it inherits those of the
// object's other ranges. If there is an error, nothing changes. The time of
// Mark and Clear is proportional to the number of regions.
func Mark[T any](block []T, from, to int, opts ...Option) (ID, error) {
	if registry.Off {
		return 0, nil
	}
	b, err := newBlock(opMark, block, from, to)
	if err != nil {
		return 0, err
	}
	var s registry.Slot
	apply(opts, &s)
	id, err := registry.Mark(b, uint64(from)*elementSize[T](), uint64(to)*elementSize[T](), s)
	if err != nil {
		return 0, &RegionError{Op: opMark, ID: ID(id), Name: s.Name, Err: err}
	}
	return ID(id), nil
}

// Clear unregisters the marked elements of block[from:to]. It splits a region
// if it clears its middle. If there is an error, nothing changes.
func Clear[T any](block []T, from, to int) error {
	if registry.Off {
		return nil
	}
	b, err := newBlock(opClear, block, from, to)
	if err != nil {
		return err
	}
	if err := registry.Clear(b, uint64(from)*elementSize[T](), uint64(to)*elementSize[T]()); err != nil {
		return &RegionError{Op: opClear, Err: err}
	}
	return nil
}

func newBlock[T any](op string, block []T, from, to int) (registry.Block, error) {
	if from < 0 || to > len(block) || from > to {
		return registry.Block{}, &RegionError{Op: op, Err: ErrRange}
	}
	return registry.Block{
		Base: (*byte)(unsafe.Pointer(unsafe.SliceData(block))),
		Size: uint64(cap(block)) * elementSize[T](),
		Type: registry.TypeWord((*T)(nil)),
	}, nil
}

func elementSize[T any]() uint64 {
	var element T
	return uint64(unsafe.Sizeof(element))
}
