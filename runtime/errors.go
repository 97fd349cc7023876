package meminspect

import "github.com/meminspect/meminspect/runtime/internal/registry"

// Errors of a registration. They are wrapped in a [RegionError].
var (
	// ErrRegistered: the ID has a region or a static entry.
	ErrRegistered error = registry.ErrRegistered
	// ErrNotRegistered: there is no region to unregister.
	ErrNotRegistered error = registry.ErrNotRegistered
	// ErrEmpty: the pointer is nil, or there are no bytes.
	ErrEmpty error = registry.ErrEmpty
	// ErrReserved: the ID is neither IDDynamic nor declared by generated code.
	ErrReserved error = registry.ErrReserved
	// ErrNotGo: the memory is not an object on Go's heap.
	ErrNotGo error = registry.ErrNotGo
	// ErrRange: the range is outside its block.
	ErrRange error = registry.ErrRange
	// ErrFull: 1,048,576 dynamic regions are registered.
	ErrFull error = registry.ErrFull
)

// Errors of a backend.
var (
	// ErrAttached: the backend is attached already.
	ErrAttached error = registry.ErrAttached
	// ErrNotAttached: the backend is not attached.
	ErrNotAttached error = registry.ErrNotAttached
	// ErrBackend: the backend is nil, or of a type that cannot be compared.
	ErrBackend error = registry.ErrBackend
	// ErrPanic: the backend panicked in a call.
	ErrPanic error = registry.ErrPanic
)

// A RegionError is an error about one region. Its text is "meminspect: ", the
// operation, and the region's ID and name.
type RegionError struct {
	Op   string // "register", "replace", "unregister", "mark", "clear" or "exclude"
	ID   ID     // IDDynamic if none was given
	Name string // of the region, "" if it has none
	Err  error  // a sentinel of this package
}

// Error returns the operation, the region, and the cause.
func (e *RegionError) Error() string {
	return registry.ErrorText(e.Op, uint64(e.ID), e.Name, e.Err)
}

// Unwrap returns Err.
func (e *RegionError) Unwrap() error { return e.Err }
