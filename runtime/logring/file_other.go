//go:build !linux

package logring

// Open returns ErrSystem on this system.
func Open(string, int) (*Ring, error) { return nil, ErrSystem }
