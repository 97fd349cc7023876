package diff

import (
	"hash/maphash"
	"slices"

	"github.com/meminspect/meminspect/internal/inspect/value"
)

// An edit replaces a part of the old list by a part of the new one.
type edit struct{ oldStart, oldEnd, newStart, newEnd int }

// maxEdits bounds the work for two lists. Lists that differ more are compared by index.
const maxEdits = 1000

// edits returns what differs between two lists: the shortest script of Myers, "An O(ND)
// Difference Algorithm and Its Variations".
func edits(before, after []uint64) []edit {
	start := 0
	for start < min(len(before), len(after)) && before[start] == after[start] {
		start++
	}
	oldEnd, newEnd := len(before), len(after)
	for oldEnd > start && newEnd > start && before[oldEnd-1] == after[newEnd-1] {
		oldEnd, newEnd = oldEnd-1, newEnd-1
	}
	a, b := before[start:oldEnd], after[start:newEnd]
	if len(a) == 0 && len(b) == 0 {
		return nil
	}
	kept, ok := common(a, b)
	if !ok {
		return []edit{{start, oldEnd, start, newEnd}}
	}
	var list []edit
	i, k := 0, 0
	for _, m := range append(kept, [2]int{len(a), len(b)}) {
		if m[0] > i || m[1] > k {
			list = append(list, edit{start + i, start + m[0], start + k, start + m[1]})
		}
		i, k = m[0]+1, m[1]+1
	}
	return list
}

// common returns the indexes of a longest common subsequence, false if it takes too
// many edits to find one.
func common(a, b []uint64) (kept [][2]int, ok bool) {
	most := min(len(a)+len(b), maxEdits)
	furthest := make([]int, 2*most+2) // index in a, by diagonal
	var trace [][]int                 // furthest before each round
	for d := range most + 1 {
		trace = append(trace, append([]int(nil), furthest[most-d:most+d+2]...))
		for k := -d; k <= d; k += 2 {
			x := next(furthest, most+k, k, d)
			for x < len(a) && x-k < len(b) && x-k >= 0 && a[x] == b[x-k] {
				x++
			}
			furthest[most+k] = x
			if x >= len(a) && x-k >= len(b) {
				return back(trace, a, b), true
			}
		}
	}
	return nil, false
}

// next returns where the furthest path of d edits on diagonal k begins.
func next(furthest []int, at, k, d int) int {
	switch {
	case d == 0:
		return 0
	case k == -d || k != d && furthest[at-1] < furthest[at+1]:
		return furthest[at+1]
	}
	return furthest[at-1] + 1
}

// back follows the furthest paths from the end to the start.
func back(trace [][]int, a, b []uint64) (kept [][2]int) {
	x, y := len(a), len(b)
	for d := len(trace) - 1; d > 0; d-- {
		k := x - y
		f := trace[d] // f[d+k] is the furthest on diagonal k
		previous := k - 1
		if k == -d || k != d && f[d+k-1] < f[d+k+1] {
			previous = k + 1
		}
		px := f[d+previous]
		py := px - previous
		for x > px && y > py {
			x, y = x-1, y-1
			kept = append(kept, [2]int{x, y})
		}
		x, y = px, py
	}
	for x > 0 && y > 0 {
		x, y = x-1, y-1
		kept = append(kept, [2]int{x, y})
	}
	for i, k := 0, len(kept)-1; i < k; i, k = i+1, k-1 {
		kept[i], kept[k] = kept[k], kept[i]
	}
	return kept
}

// A hasher gives equal values equal numbers, wherever they are.
type hasher struct{ seed maphash.Seed }

// maxHashed is how many values of one element count.
const maxHashed = 1000

func (h *hasher) all(list []*value.Value, places map[place]*value.Value) []uint64 {
	if h.seed == (maphash.Seed{}) {
		h.seed = maphash.MakeSeed()
	}
	sums := make([]uint64, len(list))
	for i, v := range list {
		var sum maphash.Hash
		sum.SetSeed(h.seed)
		left := maxHashed
		write(&sum, v, places, &left)
		sums[i] = sum.Sum64()
	}
	return sums
}

// write writes what of a value counts: not its address.
func write(sum *maphash.Hash, v *value.Value, places map[place]*value.Value, left *int) {
	if *left--; *left < 0 {
		return
	}
	v = shown(v, places)
	for _, text := range slices.Concat([]string{v.Type, v.Text, string(v.Absent), string(rune(v.Shape))}, v.State, lasting(v.Notes)) {
		_, _ = sum.WriteString(text)
		_ = sum.WriteByte(0)
	}
	if v.Func != nil {
		_, _ = sum.WriteString(v.Func.Name)
	}
	for _, e := range v.Entries {
		_, _ = sum.WriteString(e.KeyIdentity())
	}
	for e := range below(v) {
		write(sum, e, places, left)
	}
}
