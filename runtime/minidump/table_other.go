//go:build !linux || !(amd64 || arm64)

package minidump

// A Table is a table of contents that is kept up to date. This system does not
// support it.
type Table struct{}

// Open returns ErrUnsupported on this system.
func Open(string, ...Option) (*Table, error) { return nil, ErrUnsupported }

// Close does nothing on this system.
func (t *Table) Close() error { return nil }
