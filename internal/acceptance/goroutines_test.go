//go:build linux

package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
)

// read returns a core's goroutines, a line for each frame.
func read(t *testing.T, path string) map[string][]string {
	t.Helper()
	prog := openProgram(t, path)
	list, missing, err := stacks.Read(prog)
	if err != nil || missing > 0 {
		t.Fatalf("%d goroutines are missing, %v", missing, err)
	}
	out := map[string][]string{}
	for _, g := range list {
		if g.Problem != "" {
			t.Errorf("goroutine %d: %s", g.ID, g.Problem)
		}
		for _, f := range g.Frames {
			out[fmt.Sprint(g.ID)] = append(out[fmt.Sprint(g.ID)], fmt.Sprintf("%s %s:%d", f.Function, filepath.Base(f.File), f.Line))
		}
	}
	return out
}

var (
	escapes        = regexp.MustCompile("\x1b\\[[0-9;]*m")
	delveGoroutine = regexp.MustCompile(`(?m)^[* ] Goroutine (\d+) - `)
	delveFrame     = regexp.MustCompile(`(?m)^\t *\d+ +0x[0-9a-f]+ in (.+)\n\t +at (.+):(\d+)$`)
)

// delveGoroutines returns what `goroutines -t` prints, in the same form.
func delveGoroutines(t *testing.T, exe, core string) map[string][]string {
	t.Helper()
	text := escapes.ReplaceAllString(debuggers.DelveSays(t, exe, core, "goroutines -t 100"), "")
	out := map[string][]string{}
	starts := delveGoroutine.FindAllStringSubmatchIndex(text, -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		id := text[at[2]:at[3]]
		for _, f := range delveFrame.FindAllStringSubmatch(text[at[0]:end], -1) {
			out[id] = append(out[id], fmt.Sprintf("%s %s:%s", f[1], filepath.Base(f[2]), f[3]))
		}
	}
	return out
}

// joined joins frames for a comparison. Delve takes the return address at which
// a goroutine is stopped for that of an instruction, and so is a line off in
// the first frame: for that one only the function is compared.
func joined(frames []string) string {
	if len(frames) == 0 {
		return ""
	}
	first, _, _ := strings.Cut(frames[0], " ")
	return strings.Join(append([]string{first}, frames[1:]...), "\n")
}

// The stacks that the pc-line table alone gives are Delve's, from full stacks
// and from skeletons; the core alone gives the same as with its executable,
// and a stripped one the same too.
func TestGoroutinesAsDelve(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	for i, b := range []kinds.Build{{}, {Toolchain: "go1.24.9"}, {Toolchain: "go1.27.3", Args: "-buildmode=pie"}, {Toolchain: "go1.23.12"}, {Toolchain: "go1.21.13"}, {Toolchain: "go1.25.5"}, {Debug: true}, {Args: "-race"}} {
		t.Run(b.String(), func(t *testing.T) {
			if i >= 1 && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			exe := kinds.Make(t, b)
			pid := kinds.Start(t, exe)
			for _, kind := range []capture.Stacks{capture.StacksFull, capture.StacksSkeleton} {
				core, _ := takeCore(t, pid, capture.Options{Stop: capture.StopAlways, Stacks: kind})
				want := delveGoroutines(t, exe, core)
				for id, frames := range want {
					// Delve shows the goroutine that waits for C to call into Go.
					if len(frames) == 1 && strings.HasPrefix(frames[0], "runtime.goexit ") {
						delete(want, id)
					}
				}
				got := read(t, core)
				if len(got) != len(want) || len(want) < 5 {
					t.Errorf("%v: %d goroutines, Delve has %d", kind, len(got), len(want))
				}
				for id, frames := range want {
					if g, w := joined(got[id]), joined(frames); g != w {
						t.Errorf("%v, goroutine %s:\n%s\nDelve:\n%s", kind, id, g, w)
					}
				}
				if err := os.Rename(exe, exe+".away"); err != nil {
					t.Fatal(err)
				}
				alone := read(t, core)
				if err := os.Rename(exe+".away", exe); err != nil {
					t.Fatal(err)
				}
				for id, frames := range got {
					if a, g := strings.Join(alone[id], "\n"), strings.Join(frames, "\n"); a != g {
						t.Errorf("%v, goroutine %s from the core alone:\n%s\nwith the executable:\n%s", kind, id, a, g)
					}
				}
			}
		})
	}
}
