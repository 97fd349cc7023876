package goroutine

import "github.com/meminspect/meminspect/internal/core/memory"

// A Local is where each thread on amd64 keeps the address of the runtime.g that it
// runs: the distance of this word below the thread pointer. It is the same for all
// threads of a program.
type Local uint64

// Cell returns the address of the word of the thread with this thread pointer.
func (l Local) Cell(pointer memory.Address) memory.Address { return pointer - memory.Address(l) }

// FindLocal returns where the threads with these thread pointers keep the address of
// their runtime.g. Without other thread-local variables it is the word below the
// thread pointer. The linker may put variables of C between them, so FindLocal
// looks at size bytes, from the thread pointer down, for the word that most threads
// have there. A word counts only if it leads to a runtime.g whose thread record
// names it.
func (l Layout) FindLocal(mem memory.Memory, pointers []memory.Address, size uint64) Local {
	const adjacent, maxThreads, enough, maxSize = Local(memory.PtrSize), 64, 4, 64 << 10
	found := map[Local]int{}
	best := adjacent
	for _, pointer := range pointers[:min(len(pointers), maxThreads)] {
		if found[best] >= enough {
			break
		}
		if !pointer.Aligned(memory.PtrSize) {
			continue
		}
		for at := adjacent; uint64(at) <= min(size, maxSize, uint64(pointer)); at += memory.PtrSize {
			addr, err := memory.Reader{Memory: mem}.Pointer(at.Cell(pointer))
			if err != nil {
				break
			}
			if !l.runs(mem, addr) {
				continue
			}
			found[at]++
			if found[at] > found[best] || found[at] == found[best] && at < best {
				best = at
			}
			if at == adjacent {
				break // copies of the word may be on the stack below
			}
		}
	}
	return best
}

// runs reports whether there is a runtime.g at addr that its thread record names.
func (l Layout) runs(mem memory.Memory, addr memory.Address) bool {
	if addr == 0 || !addr.Aligned(memory.PtrSize) {
		return false
	}
	size := uint64(l.Size)
	b, err := memory.Reader{Memory: mem}.Bytes(addr, size, size)
	if err != nil {
		return false
	}
	g, err := l.Decode(addr, b)
	if err != nil || g.M == 0 {
		return false
	}
	m, err := l.ReadM(mem, g.M)
	return err == nil && (addr == m.Cur || addr == m.G0 || addr == m.GSignal)
}
