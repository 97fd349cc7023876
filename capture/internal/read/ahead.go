package read

import (
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// ahead is a memory of which many small pieces have been read at once: one by
// one, those of thousands of threads take longer than all the rest.
type ahead struct {
	memory.Memory
	pieces map[memory.Address][]byte
}

// fetch reads size bytes at each address. What cannot be read, or overlaps another
// piece, is left to ReadAt.
func (a *ahead) fetch(size uint64, addrs []memory.Address) {
	slices.Sort(addrs)
	ranges := make([]memory.Range, 0, len(addrs))
	end := memory.Address(0)
	for _, addr := range addrs {
		if addr >= end && addr != 0 && uint64(len(a.pieces[addr])) < size {
			ranges = append(ranges, memory.RangeOf(addr, size))
			end = addr.Add(size)
		}
	}
	// Most of them are next to each other in the runtime's spans.
	data, holes, err := memory.Gather(a.Memory, ranges, pageSize, nil, nil)
	if err != nil {
		return
	}
	if a.pieces == nil {
		a.pieces = make(map[memory.Address][]byte, len(ranges))
	}
	for i, r := range ranges {
		if len(memory.Ranges(holes).Overlap(r)) == 0 {
			a.pieces[r.Start] = data[i]
		}
	}
}

// ReadAt implements memory.Memory.
func (a *ahead) ReadAt(p []byte, addr memory.Address) (int, error) {
	if b := a.pieces[addr]; len(b) >= len(p) && len(p) > 0 {
		return copy(p, b), nil
	}
	return a.Memory.ReadAt(p, addr)
}

// bytes returns size bytes, which the caller must not change.
func (a *ahead) bytes(addr memory.Address, size uint64) ([]byte, error) {
	if b := a.pieces[addr]; uint64(len(b)) >= size && size > 0 {
		return b[:size], nil
	}
	return memory.Reader{Memory: a.Memory}.Bytes(addr, size, size)
}
