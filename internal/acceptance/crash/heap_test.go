//go:build linux

package crash

import (
	"cmp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/groups"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
	"github.com/meminspect/meminspect/internal/matrix"
)

// A core from before the OOM kill names the variable that keeps the memory, without
// any option. On a busy machine the kernel may kill the program first, or so little memory is
// left that the core has only the reason, in at most one round of ten.
func TestLeakIsNamed(t *testing.T) {
	inside := within(groups.Limited(t, 512<<20))
	program := crasher.Build(t, crasher.Plain)
	rounds := 3
	if matrix.Whole() {
		rounds = 20
	}
	for named, late := 0, 0; named < rounds; {
		r := start(t, inside, nil, program, nil, "leak")
		pid := r.event(t, "started").PID
		captured := r.event(t, "captured")
		_ = syscall.Kill(pid, syscall.SIGKILL) // the kernel may have
		r.finish(t)
		if captured.Reason == "oom-kill" && late < max(rounds/10, 1) {
			late++
			continue
		}
		if captured.Reason != "memory" {
			t.Fatalf("%d cores were made too late: %+v", late, captured)
		}
		heap := recordedHeap(t, captured.Path)
		out, _ := command(t, "info", captured.Path)
		short := heap == nil && strings.Contains(string(out), "heap: memory is short")
		if short && late < max(rounds/10, 1) {
			late++
			continue
		}
		named++
		if heap == nil || heap.Partial || len(heap.Roots) == 0 {
			t.Errorf("the core records %+v\n%s\n%s", heap, r.stderr.String(), out)
			continue
		}
		// A goroutine that is appending to it shares what it leads to, so that it need not
		// retain anything alone.
		most := slices.MaxFunc(heap.Roots, func(a, b heapreport.Root) int { return cmp.Compare(a.Bytes, b.Bytes) })
		if !strings.HasSuffix(most.Name, "main.leaked") || most.Bytes < heap.Heap.Bytes/2 {
			t.Errorf("%+v leads to most of %d bytes", most, heap.Heap.Bytes)
		}
	}
}

// recordedHeap returns a core's record of the heap, nil if it has none.
func recordedHeap(t *testing.T, core string) *heapreport.Report {
	t.Helper()
	c, err := inspect.Open(core)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	heap, err := heapreport.Recorded(c)
	if err != nil {
		t.Fatal(err)
	}
	return heap
}

// With --heap the cores of run and trigger record what keeps memory alive. Snapshots do
// not: each would stop the program for long.
func TestHeapIsRecorded(t *testing.T) {
	for _, build := range []crasher.Variant{crasher.Plain, crasher.Cgo} {
		program := crasher.Build(t, build)
		for action, reason := range map[string]string{"crash": "panic", "hang": "hang"} {
			heap := recordedHeap(t, supervise(t, plainly, program, []string{"--heap", "--on-hang=kill"}, action).one(t, reason))
			if heap == nil || heap.Partial || len(heap.Problems) > 0 || !slices.ContainsFunc(heap.Roots, func(r heapreport.Root) bool { return r.Retained > 0 }) {
				t.Errorf("%v, %s: the core records %+v", build, action, heap)
			}
		}
		asked := start(t, plainly, nil, program, nil, "wait")
		waitOutput(t, asked, "ready")
		pid := asked.event(t, "started").PID
		for i, args := range [][]string{{"--heap"}, {}} {
			out := must(command(t, append([]string{"trigger", "--dir", asked.dir}, args...)...))
			if heap := recordedHeap(t, strings.TrimSpace(string(out))); (heap != nil) != (i == 0) || heap != nil && (heap.Partial || heap.Heap.Objects == 0) {
				t.Errorf("%v, trigger %v: the core records %+v", build, args, heap)
			}
		}
		kill(t, pid)
		asked.finish(t)
		r, _ := startKept(t, plainly, program, []string{"--heap", "--exit-stop=off"}, "wait")
		syscall.Kill(r.event(t, "started").PID, syscall.SIGKILL)
		r.finish(t)
		core := r.one(t, "signal-sigkill")
		if heap := recordedHeap(t, core); heap != nil {
			t.Errorf("%v: a snapshot records %+v", build, heap)
		}
		if out, err := command(t, "heap", core); err == nil || !strings.Contains(string(out), "no record of the heap") {
			t.Errorf("%v: %v: %s", build, err, out)
		}
	}
}
