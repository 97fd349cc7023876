package heapreport

import (
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/process"
)

// A report within a bound of memory is the same, or has only totals and is marked.
func TestRoomOfReport(t *testing.T) {
	pid := start(t, "GOTOOLCHAIN=local")
	// All reports are of the same moment.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	await.True(t, "the program is stopped", func() bool { stat, err := p.Stat(); return err == nil && stat.State == 'T' })
	whole, err := OfProcess(t.Context(), pid, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for room, partial := range map[uint64]bool{1: true, whole.Heap.Objects * 2: true, 1 << 30: false} {
		r, err := OfProcess(t.Context(), pid, Options{Room: room})
		if err != nil {
			t.Fatal(err)
		}
		if r.Partial != partial || r.Heap.Objects != whole.Heap.Objects || (len(r.Roots) == 0) != partial || !partial && r.Heap.Reached == 0 {
			t.Errorf("within %d bytes: partial %v, %d roots, %+v; want partial %v and %+v", room, r.Partial, len(r.Roots), r.Heap, partial, whole.Heap)
		}
	}
}
