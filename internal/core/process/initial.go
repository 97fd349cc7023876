package process

import (
	"bytes"
	"encoding/binary"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// maxInitial bounds the part of a stack in which InitialStack looks for the
// auxiliary vector: the kernel limits arguments and environment to 6 MiB.
const maxInitial = 8 << 20

// InitialStack returns the start of a program's initial stack, for a process
// that the kernel no longer describes: the word with the number of arguments,
// below the pointers to arguments and environment and below the auxiliary
// vector auxv. stack is the mapping that ends with it. It returns false if
// memory does not have that form.
func InitialStack(mem memory.Memory, stack memory.Range, auxv []byte) (memory.Address, bool) {
	const word = memory.PtrSize
	if len(auxv) < 4*word || !stack.End.Aligned(word) {
		return 0, false
	}
	size := min(stack.Size(), maxInitial)
	top := stack.End - memory.Address(size)
	data := make([]byte, size)
	if n, _ := mem.ReadAt(data, top); uint64(n) < size {
		return 0, false
	}
	at := bytes.LastIndex(data, endOfAuxv(auxv))
	if at < 0 || at%word != 0 {
		return 0, false
	}
	next := func() (uint64, bool) {
		if at < word {
			return 0, false
		}
		at -= word
		return binary.LittleEndian.Uint64(data[at:]), true
	}
	// Search downwards: the end of the environment, its pointers, the end of the
	// arguments, their pointers, their number.
	if end, ok := next(); !ok || end != 0 {
		return 0, false
	}
	for pointer := uint64(1); pointer != 0; {
		var ok bool
		if pointer, ok = next(); !ok {
			return 0, false
		}
	}
	for count := uint64(0); ; count++ {
		w, ok := next()
		switch {
		case !ok:
			return 0, false
		case w == count:
			return top.Add(uint64(at)), true
		case w < uint64(top):
			return 0, false // neither a pointer into the stack nor their number
		}
	}
}

// endOfAuxv returns an auxiliary vector up to its last entry.
func endOfAuxv(auxv []byte) []byte {
	const entry = 2 * memory.PtrSize
	for at := 0; at+entry <= len(auxv); at += entry {
		if binary.LittleEndian.Uint64(auxv[at:]) == 0 { // AT_NULL
			return auxv[:at+entry]
		}
	}
	return auxv
}
