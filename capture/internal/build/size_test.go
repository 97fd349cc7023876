package build

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// The size that a budget reserves for the notes of threads is theirs, for states
// of all processors, of one size and of several.
func TestThreadNotesSize(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 1000 {
		var s model.Snapshot
		s.Identity.Machine = []uint16{elfcore.MachineAMD64, elfcore.MachineARM64}[round%2]
		sizes := []int{0, 576, 832, 2432, 2440, 2688, 2696, 11008}
		common := sizes[random.IntN(len(sizes))]
		for range random.IntN(6) {
			th := process.Thread{General: make([]byte, 27*8), TLS: uint64(random.IntN(2) * 4096), Float: make([]byte, 512*random.IntN(2))}
			size := common
			if random.IntN(8) == 0 {
				size = sizes[random.IntN(len(sizes))]
			}
			if th.XState = make([]byte, size); size > 0 {
				for _, at := range []int{xcr0Offset, xstateBV} {
					if at+8 <= size {
						binary.LittleEndian.PutUint64(th.XState[at:], random.Uint64N(1<<10))
					}
				}
				for _, at := range []int{amdEnd, avx512End} {
					if at+8 <= size && random.IntN(2) == 0 {
						binary.LittleEndian.PutUint32(th.XState[at:], defaultPKRU)
					}
				}
			}
			s.Threads.List = append(s.Threads.List, th)
		}
		size := func(threads []process.Thread) int64 {
			core := elfcore.Core{Machine: s.Identity.Machine, Notes: linuxNotes(&s, threads, nil)}
			n, err := core.Size()
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if got, want := threadNotesSize(&s), size(published(s.Threads.List))-size(nil); got != uint64(want) {
			t.Fatalf("round %d: %d bytes for %d threads, their notes have %d", round, got, len(s.Threads.List), want)
		}
	}
}
