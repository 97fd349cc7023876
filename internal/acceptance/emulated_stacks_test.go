//go:build linux

package acceptance

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
)

// emulatedGoals are the ways to build the program with goroutines in every state.
func emulatedGoals() []goal {
	env := strings.Fields(forARM64)
	list := []goal{{"1.26.8", way{"plain", env, nil}}}
	if full {
		list = append(list, goal{"1.26.8", way{"large-pages", env, nil}})
		for _, r := range []string{"1.27.3", "1.25.5", "1.24.9", "1.23.12", "1.22.12", "1.21.13"} {
			list = append(list, goal{r, way{"plain", env, nil}})
		}
		c := strings.Fields(forARM64WithC)
		list = append(list, goal{"1.26.8", way{"cgo", c, []string{"-tags=withcgo"}}}, goal{"1.27.3", way{"cgo-pie", c, []string{"-tags=withcgo", pie}}})
		list = append(list, goal{"1.26.8", way{"pie", env, []string{pie}}}, goal{"1.27.3", way{"pie", env, []string{pie}}})
		list = append(list, goal{"1.26.8", way{"unoptimised", env, []string{"-gcflags=all=-N -l"}}}, goal{"1.27.3", way{"unoptimised", env, []string{"-gcflags=all=-N -l"}}})
	}
	return list
}

// flagsFor are qemu's for the goal.
func flagsFor(t *testing.T, g goal) []string {
	t.Helper()
	switch {
	case g.name == "large-pages":
		return largePages
	case strings.HasPrefix(g.name, "cgo"):
		return withC(t)
	}
	return nil
}

// What the debuggers print of an arm64 program's goroutines and threads is the same
// of its full core and of what is filtered from it, of skeletons too, and
// `goroutines` prints what Delve does.
func TestGoroutinesOfARM64(t *testing.T) {
	needEmulation(t)
	for _, g := range emulatedGoals() {
		t.Run(g.release+"/"+g.name, func(t *testing.T) {
			flags := flagsFor(t, g)
			dir := sources(t, "states")
			exe := compile(t, g, dir, "states", dying(t, dir))
			whole, _ := emulate(t, exe, syscall.SIGQUIT, flags...)
			printed := delve(t, exe, whole, "goroutines -t", "threads")
			if len(printed) < 100 || !strings.Contains(strings.Join(printed, "\n"), "main.deep") {
				t.Fatalf("Delve reports only this of a full core:\n%s", strings.Join(printed, "\n"))
			}
			var backtraces []string
			if !strings.HasSuffix(g.name, "pie") { // gdb does not see where qemu's core has one
				backtraces = gdbThreads(t, exe, whole)
			}
			for _, stacks := range []capture.Stacks{capture.StacksFull, capture.StacksSkeleton} {
				small, summary := filter(t, whole, fullcore.Options{Exe: exe}, capture.Options{Stacks: stacks})
				if summary.Goroutines.All < 20 || summary.Goroutines.All != summary.Goroutines.Captured || summary.Partial {
					t.Errorf("%v: %+v", stacks, summary)
				}
				got, want := delve(t, exe, small, "goroutines -t", "threads"), printed
				if stacks == capture.StacksSkeleton {
					var cut int
					if got, want, cut = untilLost(got, want); cut > 1 {
						t.Errorf("Delve lost its way in %d goroutines differently; one alone came through a fault, see injectedCall", cut)
					}
				}
				if diff := differences(got, want); len(diff) > 0 {
					t.Errorf("%v stacks: %d lines of %d differ:\n%s", stacks, len(diff), len(printed), strings.Join(diff[:min(len(diff), 8)], "\n"))
				}
				if diff := differences(gdbThreads(t, exe, small), backtraces); !strings.HasSuffix(g.name, "pie") && (len(diff) > 0 || len(backtraces) < 20) {
					t.Errorf("%v stacks, gdb: %d frames of %d differ:\n%s", stacks, len(diff), len(backtraces), strings.Join(diff[:min(len(diff), 8)], "\n"))
				}
				checkGoroutines(t, exe, whole, small)
			}
			checkStripped(t, g, dir, whole, exe)
		})
	}
}

// arguments is what gdb prints of a frame's arguments, which skeletons do not
// have.
var arguments = regexp.MustCompile(` \([^()]*(\([^()]*\)[^()]*)*\) at `)

// gdbThreads returns each thread's frames, up to where gdb knows no function: there
// it took any word of the stack for a caller, which a skeleton does not have.
func gdbThreads(t *testing.T, exe, core string) (list []string) {
	t.Helper()
	out, err := debuggers.GDB(t.Context(), exe, core, "thread apply all backtrace")
	if err != nil {
		t.Fatal(err)
	}
	lost := false
	for _, f := range frames(arguments.ReplaceAllString(out, " (…) at ")) {
		if lost = !strings.HasPrefix(f, "#0 ") && (lost || strings.HasSuffix(f, " in ?? ()")); !lost {
			list = append(list, f)
		}
	}
	return list
}

// injectedCall is in a goroutine in which a handler of signals made the
// interrupted function call another. On arm64 Delve (1.27.2) misses the two words
// that lie between the two frames: it repeats the interrupted function and then takes
// any word for a caller, of full cores too; of a thread that had just begun to handle
// a signal it shows the handler on the interrupted function's stack. The runtime's
// own trace judges these. A handler that is under way Delve puts before the rest.
var injectedCall = regexp.MustCompile(`runtime\.(sigpanic|asyncPreempt|sigtramp|sigtrampgo|cgoSigtramp) `)

// checkGoroutines compares what `goroutines` prints of the filtered core, with the
// executable and without, with what Delve prints of the full one.
func checkGoroutines(t *testing.T, exe, whole, small string) {
	t.Helper()
	want, got := delveGoroutines(t, exe, whole), read(t, small)
	compared := 0
	for id, frames := range want {
		if len(frames) == 1 && strings.HasPrefix(frames[0], "runtime.goexit ") {
			delete(want, id) // it waits for C to call into Go
			continue
		}
		// A goroutine in C is at the place where it entered C.
		frames = frames[1+slices.IndexFunc(frames, func(f string) bool {
			return strings.HasPrefix(f, "runtime.asmcgocall ") || strings.HasPrefix(f, "runtime.systemstack_switch ")
		}):]
		if injectedCall.MatchString(strings.Join(frames, "\n")) {
			continue
		}
		compared++
		if g, w := joined(got[id][:min(len(got[id]), len(frames))]), joined(frames); g != w || len(frames) < 100 && len(got[id]) != len(frames) {
			t.Errorf("goroutine %s:\n%s\nDelve:\n%s", id, g, w)
		}
	}
	if len(got) != len(want) || compared < 18 {
		t.Errorf("%d goroutines, Delve has %d, and %d were compared", len(got), len(want), compared)
	}
	if err := os.Rename(exe, exe+".away"); err != nil {
		t.Fatal(err)
	}
	alone := read(t, small)
	if err := os.Rename(exe+".away", exe); err != nil {
		t.Fatal(err)
	}
	for id, frames := range got {
		if a, g := strings.Join(alone[id], "\n"), strings.Join(frames, "\n"); a != g {
			t.Errorf("goroutine %s from the core alone:\n%s\nwith the executable:\n%s", id, a, g)
		}
	}
}

// checkStripped holds the goroutines of a stripped program's core against those of
// its twin's.
func checkStripped(t *testing.T, g goal, dir, whole, exe string) {
	t.Helper()
	stripped := compile(t, g, dir, "stripped", dying(t, dir), "-ldflags=-s -w")
	full, _ := emulate(t, stripped, syscall.SIGQUIT, flagsFor(t, g)...)
	var all [2][]string
	for i, c := range []struct{ exe, full string }{{exe, whole}, {stripped, full}} {
		small, _ := filter(t, c.full, fullcore.Options{Exe: c.exe}, capture.Options{})
		for _, frames := range read(t, small) {
			text := strings.Join(frames, "\n")
			// What runs, and the runtime's own, is not the same at any two times.
			if strings.Contains(text, "main.") && !strings.Contains(text, "main.spin") && !strings.Contains(text, "main.main ") {
				all[i] = append(all[i], text)
			}
		}
		slices.Sort(all[i])
	}
	if diff := differences(all[1], all[0]); len(diff) > 0 || len(all[0]) < 15 {
		t.Errorf("stripped: %d of %d goroutines differ:\n%s", len(diff), len(all[0]), strings.Join(diff[:min(len(diff), 4)], "\n"))
	}
}

// The stacks read from the core of a crashed arm64 program are those that its
// own runtime printed, including functions that signals interrupted: its
// threads are in signal handlers.
func TestTracesOfARM64(t *testing.T) {
	needEmulation(t)
	for _, g := range emulatedGoals() {
		t.Run(g.release+"/"+g.name, func(t *testing.T) {
			exe := compile(t, g, sources(t, "states"), "states")
			whole, text := emulate(t, exe, syscall.SIGABRT, flagsFor(t, g)...)
			for _, stacks := range []capture.Stacks{capture.StacksFull, capture.StacksSkeleton} {
				small, _ := filter(t, whole, fullcore.Options{Exe: exe}, capture.Options{Stacks: stacks})
				got := read(t, small)
				printed := runtimeTraces(text)
				for id, want := range printed {
					frames := got[id]
					for i := range frames {
						frames[i] = typeArguments.ReplaceAllString(frames[i], "[...]")
					}
					// Where a signal interrupted a system call the runtime begins at its
					// entry, and further out: of the first frame the function counts.
					first, _, _ := strings.Cut(want[0], " ")
					at := slices.IndexFunc(frames, func(f string) bool { return strings.HasPrefix(f, first+" ") })
					if at < 0 || len(frames)-at < len(want) || !slices.Equal(frames[at+1:at+len(want)], want[1:]) {
						t.Errorf("%v, goroutine %s:\n%s\nits runtime:\n%s", stacks, id, strings.Join(frames, "\n"), strings.Join(want, "\n"))
					}
				}
				if len(printed) < 20 {
					t.Errorf("its runtime printed %d goroutines:\n%s", len(printed), clip(text))
				}
			}
		})
	}
}

var (
	typeArguments  = regexp.MustCompile(`\[.*\]`)
	traceGoroutine = regexp.MustCompile(`^goroutine ([1-9]\d*) .*\[.*\]:$`)
	traceFrame     = regexp.MustCompile(`^(\S.*)\(.*\)$`)
	traceLine      = regexp.MustCompile(`^\t(.+):(\d+)( |$)`)
)

// runtimeTraces reads the stacks in what a Go program prints when it crashes, up to
// where frames are left out.
func runtimeTraces(text string) map[string][]string {
	out := map[string][]string{}
	id, function := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch frame := traceFrame.FindStringSubmatch(line); {
		case traceGoroutine.MatchString(line):
			id = traceGoroutine.FindStringSubmatch(line)[1]
			out[id] = nil // its thread may print it once more
		case id == "":
		case line == "", strings.HasPrefix(line, "..."), strings.HasPrefix(line, "created by "):
			id = ""
		case frame != nil:
			if function = frame[1]; function == "panic" {
				function = "runtime.gopanic"
			}
		default:
			if at := traceLine.FindStringSubmatch(line); at != nil {
				out[id] = append(out[id], fmt.Sprintf("%s %s:%s", function, filepath.Base(at[1]), at[2]))
			}
		}
	}
	maps.DeleteFunc(out, func(_ string, frames []string) bool { return len(frames) == 0 })
	return out
}
