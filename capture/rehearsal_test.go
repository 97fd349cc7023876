//go:build linux && amd64

package capture

import (
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
