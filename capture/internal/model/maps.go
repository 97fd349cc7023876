package model

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

// SmallGap is a gap between two pieces of memory that is always filled: a
// program header, or two of them where a segment of the fill pattern would be in
// between, takes as many bytes.
const SmallGap = 64

// Constant returns the memory of files that the program cannot have changed,
// sorted: debuggers read what of it they do not find in a core from the files.
// data is the writable memory of the files.
func Constant(maps []process.Mapping, data memory.Ranges) memory.Ranges {
	var read []memory.Range
	for _, m := range maps {
		if m.Inode != 0 && !m.Write {
			read = append(read, m.Range)
		}
	}
	return memory.RangesOf(read...).Minus(data)
}
