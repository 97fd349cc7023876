package elfcore

import (
	"container/heap"
	"slices"
	"sort"
)

// A piece is a range whose contents come from one load.
type piece struct {
	Range
	load int
}

// index returns the loads' contents as pieces, sorted and without overlaps. If
// the loads of a third-party core overlap, the first in the file wins, as in
// gdb.
func index(loads []Load) []piece {
	order := make([]int, 0, len(loads))
	bounds := make([]uint64, 0, 2*len(loads))
	for i := range loads {
		if r := loads[i].contents(); r.Start < r.End {
			order = append(order, i)
			bounds = append(bounds, r.Start, r.End)
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return loads[order[i]].Addr < loads[order[j]].Addr })
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)

	// Sweep over the bounds. The heap active contains the loads that have begun,
	// the first in the file on top; ended loads are dropped when they reach the
	// top.
	var pieces []piece
	var active lowest
	for b := 0; b+1 < len(bounds); b++ {
		at := bounds[b]
		for len(order) > 0 && loads[order[0]].Addr == at {
			heap.Push(&active, order[0])
			order = order[1:]
		}
		for len(active) > 0 && loads[active[0]].contents().End <= at {
			heap.Pop(&active)
		}
		if len(active) == 0 {
			continue
		}
		if n := len(pieces); n > 0 && pieces[n-1].load == active[0] && pieces[n-1].End == at {
			pieces[n-1].End = bounds[b+1]
			continue
		}
		pieces = append(pieces, piece{Range{at, bounds[b+1]}, active[0]})
	}
	return pieces
}

// contents returns the addresses whose bytes are in the file. A load that would
// wrap around is cut at the end of the address space.
func (l *Load) contents() Range {
	end := l.Addr + l.FileSize
	if end < l.Addr {
		end = ^uint64(0)
	}
	return Range{l.Addr, end}
}

func (f *File) piece(addr uint64) *piece {
	i := sort.Search(len(f.pieces), func(i int) bool { return f.pieces[i].End > addr })
	if i == len(f.pieces) || f.pieces[i].Start > addr {
		return nil
	}
	return &f.pieces[i]
}

// Find returns the load whose contents include addr, or nil.
func (f *File) Find(addr uint64) *Load {
	if p := f.piece(addr); p != nil {
		return &f.Loads[p.load]
	}
	return nil
}

type lowest []int

func (h lowest) Len() int           { return len(h) }
func (h lowest) Less(i, j int) bool { return h[i] < h[j] }
func (h lowest) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lowest) Push(x any)        { *h = append(*h, x.(int)) }
func (h *lowest) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
