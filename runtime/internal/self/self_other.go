//go:build !linux || !(amd64 || arm64)

package self

import (
	"errors"
	"runtime"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Inspect looks at the program.
func Inspect() (*Process, error) {
	return nil, errors.New("no way to look at the program itself on " + runtime.GOOS + "/" + runtime.GOARCH)
}

// KernelRelease returns "" here.
func KernelRelease() string { return "" }

// Read returns 0: nothing can be read.
func Read([]byte, uint64) int { return 0 }

// Symbols returns nothing: there is no table.
func Symbols(uint64, func(name string) bool) map[string]elfcore.Range { return nil }
