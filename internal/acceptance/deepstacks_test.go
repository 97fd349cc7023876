//go:build linux

package acceptance

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/matrix"
)

// deepBudget is enough for the variables of the runtime that Delve needs, but not for
// the stacks of the program deep.
const deepBudget = 400 << 10

// A deepStack is a stack of which the middle may be omitted.
type deepStack struct {
	inner, outer []string
	omitted      stacks.Omission
}

// total is the number of calls on the stack.
func (d *deepStack) total() uint64 {
	return uint64(len(d.inner)) + d.omitted.Calls + uint64(len(d.outer))
}

// deepStacks returns the stacks of the program's own goroutines.
func deepStacks(t *testing.T, core string) map[uint64]*deepStack {
	t.Helper()
	list, _, err := stacks.Read(openProgram(t, core))
	if err != nil {
		t.Fatal(err)
	}
	out := map[uint64]*deepStack{}
	for i := range list {
		g := &list[i]
		if g.System() {
			continue
		}
		d := &deepStack{}
		to := &d.inner
		for k := range g.Frames {
			f := &g.Frames[k]
			*to = append(*to, fmt.Sprintf("%s %s:%d", f.Function, filepath.Base(f.File), f.Line))
			if f.Omitted != (stacks.Omission{}) {
				d.omitted, to = f.Omitted, &d.outer
			}
		}
		if g.Problem != "" {
			t.Errorf("goroutine %d: %s", g.ID, g.Problem)
		}
		out[g.ID] = d
	}
	if len(out) != 3 {
		t.Fatalf("%d goroutines of 3", len(out))
	}
	return out
}

// TestCutStacks: if the budget cuts the middle out of a stack, its ends are those
// of the whole stack, and the number of calls is the same: from captures and from
// what is filtered, with full stacks and with skeletons. Delve prints the inner
// calls, which are those that it prints of a core with the whole stack.
func TestCutStacks(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	tally := matrix.NewTally(t)
	for _, w := range ways() {
		if w.name != "plain" && w.name != "stripped" && !matrix.Whole() {
			tally.Skip(4)
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			exe := build(t, "deep", w.env, w.flags...)
			p := start(t, exe)
			p.freeze(t)
			whole, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways, Budget: 64 << 20})
			kernels := fullCore(t, p.Process.Pid)
			for _, kind := range []capture.Stacks{capture.StacksFull, capture.StacksSkeleton} {
				opts := capture.Options{Stop: capture.StopAlways, Stacks: kind, Budget: deepBudget}
				tally.RunIn(t, fmt.Sprint("capture,", kind), func(t *testing.T) {
					cut, summary := takeCore(t, p.Process.Pid, opts)
					if lacks := summary.Goroutines.All - summary.Goroutines.Captured; lacks < 3 {
						t.Errorf("%d stacks are cut, want 3", lacks)
					}
					compareEnds(t, whole, cut)
					if !strings.HasPrefix(w.name, "stripped") { // Delve needs symbols
						compareInDelve(t, exe, whole, cut)
					}
				})
				tally.RunIn(t, fmt.Sprint("filter,", kind), func(t *testing.T) {
					cut, _ := filter(t, kernels, fullcore.Options{Exe: exe}, opts)
					compareEnds(t, whole, cut)
				})
			}
		})
	}
}

// compareEnds compares cut stacks with whole ones.
func compareEnds(t *testing.T, whole, cut string) {
	t.Helper()
	wants := deepStacks(t, whole)
	for id, got := range deepStacks(t, cut) {
		want := wants[id]
		if got.omitted.Bytes == 0 || want.omitted.Bytes != 0 {
			t.Errorf("goroutine %d: the core lacks %d bytes of the stack, the whole one %d", id, got.omitted.Bytes, want.omitted.Bytes)
		}
		if got.total() != want.total() || got.total() < 6000 {
			t.Errorf("goroutine %d: %d calls and %d omitted, want %d", id, len(got.inner)+len(got.outer), got.omitted.Calls, want.total())
		}
		if n := len(got.inner); n < 10 || !slices.Equal(got.inner, want.inner[:n]) {
			t.Errorf("goroutine %d: the inner calls are\n%s", id, strings.Join(got.inner, "\n"))
		}
		n := len(got.outer)
		if n < 5 || !slices.Equal(got.outer, want.outer[len(want.outer)-n:]) {
			t.Errorf("goroutine %d: the outer calls are\n%s\nwant\n%s", id, strings.Join(got.outer, "\n"), strings.Join(want.outer[max(0, len(want.outer)-n):], "\n"))
		}
		if n > 0 && got.outer[n-1] != want.outer[len(want.outer)-1] {
			t.Errorf("goroutine %d begins with %s", id, got.outer[n-1])
		}
	}
}

var delveCall = regexp.MustCompile(`(?m)^ *\d+ +0x[0-9a-f]+ in (.+)\n +at (.+):(\d+)$`)

// compareInDelve compares the calls that Delve prints of cut stacks.
func compareInDelve(t *testing.T, exe, whole, cut string) {
	t.Helper()
	calls := func(core string, id uint64) (out []string) {
		text := escapes.ReplaceAllString(debuggers.DelveSays(t, exe, core, fmt.Sprintf("goroutine %d bt 100", id)), "")
		for _, f := range delveCall.FindAllStringSubmatch(text, -1) {
			out = append(out, fmt.Sprintf("%s %s:%s", f[1], filepath.Base(f[2]), f[3]))
		}
		return out
	}
	for id, d := range deepStacks(t, cut) {
		got, want := calls(cut, id), calls(whole, id)
		n := min(len(d.inner), len(got))
		if n < 10 || !slices.Equal(got[:n], want[:n]) {
			t.Errorf("goroutine %d in Delve, with %d calls in the core:\n%s\nof the whole stack:\n%s", id, len(d.inner), strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
