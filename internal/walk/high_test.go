package walk_test

import (
	"context"
	"encoding/binary"
	"os"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/walk"
)

// elsewhere is memory at a given address.
type elsewhere struct {
	at   memory.Address
	data []byte
}

func (e elsewhere) ReadAt(p []byte, addr memory.Address) (int, error) {
	return copy(p, e.data[addr-e.at:]), nil
}

// On arm64, position-independent programs, libraries and kernel-placed mappings
// are in the upper half of 48 bits, which amd64 does not have: the runtime's
// own allocations and the variables of a PIE.
func TestUpperHalf(t *testing.T) {
	self := kinds.Open(t, os.Getpid(), nil)
	for _, base := range []memory.Address{0xaaaa_aabb_0000, 0xffff_f7ff_0000} {
		const node, text = 88, "far up"
		place := elsewhere{base, make([]byte, 4096)}
		word := func(off int, v uint64) { binary.LittleEndian.PutUint64(place.data[off:], v) }
		word(0, uint64(base.Add(node)))
		word(node+8, uint64(base.Add(2*node)))
		word(node+16, uint64(len(text)))
		copy(place.data[2*node:], text)
		var all memory.Spliced
		all.PutAll(self.Mem)
		all.Put(memory.Segment{Range: memory.RangeOf(base, uint64(len(place.data))), Write: true}, place)
		root := rootOf(t, self.Types, makeList(1, ""), walk.Unlimited)
		root.Addr = base
		res, err := walk.Walk(context.Background(), walk.Config{Memory: &all, Types: self.Types, Version: self.Prog.Version, Roots: []walk.Root{root}})
		if err != nil {
			t.Fatal(err)
		}
		if end := res.Roots[0]; end.State != walk.Complete || end.Bytes != 2*node+uint64(len(text)) {
			t.Errorf("at %v: %+v", base, end)
		}
	}
}
