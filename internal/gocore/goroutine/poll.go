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
	pollSeq   = 16 // fdseq, another one for each descriptor
	pollRead  = 32 // rg, the goroutine that waits to read
	pollWrite = 40 // wg, the one that waits to write
)

// PollStack is the size of the inner end of a stack that has the frames of
// runtime.netpollblock and its callers in package internal/poll.
const PollStack = 1024

// Polls returns where the pollDesc may be for which the goroutine waits, from the inner end of
// its stack: netpollblock has a pointer to one of the words with the goroutine, and its
// caller has one to the pollDesc. There are at most maxPolls.
func (g *G) Polls(stack []byte) (at []memory.Address) {
	var words []memory.Address // that may be pointers to it
	for ; len(stack) >= memory.PtrSize; stack = stack[memory.PtrSize:] {
		w := memory.Address(binary.LittleEndian.Uint64(stack))
		if w >= lowestPoll && w < highestPoll && w.Aligned(memory.PtrSize) && !g.Stack.Contains(w) {
			words = append(words, w)
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	for _, w := range words {
		for _, off := range []memory.Address{pollRead, pollWrite} {
			if _, ok := slices.BinarySearch(words, w-off); ok && !slices.Contains(at, w-off) && len(at) < maxPolls {
				at = append(at, w-off)
			}
		}
	}
	return at
}

const (
	maxPolls    = 8 // a stack has one or two
	lowestPoll  = 1 << 16
	highestPoll = 1 << 47
)

// A Polled is a descriptor for which a goroutine waits. As long as the program does not close
// the descriptor, the same pollDesc has the same Seq.
type Polled struct {
	FD, Seq uint64
	Write   bool // it waits to write
}

// Polled decodes a pollDesc. It reports false if the goroutine does not wait for it.
func (g *G) Polled(desc []byte) (p Polled, ok bool) {
	if len(desc) < PollSize {
		return Polled{}, false
	}
	word := func(off int) uint64 { return binary.LittleEndian.Uint64(desc[off:]) }
	read, write := word(pollRead) == uint64(g.Addr), word(pollWrite) == uint64(g.Addr)
	p = Polled{FD: word(pollFD), Seq: word(pollSeq), Write: write}
	return p, read != write && p.FD < 1<<31
}
