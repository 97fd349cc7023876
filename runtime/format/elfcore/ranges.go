package elfcore

import "slices"

// A Range is the memory from Start to End, exclusive.
type Range struct{ Start, End uint64 }

// Len returns r's length in bytes.
func (r Range) Len() uint64 { return r.End - r.Start }

// Merge returns the sorted union of rs, and joins neighbours at most gap bytes
// apart. It does not change rs and drops empty ranges.
func Merge(rs []Range, gap uint64) []Range {
	sorted := make([]Range, 0, len(rs))
	for _, r := range rs {
		if r.Start < r.End {
			sorted = append(sorted, r)
		}
	}
	slices.SortFunc(sorted, func(a, b Range) int {
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return 0
	})
	out := sorted[:0]
	for _, r := range sorted {
		if n := len(out); n > 0 && (r.Start <= out[n-1].End || r.Start-out[n-1].End <= gap) {
			out[n-1].End = max(out[n-1].End, r.End)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Subtract returns the parts of rs that are in none of holes. Both must be
// sorted and without overlaps, as Merge returns them.
func Subtract(rs, holes []Range) []Range {
	var out []Range
	j := 0
	for _, r := range rs {
		at := r.Start
		for j < len(holes) && holes[j].End <= at {
			j++
		}
		for k := j; k < len(holes) && holes[k].Start < r.End; k++ {
			if holes[k].Start > at {
				out = append(out, Range{at, holes[k].Start})
			}
			at = max(at, holes[k].End)
		}
		if at < r.End {
			out = append(out, Range{at, r.End})
		}
	}
	return out
}

// Mark returns marked segments over all of cover, for example the executable's
// writable data, that is not in captured.
func Mark(cover []Range, captured []Segment) []Segment {
	held := make([]Range, 0, len(captured))
	for i := range captured {
		held = append(held, Range{captured[i].Addr, captured[i].Addr + captured[i].Size})
	}
	var marked []Segment
	for _, r := range Subtract(Merge(cover, 0), Merge(held, 0)) {
		marked = append(marked, Segment{Addr: r.Start, Size: r.Len(), Flags: FlagRead | FlagWrite})
	}
	return marked
}

// Overlapping returns the elements of rs that overlap r. rs must be sorted and
// without overlaps.
func Overlapping(rs []Range, r Range) []Range {
	from, _ := slices.BinarySearchFunc(rs, r.Start, func(e Range, at uint64) int {
		if e.End <= at {
			return -1
		}
		return 1
	})
	to := from
	for to < len(rs) && rs[to].Start < r.End {
		to++
	}
	return rs[from:to]
}
