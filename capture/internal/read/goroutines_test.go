package read

import (
	"testing"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// A stack that the budget cuts is read as far as it goes, and does not count as
// captured.
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
		gs := &goroutines{queue: &queue{left: c.left}, out: &model.Goroutines{}}
		used := memory.RangeOf(0xc000, 256)
		whole := gs.queueStack(model.Stack{Used: used, Whole: used})
		if got := gs.out.Stacks[0].Used.Size(); whole != c.whole || got != c.granted {
			t.Errorf("%s: %d bytes, whole %v; want %d, %v", c.name, got, whole, c.granted, c.whole)
		}
	}
}
