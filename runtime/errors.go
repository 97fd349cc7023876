package meminspect

import "errors"

// What can be wrong with a region. Errors of this package wrap one of these in
// a RegionError that names the region.
var (
	ErrRegistered    = errors.New("ID is registered already")
	ErrNotRegistered = errors.New("not registered")
	ErrEmpty         = errors.New("nothing to register: nil or no bytes")
	ErrReserved      = errors.New("ID is reserved: use a generated one or IDDynamic")
	ErrNotGo         = errors.New("not an object on Go's heap")
	ErrRange         = errors.New("range lies outside of its block")
	ErrFull          = errors.New("too many dynamic regions")
	ErrAttached      = errors.New("meminspect: backend is attached already")
	ErrNotAttached   = errors.New("meminspect: backend is not attached")
	ErrPanic         = errors.New("it panicked")
	ErrOff           = errors.New("built with the tag meminspect_off")
)

// A RegionError says which region an error is about.
type RegionError struct {
	Op   string // "register", "unregister", …
	ID   ID     // IDDynamic where none was given
	Name string // of the region, if it has one
	Err  error
}

func (e *RegionError) Error() string {
	s := "meminspect: " + e.Op
	if e.ID != IDDynamic {
		s += " " + e.ID.String()
	}
	if e.Name != "" {
		s += " (" + e.Name + ")"
	}
	return s + ": " + e.Err.Error()
}

func (e *RegionError) Unwrap() error { return e.Err }
