//go:build linux

package crash

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
)

// With --heap the cores of run record what keeps memory alive. Snapshots do not: each
// would stop the program for long.
func TestHeapIsRecorded(t *testing.T) {
	for _, build := range []crasher.Variant{crasher.Plain, crasher.Cgo} {
		program := crasher.Build(t, build)
		recorded := func(core string) *heapreport.Report {
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
		for action, reason := range map[string]string{"crash": "panic", "hang": "hang"} {
			heap := recorded(supervise(t, plainly, program, []string{"--heap", "--on-hang=kill"}, action).one(t, reason))
			if heap == nil || heap.Partial || len(heap.Problems) > 0 || !slices.ContainsFunc(heap.Roots, func(r heapreport.Root) bool { return r.Retained > 0 }) {
				t.Errorf("%v, %s: the core records %+v", build, action, heap)
			}
		}
		r, _ := startKept(t, plainly, program, []string{"--heap", "--exit-stop=off"}, "wait")
		syscall.Kill(r.event(t, "started").PID, syscall.SIGKILL)
		r.finish(t)
		core := r.one(t, "signal-sigkill")
		if heap := recorded(core); heap != nil {
			t.Errorf("%v: a snapshot records %+v", build, heap)
		}
		if out, err := command(t, "heap", core); err == nil || !strings.Contains(string(out), "no record of the heap") {
			t.Errorf("%v: %v: %s", build, err, out)
		}
	}
}
