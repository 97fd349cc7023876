// Package self collects what a program can learn about itself from the
// operating system and from its own headers in memory, for the packages that
// describe it to external readers.
package self

import "github.com/meminspect/meminspect/runtime/format/elfcore"

// PageSize is the smallest page size of the supported systems.
const PageSize = 4096

// A Process is this program as the kernel loaded it.
type Process struct {
	Path       string // of the executable, which may have been deleted
	Host       string
	Kernel     string // release
	Auxv       []byte
	Files      []elfcore.Mapping // of the executable
	Text       []elfcore.Range   // the executable's code
	Writable   []elfcore.Range   // its data and bss
	Readable   []elfcore.Range   // all readable memory, not only the executable's; sorted
	Bias       uint64            // difference between addresses in memory and in the file
	GoBuildID  string
	GNUBuildID string // hexadecimal
}

// Bounds returns the bounds of the program's code, as Go's linker knows them,
// and the address of the pc-line table; zeros on unsupported machines.
func Bounds() (text, etext, pclntab uintptr) { return bounds() }
