package walk

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// The bitmaps of pages are sets of addresses too, and count new bytes.
func TestCaptureIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPages(memory.Buffer{}, 16, 100, nil)
		model := map[memory.Address]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "captures") {
			addr := memory.Address(rapid.IntRange(0, 3*pageSize).Draw(t, "addr"))
			size := uint64(rapid.IntRange(0, 2*pageSize).Draw(t, "size"))
			want := uint64(0)
			for a := addr; a < addr.Add(size); a++ {
				if !model[a] {
					want++
				}
			}
			if got := p.fresh(addr, size); got != want {
				t.Fatalf("%d bytes of %d at %v are fresh, want %d", got, size, addr, want)
			}
			most := uint64(rapid.IntRange(0, 100).Draw(t, "most"))
			if want > most {
				n := p.affordable(addr, size, most)
				if p.fresh(addr, n) > most || p.fresh(addr, n+1) <= most {
					t.Fatalf("%d bytes at %v cost %d, one more %d; at most %d", n, addr, p.fresh(addr, n), p.fresh(addr, n+1), most)
				}
			}
			if got := p.capture(addr, size); got != want {
				t.Fatalf("%d bytes of %d at %v were new, want %d", got, size, addr, want)
			}
			for a := addr; a < addr.Add(size); a++ {
				model[a] = true
			}
		}
		for _, page := range p.table {
			if page != nil {
				page.state = pageWhole
			}
		}
		all := p.ranges()
		if all.Size() != uint64(len(model)) {
			t.Fatalf("%d bytes in %v, want %d", all.Size(), all, len(model))
		}
		for a := range model {
			if !all.Contains(memory.RangeOf(a, 1)) {
				t.Fatalf("%v is not in %v", a, all)
			}
		}
	})
}
