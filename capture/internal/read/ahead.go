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

// fetch reads size bytes at each address. What cannot be read is left to ReadAt.
func (a *ahead) fetch(size uint64, addrs []memory.Address) {
	slices.Sort(addrs)
	addrs = slices.Compact(addrs)
	room := make([]byte, size*uint64(len(addrs)))
	pieces := make([]memory.Piece, 0, len(addrs))
	for _, addr := range addrs {
		if addr != 0 && len(a.pieces[addr]) < int(size) {
			pieces = append(pieces, memory.Piece{Addr: addr, Data: room[:size:size]})
			room = room[size:]
		}
	}
	if err := memory.ReadBatch(a.Memory, pieces); err != nil {
		return
	}
	if a.pieces == nil {
		a.pieces = make(map[memory.Address][]byte, len(pieces))
	}
	for _, p := range pieces {
		if p.N == len(p.Data) {
			a.pieces[p.Addr] = p.Data
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
