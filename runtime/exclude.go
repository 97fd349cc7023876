package meminspect

import "github.com/meminspect/meminspect/runtime/internal/registry"

// Exclude keeps *p out of every capture, whatever is registered there, until
// Unregister is called with the returned ID. It keeps *p alive.
func Exclude[T any](p *T) (ID, error) {
	if registry.Off {
		return 0, nil
	}
	s := value(p)
	return exclude(&s)
}

// ExcludeSlice is [Exclude] for the elements of s, up to its length.
func ExcludeSlice[T any](s []T) (ID, error) {
	if registry.Off {
		return 0, nil
	}
	e := elements(s)
	return exclude(&e)
}

func exclude(s *registry.Slot) (ID, error) {
	if err := registry.Exclude(s); err != nil {
		return 0, &RegionError{Op: opExclude, Err: err}
	}
	return ID(s.ID), nil
}
