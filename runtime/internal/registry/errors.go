package registry

import "strings"

// An Error is a sentinel error. It is a constant, so the variables that publish
// it are static data, and the linker drops them from programs that do not use
// them.
type Error string

func (e Error) Error() string { return string(e) }

// Errors of a region or a backend. Package meminspect documents them.
const (
	ErrRegistered    = Error("meminspect: ID is registered already")
	ErrNotRegistered = Error("meminspect: not registered")
	ErrEmpty         = Error("meminspect: nothing to register: nil or no bytes")
	ErrReserved      = Error("meminspect: ID is reserved: use a generated one or IDDynamic")
	ErrNotGo         = Error("meminspect: not an object on Go's heap")
	ErrRange         = Error("meminspect: range lies outside of its block")
	ErrFull          = Error("meminspect: too many dynamic regions")
	ErrTagKey        = Error("meminspect: a tag's key has 1 to 64 letters, digits, or characters of ._-/")
	ErrTags          = Error("meminspect: too many tags: a program has at most 32 keys")
	ErrAttached      = Error("meminspect: backend is attached already")
	ErrNotAttached   = Error("meminspect: backend is not attached")
	ErrBackend       = Error("meminspect: backend is nil or not comparable")
	ErrPanic         = Error("meminspect: backend panicked")
)

// ErrorText returns the text of an error about a region: the operation, the
// region, and the cause.
func ErrorText(op string, id uint64, name string, err error) string {
	s := "meminspect: " + op
	if id != 0 {
		s += " " + FormatID(id)
	}
	if name != "" && name != FormatID(id) {
		s += " (" + name + ")"
	}
	return s + ": " + strings.TrimPrefix(err.Error(), "meminspect: ")
}
