package memory_test

import (
	"math/rand/v2"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A recorded memory is the same until a byte changes that was read. A recording in which a
// read failed, or in which two reads of a byte differ, is of no use.
func TestRecording(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		mem := &counted{data: make([]byte, 20000)}
		for i := range mem.data {
			mem.data[i] = byte(random.Uint32())
		}
		recording := memory.Recording{Memory: mem}
		read := make([]bool, len(mem.data))
		for range random.IntN(30) {
			var batch []memory.Piece
			for range random.IntN(4) {
				off := random.IntN(len(read))
				p := memory.Piece{Addr: memory.Address(0x1000 + off), Data: make([]byte, random.IntN(min(300, len(read)-off)+1))}
				batch = append(batch, p)
				for i := range p.Data {
					read[off+i] = true
				}
			}
			if err := memory.ReadBatch(&recording, batch); err != nil {
				t.Fatal(err)
			}
			for _, p := range batch { // again
				if _, err := recording.ReadAt(p.Data, p.Addr); err != nil {
					t.Fatal(err)
				}
			}
		}
		recorded := recording.End()
		if recorded == nil || !recorded.Still(mem, nil) {
			t.Fatalf("seed %d: the same memory differs", seed)
		}
		for range 50 {
			at := random.IntN(len(read))
			mem.data[at]++
			if recorded.Still(mem, nil) == read[at] {
				t.Errorf("seed %d: byte %d has changed, and was read: %v", seed, at, read[at])
			}
			mem.data[at]--
		}
	}
}

func TestRecordingOfMovingMemory(t *testing.T) {
	mem := &counted{data: make([]byte, 100)}
	read := func(r *memory.Recording, off, n int) { _, _ = r.ReadAt(make([]byte, n), memory.Address(0x1000+off)) }
	moved := memory.Recording{Memory: mem}
	read(&moved, 10, 20)
	mem.data[25]++
	read(&moved, 25, 10)
	if moved.End() != nil {
		t.Error("a byte that changed between two reads")
	}
	failed := memory.Recording{Memory: mem}
	read(&failed, 90, 20)
	if failed.End() != nil {
		t.Error("a read that failed")
	}
}
