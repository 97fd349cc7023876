package walk

import (
	"cmp"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// Ranges is a set of addresses: ranges sorted by address, none empty, no two
// of them touching.
type Ranges []memory.Range

// MakeRanges returns the set of the addresses of rs, which it sorts.
func MakeRanges(rs []memory.Range) Ranges {
	slices.SortFunc(rs, func(a, b memory.Range) int { return cmp.Compare(a.Start, b.Start) })
	out := Ranges(rs[:0])
	for _, r := range rs {
		out = out.push(r)
	}
	return out
}

// push adds a range that starts behind the start of all others.
func (s Ranges) push(r memory.Range) Ranges {
	if r.Empty() {
		return s
	}
	if n := len(s); n > 0 && r.Start <= s[n-1].End {
		s[n-1].End = max(s[n-1].End, r.End)
		return s
	}
	return append(s, r)
}

// Size is the number of bytes in the set.
func (s Ranges) Size() (n uint64) {
	for _, r := range s {
		n += r.Size()
	}
	return n
}

// from returns the index of the first range that ends behind addr.
func (s Ranges) from(addr memory.Address) int {
	i, _ := slices.BinarySearchFunc(s, addr, func(r memory.Range, a memory.Address) int {
		if r.End <= a {
			return -1
		}
		return 1
	})
	return i
}

// Contains reports whether the set holds every byte of r.
func (s Ranges) Contains(r memory.Range) bool {
	if r.Empty() {
		return true
	}
	i := s.from(r.Start)
	return i < len(s) && s[i].ContainsRange(r)
}

// Overlap returns the parts of r that the set holds, in order.
func (s Ranges) Overlap(r memory.Range) Ranges {
	var out Ranges
	for i := s.from(r.Start); i < len(s) && s[i].Start < r.End; i++ {
		out = append(out, s[i].Intersect(r))
	}
	return out
}

// Gaps returns the parts of r that the set does not hold, in order.
func (s Ranges) Gaps(r memory.Range) Ranges {
	if r.Empty() {
		return nil
	}
	var out Ranges
	at := r.Start
	for i := s.from(r.Start); i < len(s) && s[i].Start < r.End; i++ {
		if at < s[i].Start {
			out = append(out, memory.Range{Start: at, End: s[i].Start})
		}
		at = s[i].End
	}
	if at < r.End {
		out = append(out, memory.Range{Start: at, End: r.End})
	}
	return out
}

// Union returns the set of the addresses that are in s or in t.
func (s Ranges) Union(t Ranges) Ranges {
	out := make(Ranges, 0, len(s)+len(t))
	for len(s) > 0 || len(t) > 0 {
		if len(t) == 0 || len(s) > 0 && s[0].Start <= t[0].Start {
			s, out = s[1:], out.push(s[0])
		} else {
			t, out = t[1:], out.push(t[0])
		}
	}
	return out
}

// Minus returns the set of the addresses of s that are not in t.
func (s Ranges) Minus(t Ranges) Ranges {
	var out Ranges
	for _, r := range s {
		out = append(out, t.Gaps(r)...)
	}
	return out
}

// Near returns the set with gaps of at most gap bytes closed, and with more of
// them, the smallest first, until no more than most ranges are left. Debuggers
// take seconds over many segments; what a closed gap adds is memory that
// nobody asked for, so the caller must know what may be written there.
func (s Ranges) Near(gap uint64, most int) Ranges {
	if len(s) == 0 {
		return nil
	}
	if most > 0 && len(s) > most {
		gaps := make([]uint64, 0, len(s)-1)
		for i := 1; i < len(s); i++ {
			gaps = append(gaps, uint64(s[i].Start-s[i-1].End))
		}
		slices.Sort(gaps)
		gap = max(gap, gaps[len(s)-most-1])
	}
	out := Ranges{s[0]}
	for _, r := range s[1:] {
		if last := &out[len(out)-1]; uint64(r.Start-last.End) <= gap {
			last.End = r.End
			continue
		}
		out = append(out, r)
	}
	return out
}
