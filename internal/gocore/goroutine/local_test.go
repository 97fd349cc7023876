package goroutine

import (
	"encoding/binary"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// image is memory from address 0 on.
type image []byte

func (m image) ReadAt(p []byte, addr memory.Address) (int, error) {
	if uint64(addr) >= uint64(len(m)) {
		return 0, memory.Unreadable(addr, memory.ErrNotMapped)
	}
	n := copy(p, m[addr:])
	if n < len(p) {
		return n, memory.Unreadable(addr.Add(uint64(n)), memory.ErrNotMapped)
	}
	return n, nil
}

func (m image) put(addr, word uint64) { binary.LittleEndian.PutUint64(m[addr:], word) }

// The word with a thread's runtime.g is found where the linker has put variables of
// C between it and the thread pointer, and only if the runtime's records confirm it.
func TestFindLocal(t *testing.T) {
	const g, m, threads, apart, size = 0x1000, 0x2000, 0x10000, 0x1000, 256
	layout, err := LayoutOf(module.Version{Minor: 26})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		words []map[uint64]uint64 // of each thread, by the distance below its pointer
		m     memory.Address      // that the runtime.g refers to
		want  Local
	}{
		{"no other variables", []map[uint64]uint64{{8: g}, {8: g}}, m, 8},
		{"other variables", []map[uint64]uint64{{8: 5, 72: g}, {72: g}}, m, 72},
		{"a copy on a stack", []map[uint64]uint64{{72: g, 200: g}}, m, 72},
		{"a copy on one of the stacks", []map[uint64]uint64{{24: 7, 72: g}, {72: g}, {8: g}}, m, 72},
		{"a thread of C first", []map[uint64]uint64{{8: 5, 16: 16}, {72: g}}, m, 72},
		{"too far away", []map[uint64]uint64{{size + 8: g}}, m, 8},
		{"a runtime.g without a thread", []map[uint64]uint64{{72: g}}, 0, 8},
		{"a thread that runs another", []map[uint64]uint64{{72: g}}, m + 0x1000, 8},
		{"no thread", nil, m, 8},
	} {
		mem := make(image, threads+apart*8)
		mem.put(g+gM, uint64(c.m))
		mem.put(m, g) // its g0
		mem.put(m+0x1000, g+8)
		var pointers []memory.Address
		for i, words := range c.words {
			pointer := uint64(threads + apart*(i+1))
			pointers = append(pointers, memory.Address(pointer))
			for below, word := range words {
				mem.put(pointer-below, word)
			}
		}
		if got := layout.FindLocal(mem, pointers, size); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
