package memory

import "slices"

// Ranges is a set of addresses: half-open ranges in ascending order, none
// empty, no two of them overlapping or touching. The nil Ranges is the empty
// set. Only Append changes the set that it is called on.
type Ranges []Range

// RangesOf returns the set of the addresses in rs, which may be in any order,
// overlap, and be empty. It does not change rs.
func RangesOf(rs ...Range) Ranges {
	sorted := ascending(rs)
	out := Ranges(sorted[:0])
	for _, r := range sorted {
		out = out.Append(r)
	}
	return out
}

// ascending returns a copy of rs without its empty ranges, sorted by start. It
// merges the sorted runs in rs: a walk returns a million ranges in order, and
// callers append a few more to them.
func ascending(rs []Range) []Range {
	now := make([]Range, 0, len(rs))
	var ends []int // of the runs
	for _, r := range rs {
		if r.Empty() {
			continue
		}
		if n := len(now); n > 0 && r.Start < now[n-1].Start {
			ends = append(ends, n)
		}
		now = append(now, r)
	}
	if len(ends) == 0 {
		return now
	}
	ends = append(ends, len(now))
	next := make([]Range, len(now))
	for len(ends) > 1 {
		merged := ends[:0]
		from, out := 0, next[:0]
		for i := 0; i < len(ends); i += 2 {
			middle, end := ends[i], ends[min(i+1, len(ends)-1)]
			out = mergeRuns(out, now[from:middle], now[middle:end])
			merged = append(merged, len(out))
			from = end
		}
		ends = merged
		now, next = out, now
	}
	return now
}

// mergeRuns appends the ranges of two sorted runs to out in ascending order.
func mergeRuns(out, a, b []Range) []Range {
	for len(a) > 0 && len(b) > 0 {
		if b[0].Start < a[0].Start {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}

// Append returns the set with r added. r must not start before the last range
// of the set does. It may write to the set's memory, as append does.
func (s Ranges) Append(r Range) Ranges {
	if r.Empty() {
		return s
	}
	if n := len(s); n > 0 && r.Start <= s[n-1].End {
		s[n-1].End = max(s[n-1].End, r.End)
		return s
	}
	return append(s, r)
}

// Size returns the number of bytes in the set.
func (s Ranges) Size() (n uint64) {
	for _, r := range s {
		n += r.Size()
	}
	return n
}

// from returns the index of the first range that ends after addr. It is spelled
// out for speed: captures look up every word of every stack.
func (s Ranges) from(addr Address) int {
	low, high := 0, len(s)
	for low < high {
		if middle := (low + high) / 2; s[middle].End <= addr {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// Has reports whether the set contains the byte at addr.
func (s Ranges) Has(addr Address) bool {
	i := s.from(addr)
	return i < len(s) && s[i].Start <= addr
}

// Contains reports whether the set contains every byte of r.
func (s Ranges) Contains(r Range) bool {
	if r.Empty() {
		return true
	}
	i := s.from(r.Start)
	return i < len(s) && s[i].ContainsRange(r)
}

// Overlap returns the parts of r that are in the set.
func (s Ranges) Overlap(r Range) Ranges {
	var out Ranges
	for i := s.from(r.Start); i < len(s) && s[i].Start < r.End; i++ {
		out = out.Append(s[i].Intersect(r))
	}
	return out
}

// OverlapSize returns how many bytes of r are in the set.
func (s Ranges) OverlapSize(r Range) (n uint64) {
	for i := s.from(r.Start); i < len(s) && s[i].Start < r.End; i++ {
		n += s[i].Intersect(r).Size()
	}
	return n
}

// Gaps returns the parts of r that are not in the set.
func (s Ranges) Gaps(r Range) Ranges {
	if r.Empty() {
		return nil
	}
	var out Ranges
	at := r.Start
	for i := s.from(r.Start); i < len(s) && s[i].Start < r.End; i++ {
		out = out.Append(Range{at, s[i].Start})
		at = s[i].End
	}
	return out.Append(Range{at, r.End})
}

// Union returns the set of the addresses that are in s or in t.
func (s Ranges) Union(t Ranges) Ranges {
	out := make(Ranges, 0, len(s)+len(t))
	for len(s) > 0 || len(t) > 0 {
		if len(t) == 0 || len(s) > 0 && s[0].Start <= t[0].Start {
			s, out = s[1:], out.Append(s[0])
		} else {
			t, out = t[1:], out.Append(t[0])
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

// Joined returns the set with gaps of at most gap bytes closed, and with more
// gaps closed, the smallest first, until no more than limit ranges are left; a
// limit of 0 means no limit. The caller decides what the closed gaps may show:
// they are memory that the set does not contain.
func (s Ranges) Joined(gap uint64, limit int) Ranges {
	if len(s) == 0 {
		return nil
	}
	if limit > 0 && len(s) > limit {
		gaps := make([]uint64, 0, len(s)-1)
		for i := 1; i < len(s); i++ {
			gaps = append(gaps, uint64(s[i].Start-s[i-1].End))
		}
		slices.Sort(gaps)
		gap = max(gap, gaps[len(s)-limit-1])
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
