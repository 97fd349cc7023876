//go:build !linux || !(amd64 || arm64)

package minidump

import meminspect "github.com/meminspect/meminspect/runtime"

// A Table is a table of contents that is kept up to date; not on this system.
type Table struct{}

// Open returns ErrUnsupported here.
func Open(string, ...Option) (*Table, error) { return nil, ErrUnsupported }

// Name is "minidump".
func (t *Table) Name() string { return "minidump" }

// RegisterRegion does nothing here.
func (t *Table) RegisterRegion(meminspect.Region) error { return nil }

// UnregisterRegion does nothing here.
func (t *Table) UnregisterRegion(meminspect.Region) error { return nil }

// Close does nothing here.
func (t *Table) Close() error { return nil }
