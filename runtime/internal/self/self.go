// Package self collects what a program can learn about itself from the
// operating system and from its own headers in memory, for the packages that
// describe it to external readers.
package self

import "github.com/meminspect/meminspect/runtime/format/elfcore"

// PageSize is the smallest page size of the supported systems.
const PageSize = 4096

// A Process is this program as the kernel loaded it.
type Process struct {
	Path     string // of the executable, which may have been deleted
	Host     string
	Kernel   string // release
	Auxv     []byte
	Files    []elfcore.Mapping // of the executable
	Text     []elfcore.Range   // the executable's code
	Writable []elfcore.Range   // its data and bss
	Readable []elfcore.Range   // all readable memory, not only the executable's; sorted
	Bias     uint64            // difference between addresses in memory and in the file
	BuildIDs
}

// BuildIDs identify the executable.
type BuildIDs struct {
	Go  string
	GNU string // hexadecimal
}

// FirstPage returns the first page of the executable, which has its headers and
// build IDs: by them other tools recognize the program. It is empty if that page
// is not mapped.
func (p *Process) FirstPage() elfcore.Range {
	for _, f := range p.Files {
		if f.Offset == 0 {
			return elfcore.Range{Start: f.Start, End: min(f.End, f.Start+pageSize)}
		}
	}
	return elfcore.Range{}
}

// GoroutineCount returns the runtime's number of goroutines. With the fill
// pattern there, Delve would list 11 quintillion. It is empty in a stripped
// program, where Delve does not find it either.
func (p *Process) GoroutineCount() elfcore.Range {
	return Variables(p.Bias)["runtime.allglen"]
}

const pageSize = 4096

// Backlog is the variable with the last text that the runtime printed.
const Backlog = "runtime.printBacklog"

// Bounds returns the bounds of the program's code, as Go's linker knows them,
// and the address of the pc-line table; zeros on unsupported machines.
func Bounds() (text, etext, pclntab uintptr) { return bounds() }

// GoVariables returns the memory of the variables that Go code of the executable
// declares; nothing on unsupported machines. Variables of C code are not among them,
// except with -linkmode=internal, which is the default if all C code is that of the
// standard library.
func GoVariables() []elfcore.Range {
	from, to := sections()
	var out []elfcore.Range
	for i := range from {
		out = append(out, elfcore.Range{Start: uint64(from[i]), End: uint64(to[i])})
	}
	return elfcore.Merge(out, 0)
}
