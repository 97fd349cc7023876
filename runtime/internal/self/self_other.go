//go:build !linux || !(amd64 || arm64)

package self

import (
	"errors"
	"runtime"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Inspect returns an error on this system.
func Inspect() (*Process, error) {
	return nil, errors.New("no way to look at the program itself on " + runtime.GOOS + "/" + runtime.GOARCH)
}

// KernelRelease returns "" on this system.
func KernelRelease() string { return "" }

// Read returns 0 on this system.
func Read([]byte, uint64) int { return 0 }

// ReadBuildIDs returns none on this system.
func ReadBuildIDs() BuildIDs { return BuildIDs{} }

// Variables returns nil on this system.
func Variables(uint64) map[string]elfcore.Range { return nil }
