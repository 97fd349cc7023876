package model

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

// SmallGap is the size of a gap between two pieces of memory that is always
// filled: a program header, or two if a segment of the fill pattern is between
// them, takes as many bytes.
const SmallGap = 64

// Constant returns the sorted memory of files that the program cannot have
// changed: debuggers read it from the files if a core lacks it. data is the
// writable memory of the files.
func Constant(maps []process.Mapping, data memory.Ranges) memory.Ranges {
	var read []memory.Range
	for _, m := range maps {
		if m.Inode != 0 && !m.Write {
			read = append(read, m.Range)
		}
	}
	return memory.RangesOf(read...).Minus(data)
}
