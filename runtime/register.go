package meminspect

import (
	"runtime"
	"unsafe"
	"weak"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// Register registers the memory that p points at until Unregister, and returns
// the region's ID: id, which must be one that generated code declares, or an
// assigned one if id is IDDynamic. The region keeps *p alive.
//
// If the ID has a region or a static entry, Register returns [ErrRegistered],
// unless the option [Another] is given; see [Replace]. If there is an error,
// nothing is registered. A backend's refusal is not an error of Register: see
// [Attach].
//
// Register allocates only a chunk of 28 KiB for every 256 regions that are
// registered at the same time.
func Register[T any](id ID, p *T, opts ...Option) (ID, error) {
	if registry.Off {
		return id, nil
	}
	s := value(p)
	return register(opRegister, id, &s, opts)
}

// RegisterSlice is [Register] for the elements of s, up to its length.
func RegisterSlice[T any](id ID, s []T, opts ...Option) (ID, error) {
	if registry.Off {
		return id, nil
	}
	e := elements(s)
	return register(opRegister, id, &e, opts)
}

// RegisterString is [Register] for the bytes of s.
func RegisterString(id ID, s string, opts ...Option) (ID, error) {
	if registry.Off {
		return id, nil
	}
	return register(opRegister, id, &registry.Slot{Kind: anchor.SlotString, Base: unsafe.StringData(s), Size: uint64(len(s))}, opts)
}

// RegisterForeign is [Register] for size bytes at addr that Go does not manage:
// mapped memory, or C memory. The region does not keep them alive. A capture
// reports what it cannot read.
func RegisterForeign(id ID, addr uintptr, size uint64, opts ...Option) (ID, error) {
	if registry.Off {
		return id, nil
	}
	if addr == 0 || uint64(addr)+size < size {
		size = 0
	}
	return register(opRegister, id, &registry.Slot{Kind: anchor.SlotForeign, Addr: uint64(addr), Size: size}, opts)
}

// RegisterWeak is [Register] for an object that the region does not keep alive.
// When the object is collected, the region is unregistered, and backends and
// notifiers are informed. Until then a capture reports the region as gone; it
// never takes another object at the same address. RegisterWeak returns
// [ErrNotGo] for memory that is not an object on Go's heap, such as a global
// variable.
func RegisterWeak[T any](id ID, p *T, opts ...Option) (ID, error) {
	if registry.Off {
		return id, nil
	}
	s := value(p)
	s.Kind = anchor.SlotWeak
	if s.Size > 0 {
		if !registry.OnHeap(unsafe.Pointer(p)) {
			return 0, &RegionError{Op: opRegister, ID: id, Err: ErrNotGo}
		}
		w := weak.Make(p)
		s.Base = *(**byte)(unsafe.Pointer(&w))
	}
	id, err := register(opRegister, id, &s, opts)
	if err == nil {
		runtime.AddCleanup(p, registry.Drop, s.Registration())
	}
	runtime.KeepAlive(p)
	return id, err
}

// Replace is [Register] that also unregisters the current regions and static
// entries under id, in the same step: at no moment is the ID without a region.
// If there is an error, nothing changes.
func Replace[T any](id ID, p *T, opts ...Option) (ID, error) {
	if registry.Off {
		return id, nil
	}
	s := value(p)
	return register(opReplace, id, &s, opts)
}

// ReplaceSlice is [Replace] for the elements of s, up to its length.
func ReplaceSlice[T any](id ID, s []T, opts ...Option) (ID, error) {
	if registry.Off {
		return id, nil
	}
	e := elements(s)
	return register(opReplace, id, &e, opts)
}

// ReplaceString is [Replace] for the bytes of s.
func ReplaceString(id ID, s string, opts ...Option) (ID, error) {
	if registry.Off {
		return id, nil
	}
	return register(opReplace, id, &registry.Slot{Kind: anchor.SlotString, Base: unsafe.StringData(s), Size: uint64(len(s))}, opts)
}

// Unregister unregisters all regions under id: dynamic ones, static entries,
// and exclusions. It returns an error that wraps [ErrNotRegistered] if there
// are none. Only Register under its ID can register a static entry again.
func Unregister(id ID) error {
	if registry.Off {
		return nil
	}
	if !registry.Remove(uint64(id)) {
		return &RegionError{Op: opUnregister, ID: id, Err: ErrNotRegistered}
	}
	return nil
}

// Operations of a RegionError.
const (
	opRegister   = "register"
	opReplace    = "replace"
	opUnregister = "unregister"
	opMark       = "mark"
	opClear      = "clear"
	opExclude    = "exclude"
)

// value returns the slot of *p.
func value[T any](p *T) registry.Slot {
	s := registry.Slot{Kind: anchor.SlotValue, Base: (*byte)(unsafe.Pointer(p)), Type: registry.TypeWord((*T)(nil))}
	if p != nil {
		s.Size = uint64(unsafe.Sizeof(*p))
	}
	return s
}

// elements returns the slot of the elements of s.
func elements[T any](s []T) registry.Slot {
	var element T
	return registry.Slot{
		Kind: anchor.SlotSlice, Base: (*byte)(unsafe.Pointer(unsafe.SliceData(s))),
		Size: uint64(len(s)) * uint64(unsafe.Sizeof(element)), Type: registry.TypeWord((*T)(nil)),
	}
}

func register(op string, id ID, s *registry.Slot, opts []Option) (ID, error) {
	mode := apply(opts, s)
	if op == opReplace {
		mode = registry.Replace
	}
	if err := registry.Add(uint64(id), s, mode); err != nil {
		return 0, &RegionError{Op: op, ID: id, Name: s.Name, Err: err}
	}
	return ID(s.ID), nil
}
