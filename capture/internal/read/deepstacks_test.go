package read

import (
	"testing"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// TestDeepStacks: for many sizes and budgets, each stack has both ends before
// any has more, a runaway stack starves no other, and nothing exceeds the
// budget.
func TestDeepStacks(t *testing.T) {
	const runaway = 512 << 20
	for _, sizes := range [][]uint64{{1 << 10, 6 << 10, 64 << 10}, {runaway, 16 << 10, 8 << 10}, {runaway, runaway, 1 << 20}, {8, runaway}} {
		var ends uint64
		for _, size := range sizes {
			ends += min(size, innermost+outermost)
		}
		for _, budget := range []uint64{ends, ends + 1, ends + 10<<10, 1 << 20, 64 << 20, 2 << 30} {
			r := &reading{held: &Held{}, queue: queue{left: budget}}
			at := memory.Address(0x10000)
			for _, size := range sizes {
				s := deepStack{Stack: model.Stack{Used: memory.RangeOf(at, size)}, alive: true}
				s.queueEnds(&r.queue)
				r.queue.stacks = append(r.queue.stacks, s)
				at = at.Add(size + 4096)
			}
			r.queueMiddles()
			queued := memory.RangesOf(r.queue.wanted...)
			if queued.Size() > budget {
				t.Errorf("%d with a budget of %d: %d bytes", sizes, budget, queued.Size())
			}
			var listed []memory.Range
			for _, s := range r.snapshot.Goroutines.Stacks {
				listed = append(listed, s.Used)
			}
			if l := memory.RangesOf(listed...); l.Size() != queued.Size() {
				t.Errorf("%d with a budget of %d: %d bytes are listed, %d queued", sizes, budget, l.Size(), queued.Size())
			}
			least := (budget - ends) / uint64(len(sizes)) // each stack's share of what is left
			whole := 0
			for i := range r.queue.stacks {
				used := r.queue.stacks[i].Used
				has := queued.OverlapSize(used)
				if has == used.Size() {
					whole++
				}
				if !queued.Contains(memory.RangeOf(used.Start, min(used.Size(), innermost))) || !queued.Contains(memory.Range{Start: used.End - memory.Address(min(used.Size(), outermost)), End: used.End}) {
					t.Errorf("%d with a budget of %d: stack %d lacks an end", sizes, budget, i)
				}
				if has+memory.PtrSize < min(used.Size(), innermost+outermost+least) {
					t.Errorf("%d with a budget of %d: stack %d has %d bytes, its share is %d more than the ends", sizes, budget, i, has, least)
				}
			}
			if got := r.snapshot.Goroutines.Captured; got != whole {
				t.Errorf("%d with a budget of %d: %d goroutines count as captured, %d are", sizes, budget, got, whole)
			}
		}
	}
}
