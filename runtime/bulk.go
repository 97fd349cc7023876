package meminspect

import (
	"math"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// A Spec is one registration for [RegisterAll].
type Spec struct{ s registry.Spec }

// Value returns a Spec that registers what [Register] would.
func Value[T any](id ID, p *T, opts ...Option) Spec {
	if registry.Off {
		return Spec{}
	}
	return newSpec(id, value(p), opts)
}

// Elements returns a Spec that registers what [RegisterSlice] would.
func Elements[T any](id ID, s []T, opts ...Option) Spec {
	if registry.Off {
		return Spec{}
	}
	return newSpec(id, elements(s), opts)
}

func newSpec(id ID, s registry.Slot, opts []Option) Spec {
	mode := apply(opts, &s)
	return Spec{registry.Spec{ID: uint64(id), Slot: s, Mode: mode}}
}

// RegisterAll registers all specs in one step and returns their IDs in order.
// If it returns an error, it has registered nothing.
func RegisterAll(specs ...Spec) ([]ID, error) {
	if registry.Off {
		return make([]ID, len(specs)), nil
	}
	all := make([]registry.Spec, len(specs))
	for i := range specs {
		all[i] = specs[i].s
	}
	if i, err := registry.AddAll(all); err != nil {
		return nil, &RegionError{Op: opRegister, ID: ID(all[i].ID), Name: all[i].Slot.Name, Err: err}
	}
	ids := make([]ID, len(all))
	for i := range all {
		ids[i] = ID(all[i].Slot.ID)
	}
	return ids, nil
}

// UnregisterAll unregisters all regions under each of ids in one step. It skips
// IDs without regions; the error names the first of them.
func UnregisterAll(ids ...ID) error {
	if registry.Off {
		return nil
	}
	all := make([]uint64, len(ids))
	for i, id := range ids {
		all[i] = uint64(id)
	}
	if missing, ok := registry.RemoveAll(all); !ok {
		return &RegionError{Op: opUnregister, ID: ID(missing), Err: ErrNotRegistered}
	}
	return nil
}

// UnregisterPointer unregisters the regions that begin at p. Its time is
// proportional to the number of regions.
func UnregisterPointer[T any](p *T) error {
	if registry.Off {
		return nil
	}
	at := uintptr(unsafe.Pointer(p))
	return unregisterIf(func(r *registry.Region) bool { return r.Addr() == at && at != 0 })
}

// UnregisterRange unregisters the regions within size bytes from addr. Its time
// is proportional to the number of regions.
func UnregisterRange(addr uintptr, size uint64) error {
	if registry.Off {
		return nil
	}
	end := uint64(addr) + size
	if end < size {
		end = math.MaxUint64
	}
	return unregisterIf(func(r *registry.Region) bool {
		at := uint64(r.Addr())
		return at != 0 && at >= uint64(addr) && at+r.Size <= end
	})
}

func unregisterIf(match func(*registry.Region) bool) error {
	if !registry.RemoveIf(match) {
		return &RegionError{Op: opUnregister, Err: ErrNotRegistered}
	}
	return nil
}

// New allocates a T and registers it. If there is an error, it returns nil.
func New[T any](id ID, opts ...Option) (*T, ID, error) {
	p := new(T)
	id, err := Register(id, p, opts...)
	if err != nil {
		return nil, 0, err
	}
	return p, id, nil
}

// Make allocates n values of T and registers them. If there is an error, it
// returns nil.
func Make[T any](id ID, n int, opts ...Option) ([]T, ID, error) {
	s := make([]T, max(n, 0))
	id, err := RegisterSlice(id, s, opts...)
	if err != nil {
		return nil, 0, err
	}
	return s, id, nil
}

// Free unregisters what New registered. The garbage collector frees the memory
// once nothing else refers to it.
func Free[T any](p *T) error { return UnregisterPointer(p) }

// FreeSlice unregisters what Make registered.
func FreeSlice[T any](s []T) error { return UnregisterPointer(unsafe.SliceData(s)) }
