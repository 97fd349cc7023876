package process

import "encoding/binary"

// PC, SP and BP are the thread's program counter, stack pointer and frame
// pointer, or 0 when its registers are not known.
func (th *Thread) PC() uint64 { return th.word(regPC) }

// SP is the stack pointer.
func (th *Thread) SP() uint64 { return th.word(regSP) }

// BP is the frame pointer.
func (th *Thread) BP() uint64 { return th.word(regBP) }

func (th *Thread) word(n int) uint64 {
	if n < 0 || len(th.General) < 8*(n+1) {
		return 0
	}
	return binary.LittleEndian.Uint64(th.General[8*n:])
}

// Words returns the general registers word by word.
func (th *Thread) Words() []uint64 {
	words := make([]uint64, len(th.General)/8)
	for i := range words {
		words[i] = th.word(i)
	}
	return words
}

// Strip takes out of the thread's registers everything but where it is: each
// other general register holds mark, and the rest is gone.
func (th *Thread) Strip(mark uint64) {
	th.Float, th.XState = nil, nil
	keep := make(map[int]bool, len(kept))
	for _, n := range kept {
		keep[n] = true
	}
	for n := 0; 8*(n+1) <= len(th.General); n++ {
		if !keep[n] {
			binary.LittleEndian.PutUint64(th.General[8*n:], mark)
		}
	}
}

// Place makes registers of a thread of which only its place is known, for one
// that was not stopped: zero but for these.
func (th *Thread) Place(pc, sp, bp uint64) {
	th.General = make([]byte, generalSize)
	for _, reg := range []struct {
		n int
		v uint64
	}{{regPC, pc}, {regSP, sp}, {regBP, bp}} {
		if reg.n >= 0 && len(th.General) >= 8*(reg.n+1) {
			binary.LittleEndian.PutUint64(th.General[8*reg.n:], reg.v)
		}
	}
}
