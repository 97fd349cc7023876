package memory_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// For any readable pages and ranges, Gather returns the same bytes as reading
// byte by byte, and holes around unreadable bytes.
func TestGather(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const base, pages = 0x10000, 8
		var mem memory.Spliced
		whole := make([]byte, pages*4096)
		for i := range whole {
			whole[i] = byte(i*7 + i/251)
		}
		mem.PutAll(memory.Buffer{Base: base, Data: whole})
		for page := range memory.Address(pages) {
			if rapid.Bool().Draw(t, "missing") {
				mem.Cut(memory.RangeOf(base+page*4096, 4096))
			}
		}
		var ranges []memory.Range
		at := memory.Address(base - 100)
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			start := at.Add(rapid.Uint64Range(0, 3000).Draw(t, "gap"))
			r := memory.RangeOf(start, rapid.Uint64Range(0, 6000).Draw(t, "size"))
			if !r.Empty() {
				ranges = append(ranges, r)
				at = r.End
			}
		}
		gap := rapid.SampledFrom([]uint64{0, 64, 4096}).Draw(t, "near")
		data, holes, err := memory.Gather(&mem, ranges, gap, memory.NewArena(rapid.Uint64Range(0, 10000).Draw(t, "arena")), nil)
		if err != nil {
			t.Fatal(err)
		}
		inHole := func(a memory.Address) bool {
			for _, h := range holes {
				if h.Contains(a) {
					return true
				}
			}
			return false
		}
		for i, r := range ranges {
			for k := range r.Size() {
				var b [1]byte
				_, err := mem.ReadAt(b[:], r.Start.Add(k))
				if (err != nil) != inHole(r.Start.Add(k)) || data[i][k] != b[0] {
					t.Fatalf("byte at %v: %x, hole %v; it is %x, %v", r.Start.Add(k), data[i][k], inHole(r.Start.Add(k)), b[0], err)
				}
			}
		}
		for i := 1; i < len(holes); i++ {
			if holes[i].Start < holes[i-1].End {
				t.Fatalf("holes are out of order: %v", holes)
			}
		}
	})
}
