//go:build linux

package acceptance

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/waits"
	"github.com/meminspect/meminspect/internal/matrix"
)

// readWaits returns what the goroutines of a core wait for.
func readWaits(t *testing.T, path string) []waits.Object {
	t.Helper()
	prog := openProgram(t, path)
	list, _, err := stacks.Read(prog)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := waits.Read(prog, list)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// linesOfWaits returns a line for each goroutine that waits, sorted, but for those for which line
// returns "". The function is the innermost of the program's own, "" if there is none.
func linesOfWaits(t *testing.T, path string, line func(function string, o *waits.Object, w *waits.Waiter) string) (lines []string) {
	t.Helper()
	objects := readWaits(t, path)
	for i := range objects {
		for k := range objects[i].Waiters {
			w, function := &objects[i].Waiters[k], ""
			frames := w.Calls()
			if at := slices.IndexFunc(frames, func(f stacks.Frame) bool { return strings.HasPrefix(f.Function, "main.") }); at >= 0 {
				function = frames[at].Function
			}
			if text := line(function, &objects[i], w); text != "" {
				lines = append(lines, text)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

var port = regexp.MustCompile(`^(TCP [0-9.]+):[0-9]+`)

// waitLines returns what goroutines of the program wait for, a line for each
// function that waits.
func waitLines(t *testing.T, path string) []string {
	t.Helper()
	return slices.Compact(linesOfWaits(t, path, func(function string, o *waits.Object, w *waits.Waiter) string {
		text := port.ReplaceAllString(o.Kind, "$1:0")
		switch {
		case o.Path != "":
			text += " " + o.Path
		case o.Addr != 0:
			text += " without a path"
		}
		if c := o.Channel; c != nil {
			text += fmt.Sprintf(" of %s, %d of %d", c.Elem, c.Len, c.Cap)
		}
		text += fmt.Sprintf(": %s to %s", function, w.Action)
		if w.Select {
			text += " in select"
		}
		return text
	}))
}

// For each way to wait, the object is known, with the path that leads to it.
func TestWaits(t *testing.T) {
	needAMD64(t)
	objects := []string{
		"sync.Mutex main.state.Mu: main.lock to lock",
		"sync.RWMutex main.state.RW: main.readLock to read-lock",
		"sync.RWMutex main.state.Writer: main.writeLock to lock",
		`sync.Mutex main.state.ByName["ada"].mu: main.lockOther to lock`,
		`sync.Mutex main.state.ByName["bob"].mu: main.(*worker).enter to lock`,
		"sync.WaitGroup main.state.Group: main.wait to wait",
		"sync.Cond main.state.Cond: main.cond to wait",
	}
	states := []string{
		"sync.Mutex.Lock: main.lock to wait",
		"sync.RWMutex.RLock: main.readLock to wait",
		"sync.RWMutex.Lock: main.writeLock to wait",
		"sync.Mutex.Lock: main.lockOther to wait",
		"sync.Mutex.Lock: main.(*worker).enter to wait",
		"sync.WaitGroup.Wait: main.wait to wait",
		"sync.Cond.Wait: main.cond to wait",
	}
	always := []string{
		"chan main.state.Jobs of int, 2 of 2: main.send to send",
		"chan main.state.Jobs of int, 2 of 2: main.choose to send in select",
		"chan main.state.Done of string, 0 of 0: main.receive to receive",
		"chan main.state.Done of string, 0 of 0: main.choose to receive in select",
		"chan without a path of bool, 0 of 0: main.hidden to receive",
		"sleep: main.sleep to wait",
		"sleep: main.main to wait",
		"sleep: main.(*worker).hold to wait",
		"select (no cases): main.forever to wait",
		"chan receive (nil chan): main.never to wait",
		"TCP 127.0.0.1:0, listening: main.accept to wait",
	}
	for _, c := range []struct {
		toolchain string
		sync      []string
	}{{"", objects}, {"go1.27.3", objects}, {"go1.25.5", states}} {
		t.Run("toolchain "+c.toolchain, func(t *testing.T) {
			if c.toolchain != "" && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			want := slices.Sorted(slices.Values(append(slices.Clone(always), c.sync...)))
			exe := filepath.Join(t.TempDir(), "blocked")
			build := exec.Command("go", "build", "-C", "testdata/blocked", "-o", exe)
			build.Env = append(os.Environ(), "GOTOOLCHAIN="+cmp.Or(c.toolchain, runtime.Version()), "GOWORK=off", "CGO_ENABLED=0")
			if text, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			p := exec.Command(exe)
			out, err := p.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			defer p.Wait()
			defer p.Process.Kill()
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			var diff string
			if !await.Poll(func() bool { // until all of them wait
				core, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways, Stacks: capture.StacksSkeleton})
				diff = gocmp.Diff(want, waitLines(t, core))
				return diff == ""
			}) {
				t.Error(diff)
			}
		})
	}
}

// deadlockLines returns the deadlocks of a core, a line for each, with the functions that
// wait.
func deadlockLines(t *testing.T, path string) []string {
	t.Helper()
	objects := readWaits(t, path)
	var lines []string
	for _, d := range waits.Deadlocks(objects) {
		var steps []string
		for _, s := range d.Cycle {
			steps = append(steps, fmt.Sprintf("%s %s", stacks.Caller(s.Calls()).Function, s.Object.Path))
		}
		// Which goroutine has the lowest ID is left to the scheduler.
		first := slices.Index(steps, slices.Min(steps))
		steps = append(steps[first:], steps[:first]...)
		lines = append(lines, fmt.Sprintf("certain %v, %d+%d: %s", d.Certain, d.Members, d.Blocked, strings.Join(steps, ", ")))
	}
	slices.Sort(lines)
	return lines
}

// othersOf returns who else may have what functions wait for: the functions that use it, and
// those that wait with a deferred call that unlocks it.
func othersOf(t *testing.T, path string, functions ...string) (lines []string) {
	t.Helper()
	objects := readWaits(t, path)
	for i := range objects {
		for _, w := range objects[i].Waiters {
			function := stacks.Caller(w.Calls()).Function
			for _, other := range objects[i].Others {
				switch {
				case !slices.Contains(functions, function):
				case other.Deferred:
					lines = append(lines, fmt.Sprintf("%s %s: %s has to", function, objects[i].Path, stacks.Caller(other.Calls()).Function))
				case other.Upgrades:
					lines = append(lines, fmt.Sprintf("%s %s: %s may have read-locked", function, objects[i].Path, stacks.Caller(other.Calls()).Function))
				case other.Uses != "":
					lines = append(lines, fmt.Sprintf("%s %s: %s uses", function, objects[i].Path, other.Uses))
				}
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// Goroutines that wait for each other are found, whether or not they defer the unlock, and
// none that another goroutine can let go on.
func TestDeadlocks(t *testing.T) {
	needAMD64(t)
	want := []string{
		"certain false, 1+0: main.(*account).upgradeHere main.state.Upgraded.rw",
		"certain false, 2+0: main.byHand main.state.Hand[0].mu, main.byHand main.state.Hand[1].mu",
		"certain false, 2+0: main.lockFirst , main.lockSecond ",
		"certain false, 2+0: main.waitsForWorkers main.state.Group, main.worker main.state.Jobs",
		"certain true, 1+0: main.(*account).inner main.state.Self.mu",
		"certain true, 1+0: main.(*account).write main.state.Readers.rw",
		"certain true, 1+0: main.inOnce main.state.Once.m",
		"certain true, 1+0: main.waitsForItself main.state.Itself",
		"certain true, 2+2: main.transfer main.state.Pair[0].mu, main.transfer main.state.Pair[1].mu",
		"certain true, 3+0: main.transfer main.state.Ring[0].mu, main.transfer main.state.Ring[1].mu, main.transfer main.state.Ring[2].mu",
	}
	others := []string{
		"main.(*account).relockHere main.state.Relocked.rw: main.(*account).read has to",
		"main.(*account).relockHere main.state.Relocked.rw: main.(*account).relockHere may have read-locked",
		"main.(*account).rewriteHere main.state.Rewritten.rw: main.(*account).read has to",
		"main.(*account).upgradeHere main.state.Upgraded.rw: main.(*account).upgradeHere may have read-locked",
		"main.inOnce main.state.Once.m: main.inOnce has to",
		"main.inOnce main.state.Slow.m: main.slowOnce.func1 has to",
		"main.lockThird : main.thirdFourth uses",
	}
	for _, toolchain := range []string{"", "go1.27.3"} {
		t.Run("toolchain "+toolchain, func(t *testing.T) {
			if toolchain != "" && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			exe := filepath.Join(t.TempDir(), "deadlocks")
			build := exec.Command("go", "build", "-C", "testdata/deadlocks", "-o", exe)
			build.Env = append(os.Environ(), "GOTOOLCHAIN="+cmp.Or(toolchain, runtime.Version()), "GOWORK=off", "CGO_ENABLED=0")
			if text, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			p := exec.Command(exe)
			out, err := p.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			defer p.Wait()
			defer p.Process.Kill()
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			var diff string
			if !await.Poll(func() bool { // until all of them wait
				core, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
				diff = gocmp.Diff(want, deadlockLines(t, core)) + gocmp.Diff(others, othersOf(t, core, "main.lockThird", "main.inOnce", "main.(*account).relockHere", "main.(*account).rewriteHere", "main.(*account).upgradeHere"))
				return diff == ""
			}) {
				t.Error(diff)
			}
		})
	}
}
