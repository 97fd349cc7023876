package read

import (
	"testing"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// A stack that the budget cuts is read as far as the budget allows, and does
// not count as captured.
func TestStackBudget(t *testing.T) {
	for _, c := range []struct {
		name    string
		left    uint64
		granted uint64
		whole   bool
	}{
		{"enough", 1000, 256, true},
		{"just enough", 256, 256, true},
		{"cut", 100, 100, false},
		{"spent", 0, 0, false},
	} {
		used := memory.RangeOf(0xc000, 256)
		r := &reading{queue: queue{left: c.left, stacks: []deepStack{{Stack: model.Stack{Used: used, Whole: used}, alive: true}}}}
		r.queue.stacks[0].queueEnds(&r.queue)
		r.queueMiddles()
		var got uint64
		for _, s := range r.snapshot.Goroutines.Stacks {
			got += s.Used.Size()
		}
		if whole := r.snapshot.Goroutines.Captured == 1; whole != c.whole || got != c.granted {
			t.Errorf("%s: %d bytes, whole %v; want %d, %v", c.name, got, whole, c.granted, c.whole)
		}
	}
}
