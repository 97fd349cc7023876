// Package self is what a program can learn of itself from the operating system
// and from its own headers in memory: for the packages that describe it to the
// outside.
package self

import "github.com/meminspect/meminspect/runtime/format/elfcore"

// PageSize is the least size of a page on the systems that this package knows.
const PageSize = 4096

// A Process is this program as the kernel loaded it.
type Process struct {
	Path       string // of the executable, which may be gone
	Host       string
	Kernel     string // release
	Auxv       []byte
	Files      []elfcore.Mapping // of the executable
	Text       []elfcore.Range   // the executable's code
	Writable   []elfcore.Range   // its data and bss
	Readable   []elfcore.Range   // all memory that the program may read, the executable's or not; sorted
	Bias       uint64            // what addresses in the executable's file are less by
	GoBuildID  string
	GNUBuildID string // hexadecimal
}

// Bounds returns where the program's code begins and ends, as Go's linker knows
// it, and where the pc-line table stands; zeros on machines that nobody has
// written it for.
func Bounds() (text, etext, pclntab uintptr) { return bounds() }
