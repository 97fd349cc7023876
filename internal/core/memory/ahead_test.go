package memory_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// counted is memory from address 0x1000 on that counts how often it is read.
type counted struct {
	data  []byte
	reads int
}

func (c *counted) ReadAt(p []byte, addr memory.Address) (int, error) {
	c.reads++
	off := uint64(addr - 0x1000)
	if off >= uint64(len(c.data)) {
		return 0, memory.Unreadable(addr, memory.ErrNotMapped)
	}
	n := copy(p, c.data[off:])
	if n < len(p) {
		return n, memory.Unreadable(addr.Add(uint64(n)), memory.ErrNotMapped)
	}
	return n, nil
}

// TestReadAhead: what is read ahead is what the memory has, at its end and around
// it too, and a megabyte that is read by words takes few reads.
func TestReadAhead(t *testing.T) {
	mem := &counted{data: make([]byte, 1<<20)}
	for i := range mem.data {
		mem.data[i] = byte(rand.Uint32())
	}
	ahead := memory.ReadAhead{Memory: mem}
	for off := 0; off < len(mem.data); off += memory.PtrSize {
		got, err := ahead.Pointer(memory.Address(0x1000 + off))
		if want := binary.LittleEndian.Uint64(mem.data[off:]); err != nil || uint64(got) != want {
			t.Fatalf("at %#x: %v, %v, want %#x", off, got, err, want)
		}
	}
	if mem.reads > 20 {
		t.Errorf("%d reads", mem.reads)
	}
	for range 10_000 {
		addr := memory.Address(rand.Uint64N(3 << 12))
		if rand.IntN(2) == 0 {
			addr = addr.Add(1<<20 - 1<<12)
		}
		got := make([]byte, 1+rand.IntN(3000))
		want := make([]byte, len(got))
		n, err := ahead.ReadAt(got, addr)
		m, wantErr := mem.ReadAt(want, addr)
		if n != m || (err == nil) != (wantErr == nil) || !bytes.Equal(got[:n], want[:m]) {
			t.Fatalf("%d bytes at %v: %d, %v, want %d, %v", len(got), addr, n, err, m, wantErr)
		}
		word, err := ahead.Pointer(addr)
		if m, wantErr := mem.ReadAt(make([]byte, 8), addr); (err == nil) != (wantErr == nil) {
			t.Fatalf("a word at %v: %v, %v, want %d bytes, %v", addr, word, err, m, wantErr)
		}
	}
}
