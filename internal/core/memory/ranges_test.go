package memory

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const space = 64 // addresses of the model

// drawRanges draws ranges in any order, some of them empty or overlapping.
func drawRanges(t *rapid.T, name string) []Range {
	var rs []Range
	for range rapid.IntRange(0, 20).Draw(t, name) {
		start := rapid.IntRange(0, space-1).Draw(t, "start")
		end := rapid.IntRange(0, space).Draw(t, "end")
		rs = append(rs, Range{Address(start), Address(end)})
	}
	return rs
}

// A bitmap is the naive set of addresses that Ranges is compared with.
type bitmap [space]bool

func bitmapOf(rs []Range) (b bitmap) {
	for _, r := range rs {
		for a := r.Start; a < r.End; a++ {
			b[a] = true
		}
	}
	return b
}

// where returns the addresses for which the predicate is true.
func where(in func(a int) bool) (b bitmap) {
	for a := range b {
		b[a] = in(a)
	}
	return b
}

func (b bitmap) size() (n uint64) {
	for _, in := range b {
		if in {
			n++
		}
	}
	return n
}

// Every operation on Ranges gives the same result as on bitmaps, as sorted,
// non-empty, separate ranges, and changes no operand.
func TestRangesAreSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs := drawRanges(t, "s")
		before := slices.Clone(rs)
		s, u := RangesOf(rs...), RangesOf(drawRanges(t, "u")...)
		if !slices.Equal(rs, before) {
			t.Fatalf("RangesOf changed %v to %v", before, rs)
		}
		sb, ub := bitmapOf(before), bitmapOf(u)
		r := Range{Address(rapid.IntRange(0, space).Draw(t, "from")), Address(rapid.IntRange(0, space).Draw(t, "to"))}
		rb := bitmapOf([]Range{r})
		original := slices.Clone(s)

		for _, op := range []struct {
			name string
			got  Ranges
			want bitmap
		}{
			{"RangesOf", s, sb},
			{"Union", s.Union(u), where(func(a int) bool { return sb[a] || ub[a] })},
			{"Minus", s.Minus(u), where(func(a int) bool { return sb[a] && !ub[a] })},
			{"Overlap", s.Overlap(r), where(func(a int) bool { return sb[a] && rb[a] })},
			{"Gaps", s.Gaps(r), where(func(a int) bool { return !sb[a] && rb[a] })},
		} {
			checkForm(t, op.name, op.got)
			if got := bitmapOf(op.got); got != op.want {
				t.Fatalf("%s of %v, %v and %v: %v", op.name, s, u, r, op.got)
			}
		}
		overlap := where(func(a int) bool { return sb[a] && rb[a] })
		if got := s.OverlapSize(r); got != overlap.size() {
			t.Fatalf("%d bytes of %v are in %v, want %d", got, r, s, overlap.size())
		}
		if got := s.Contains(r); got != (overlap == rb) {
			t.Fatalf("%v contains %v: %v", s, r, got)
		}
		for a, in := range sb {
			if s.Has(Address(a)) != in {
				t.Fatalf("%v has %d: %v", s, a, !in)
			}
		}
		if s.Size() != sb.size() {
			t.Fatalf("%v has %d bytes, want %d", s, s.Size(), sb.size())
		}
		if !slices.Equal(s, original) {
			t.Fatalf("an operation changed %v to %v", original, s)
		}
	})
}

// Joined adds nothing but gaps, closes all that are small enough, and leaves
// no more ranges than it may.
func TestJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := RangesOf(drawRanges(t, "s")...)
		gap, limit := rapid.Uint64Range(0, 9).Draw(t, "gap"), rapid.IntRange(0, 6).Draw(t, "limit")
		got := s.Joined(gap, limit)
		checkForm(t, "Joined", got)
		if limit > 0 && len(got) > limit {
			t.Fatalf("%d ranges are left of %d, %d were allowed", len(got), len(s), limit)
		}
		if rest := s.Minus(got); len(rest) > 0 {
			t.Fatalf("%v joined to %v: %v is lost", s, got, rest)
		}
		for i := 1; i < len(got); i++ {
			if uint64(got[i].Start-got[i-1].End) <= gap {
				t.Fatalf("%v joined to %v: a gap of at most %d bytes is open", s, got, gap)
			}
		}
		widest := uint64(0)
		for _, r := range got.Minus(s) {
			widest = max(widest, r.Size())
		}
		if widest > gap && (limit == 0 || len(s) <= limit) {
			t.Fatalf("%v joined to %v: a gap of %d bytes is closed, %d were allowed", s, got, widest, gap)
		}
	})
}

func checkForm(t *rapid.T, name string, s Ranges) {
	for i, r := range s {
		if r.Empty() {
			t.Fatalf("%s: %v is empty", name, r)
		}
		if i > 0 && r.Start <= s[i-1].End {
			t.Fatalf("%s: %v and %v are not apart", name, s[i-1], r)
		}
	}
}

// A million sorted ranges with a few more at the end, as a capture produces
// them.
func BenchmarkRangesOf(b *testing.B) {
	rs := make([]Range, 1<<20)
	for i := range rs {
		rs[i] = RangeOf(Address(i)<<6, 32)
	}
	for i := range Address(16) {
		rs = append(rs, RangeOf(i<<16, 16))
	}
	b.ReportAllocs()
	for b.Loop() {
		RangesOf(rs...)
	}
}
