package walk

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/core/memory"
)

const space = 64 // addresses of the model

func drawRanges(t *rapid.T, name string) Ranges {
	var rs []memory.Range
	for range rapid.IntRange(0, 8).Draw(t, name) {
		start := rapid.IntRange(0, space-1).Draw(t, "start")
		end := rapid.IntRange(0, space).Draw(t, "end")
		rs = append(rs, memory.Range{Start: memory.Address(start), End: memory.Address(end)})
	}
	return MakeRanges(rs)
}

func bitsOf(rs Ranges) (b [space]bool) {
	for _, r := range rs {
		for a := r.Start; a < r.End; a++ {
			b[a] = true
		}
	}
	return b
}

// Sets of ranges behave as sets of addresses do, and are sorted and apart.
func TestRangesAreSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, u := drawRanges(t, "s"), drawRanges(t, "u")
		sb, ub := bitsOf(s), bitsOf(u)
		within := memory.Range{Start: memory.Address(rapid.IntRange(0, space).Draw(t, "from")), End: memory.Address(rapid.IntRange(0, space).Draw(t, "to"))}
		most := rapid.IntRange(1, 6).Draw(t, "most")
		got := map[string]Ranges{
			"s": s, "union": s.Union(u), "minus": s.Minus(u), "overlap": s.Overlap(within), "gaps": s.Gaps(within), "near": s.Near(0, most),
		}
		for name, r := range got {
			for i := 1; i < len(r); i++ {
				if r[i].Start <= r[i-1].End {
					t.Fatalf("%s: %v and %v are not apart", name, r[i-1], r[i])
				}
			}
			b := bitsOf(r)
			for a := range b {
				in := within.Contains(memory.Address(a))
				want := map[string]bool{
					"s": sb[a], "union": sb[a] || ub[a], "minus": sb[a] && !ub[a], "overlap": sb[a] && in, "gaps": !sb[a] && in, "near": sb[a] || b[a],
				}[name]
				if b[a] != want {
					t.Fatalf("%s of %v and %v in %v: address %d is %v", name, s, u, within, a, b[a])
				}
			}
		}
		if len(got["near"]) > most {
			t.Fatalf("%d ranges are left of %d, %d were allowed", len(got["near"]), len(s), most)
		}
		full := true
		for a := within.Start; a < within.End; a++ {
			full = full && sb[a]
		}
		if s.Contains(within) != full {
			t.Fatalf("%v contains %v: %v", s, within, !full)
		}
	})
}

// The bitmaps of pages are sets of addresses too, and count what is new.
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
