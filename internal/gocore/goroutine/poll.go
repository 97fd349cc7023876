package goroutine

import (
	"encoding/binary"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// PollState is the state of a goroutine that waits for a descriptor.
const PollState = "IO wait"

// Offsets in runtime.pollDesc, the same from Go 1.21 to 1.27.
const (
	PollSize  = 48
	pollFD    = 8
	pollRead  = 32 // rg, the goroutine that waits to read
	pollWrite = 40 // wg, the one that waits to write
)

// PollStack is the size of the inner end of a stack that has the frames of
// runtime.netpollblock and its callers in package internal/poll.
const PollStack = 1024

// Polls returns where the pollDesc may be for which a goroutine waits, from the inner end of
// its stack: netpollblock has a pointer to one of the words with the goroutine, and its
// caller has one to the pollDesc.
func Polls(stack []byte) (at []memory.Address) {
	words := make([]memory.Address, 0, len(stack)/memory.PtrSize)
	for ; len(stack) >= memory.PtrSize; stack = stack[memory.PtrSize:] {
		words = append(words, memory.Address(binary.LittleEndian.Uint64(stack)))
	}
	for _, w := range words {
		for _, off := range []memory.Address{pollRead, pollWrite} {
			if w > off && w.Aligned(memory.PtrSize) && slices.Contains(words, w-off) && !slices.Contains(at, w-off) {
				at = append(at, w-off)
			}
		}
	}
	return at
}

// Polled returns the descriptor of a pollDesc and whether the goroutine waits to write, if
// the goroutine is the one that waits for it.
func (g *G) Polled(desc []byte) (fd uint64, write, ok bool) {
	if len(desc) < PollSize {
		return 0, false, false
	}
	word := func(off int) uint64 { return binary.LittleEndian.Uint64(desc[off:]) }
	read, write := word(pollRead) == uint64(g.Addr), word(pollWrite) == uint64(g.Addr)
	fd = word(pollFD)
	return fd, write, read != write && fd < 1<<31
}
