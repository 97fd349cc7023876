//go:build linux && amd64

package capture

import (
	"bytes"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A rehearsal leaves no trace in the capture's result: neither its failures nor
// what it read.
func TestRehearsalLeavesNoTrace(t *testing.T) {
	pid := victim(t)
	reads := 0
	stopped := false
	wrap := func(m memory.Memory) memory.Memory {
		return &flawed{m, func(memory.Address) bool { reads++; return !stopped && reads > 1000 }}
	}
	c, err := captureThrough(t.Context(), pid, Options{Stop: StopAlways, Progress: func(p Progress) {
		stopped = stopped || p.Step == "stop"
	}}, wrap)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Summary()
	if s.Partial || len(s.Problems) > 0 || s.Threads.All == 0 || s.Threads.All != s.Threads.Captured || s.Goroutines.All != s.Goroutines.Captured || s.Regions.Complete != s.Regions.All {
		t.Errorf("%+v", s)
	}
}

// The budget bounds a core of a program that has become larger than at its rehearsal. The
// size of such a core is known only after the program was released, so it is stopped again.
func TestBudgetAfterRehearsal(t *testing.T) {
	pid, _ := running(t, "sized", "100000", "500", "300")
	const heap, mappings = memory.Address(1 << 32), memory.Address(0x7000_0000_0000) // where Go and the kernel put memory
	capture := func(budget uint64) (size uint64, stops int) {
		t.Helper()
		wrap := func(m memory.Memory) memory.Memory {
			return &flawed{m, func(page memory.Address) bool { return stops == 0 && page >= heap && page < mappings }}
		}
		c, err := captureThrough(t.Context(), pid, Options{Stop: StopAlways, Budget: budget, RegionBudget: budget, Progress: func(p Progress) {
			if p.Step == "stop" {
				stops++
			}
		}}, wrap)
		if err != nil {
			t.Fatal(err)
		}
		var data bytes.Buffer
		if _, err := c.WriteTo(&data); err != nil {
			t.Fatal(err)
		}
		return uint64(data.Len()), stops
	}
	whole, stops := capture(1 << 30)
	if stops != 1 {
		t.Errorf("within the budget, the program was stopped %d times", stops)
	}
	for _, budget := range []uint64{whole / 2, whole * 3 / 4, whole - 1} {
		size, stops := capture(budget)
		if size > budget || stops != 2 {
			t.Errorf("with a budget of %d, the core has %d bytes after %d stops", budget, size, stops)
		}
	}
}
