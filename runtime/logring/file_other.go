//go:build !linux

package logring

// Open returns ErrSystem here.
func Open(string, int) (*Ring, error) { return nil, ErrSystem }
