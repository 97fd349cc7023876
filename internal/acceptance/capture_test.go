//go:build linux

package acceptance

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// A running is a program that a test has started.
type running struct {
	*exec.Cmd
	out *bufio.Scanner
}

// start runs a program until it prints "ready".
func start(t *testing.T, exe string, args ...string) *running {
	t.Helper()
	return startWith(t, exe, nil, args...)
}

func startWith(t *testing.T, exe string, attr *syscall.SysProcAttr, args ...string) *running {
	t.Helper()
	cmd := exec.Command(exe, args...)
	cmd.SysProcAttr = attr
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	r := &running{cmd, bufio.NewScanner(out)}
	r.expect(t, "ready")
	return r
}

// expect reads a line of the program's output, for as long as half a minute.
func (r *running) expect(t *testing.T, want string) {
	t.Helper()
	line := make(chan string, 1)
	go func() { r.out.Scan(); line <- r.out.Text() }()
	select {
	case got := <-line:
		if got != want {
			t.Fatalf("the program printed %q, not %q", got, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the program did not say %q", want)
	}
}

// freeze stops the program as a whole, so that two tools see the same.
func (r *running) freeze(t *testing.T) {
	t.Helper()
	_ = r.Process.Signal(syscall.SIGSTOP)
	await.True(t, "the program is stopped", func() bool { return r.state(t) == "T" })
}

func (r *running) state(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	return fields[0]
}

// capture captures the program into a file.
func takeCore(t *testing.T, pid int, opts capture.Options) (string, *capture.Summary) {
	t.Helper()
	core := filepath.Join(t.TempDir(), "our.core")
	c, err := capture.Capture(context.Background(), pid, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := corefile.Save(core, corefile.Form{}, corefile.From(c)); err != nil {
		t.Fatal(err)
	}
	return core, c.Summary()
}

// takeUninterrupted is takeCore while no thread handles a signal: with a full core, too,
// Delve does not show where a goroutine is whose thread does.
func takeUninterrupted(t *testing.T, exe string, pid int, opts capture.Options) (core string, summary *capture.Summary) {
	t.Helper()
	for range 10 {
		core, summary = takeCore(t, pid, opts)
		if threads := delve(t, exe, core, "threads"); !strings.Contains(strings.Join(threads, "\n"), "runtime.sig") {
			break
		}
	}
	return core, summary
}

// fullCore has gdb write a core of the whole process.
func fullCore(t *testing.T, pid int) string {
	t.Helper()
	gdb := debuggers.Need(t, "gdb")
	core := filepath.Join(t.TempDir(), "full.core")
	out, err := exec.Command(gdb, "-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off",
		"-p", fmt.Sprint(pid), "-ex", "generate-core-file "+core, "-ex", "detach").CombinedOutput()
	if _, serr := os.Stat(core); serr != nil {
		t.Fatalf("gdb wrote no core: %v\n%s", err, out)
	}
	return core
}

// mapped returns the contents of a full core, which is too large to be read: the race
// detector remembers each byte of it, in eight others.
func mapped(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(data) })
	return data
}

// A goal is a program to capture: a Go release and a way to build with it.
type goal struct {
	release string
	way
}

// targets returns the matrix: a sample of it by default. The last three
// releases read from outside build no program with the runtime module in it,
// but their goroutines must be there.
func targets() []goal {
	releases := []string{"1.26.8", "1.27.3", "1.25.5", "1.24.9", "1.23.12", "1.22.12", "1.21.13"}
	list := []way{
		{"plain", []string{"CGO_ENABLED=0"}, nil},
		{"pie", []string{"CGO_ENABLED=0"}, []string{"-buildmode=pie"}},
		{"unoptimised", []string{"CGO_ENABLED=0"}, []string{"-gcflags=all=-N -l"}},
		{"cgo", []string{"CGO_ENABLED=1"}, []string{"-tags=withcgo"}},
		{"cgo-pie", []string{"CGO_ENABLED=1"}, []string{"-tags=withcgo", "-buildmode=pie"}},
		{"race", []string{"CGO_ENABLED=1"}, []string{"-race"}},
		{"external", []string{"CGO_ENABLED=1"}, []string{"-tags=withcgo", "-ldflags=-linkmode=external"}},
	}
	var all []goal
	for i, r := range releases {
		for k, w := range list {
			if full || i == 0 && k < 4 || i == 1 && k == 1 || i == 3 && k == 0 {
				all = append(all, goal{r, w})
			}
		}
	}
	return all
}

// sources copies a program of testdata out of the workspace, for releases that
// cannot read it.
func sources(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("testdata/" + program + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no program %s: %v", program, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+program+"\n\ngo 1.21\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// compile builds the program in dir for the goal.
func compile(t *testing.T, g goal, dir, name string, more ...string) string {
	t.Helper()
	exe := filepath.Join(dir, name)
	cmd := exec.Command("go", append(append([]string{"build", "-o", exe}, g.flags...), more...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOTOOLCHAIN=go"+g.release, "GOWORK=off", "GOFLAGS=-buildvcs=false"), g.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v with go%s: %v\n%s", cmd.Args, g.release, err, out)
	}
	return exe
}

func needAMD64(tb testing.TB) {
	tb.Helper()
	if runtime.GOARCH != "amd64" {
		tb.Skip("another process' registers: only amd64 has been compared in the debuggers")
	}
}

// What Delve prints of goroutines and threads is the same, line by line, from our
// core and from a full core of the same stopped process; from a skeleton of the
// stacks too.
func TestGoroutinesAsInFullCore(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	for _, tg := range targets() {
		t.Run(tg.release+"/"+tg.name, func(t *testing.T) {
			exe := compile(t, tg, sources(t, "states"), "states")
			p := start(t, exe)
			p.freeze(t)
			whole := delve(t, exe, fullCore(t, p.Process.Pid), "goroutines -t", "threads")
			if n := len(whole); n < 100 || !strings.Contains(strings.Join(whole, "\n"), "main.deep") {
				t.Fatalf("Delve reports only this of a full core:\n%s", strings.Join(whole, "\n"))
			}
			for _, stacks := range []capture.Stacks{capture.StacksFull, capture.StacksSkeleton} {
				core, summary := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways, Stacks: stacks})
				if summary.Goroutines.All < 20 || summary.Goroutines.All != summary.Goroutines.Captured {
					t.Errorf("%v: %+v", stacks, summary)
				}
				got, want := delve(t, exe, core, "goroutines -t", "threads"), whole
				if stacks == capture.StacksSkeleton {
					got, want = inGo(t, tg, got, want)
				}
				if diff := differences(got, want); len(diff) > 0 {
					t.Errorf("%v stacks: %d lines of %d differ:\n%s", stacks, len(diff), len(whole), strings.Join(diff[:min(len(diff), 8)], "\n"))
				}
			}
			if p.state(t) != "T" {
				t.Errorf("the program was stopped before and is in state %s now", p.state(t))
			}
		})
	}
}

// inGo is untilLost for programs with C or the race detector in them, which a
// thread may be in, and nothing for others. Two goroutines at most are there.
func inGo(t *testing.T, tg goal, got, want []string) (cutGot, cutWant []string) {
	t.Helper()
	if !slices.Contains(tg.env, "CGO_ENABLED=1") {
		return got, want
	}
	got, want, cut := untilLost(got, want)
	if cut > 2 {
		t.Errorf("Delve lost its way in %d goroutines differently; two at most run in C or in the race detector", cut)
	}
	return got, want
}

// A stripped program gives the same with the symbols of its unstripped twin,
// and a core without them has the number of goroutines there are.
func TestStripped(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	for _, tg := range targets() {
		if tg.name != "plain" && tg.name != "pie" && !full {
			continue
		}
		t.Run(tg.release+"/"+tg.name, func(t *testing.T) {
			dir := sources(t, "states")
			twin := compile(t, tg, dir, "twin")
			// The go command writes its linker flags into the binary, so that one
			// built with -s -w is another build: its data has moved.
			exe := filepath.Join(dir, "states")
			strip := debuggers.Need(t, "strip")
			if out, err := exec.Command(strip, "-o", exe, twin).CombinedOutput(); err != nil {
				t.Fatalf("strip: %v\n%s", err, out)
			}
			p := start(t, exe)
			p.freeze(t)
			core, summary := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
			if summary.Goroutines.Captured < 20 {
				t.Errorf("without symbols: %+v", summary)
			}
			f, err := os.Open(core)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, _ := f.Stat()
			if _, err := elfcore.Open(f, info.Size()); err != nil {
				t.Error(err)
			}
			named, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways, Symbols: twin})
			got := delve(t, twin, named, "goroutines -t")
			want := delve(t, twin, fullCore(t, p.Process.Pid), "goroutines -t")
			got, want = inGo(t, tg, got, want)
			if diff := differences(got, want); len(diff) > 0 {
				t.Errorf("%d lines of %d differ:\n%s", len(diff), len(want), strings.Join(diff[:min(len(diff), 8)], "\n"))
			}
			other := compile(t, tg, dir, "other", "-gcflags=-l -N")
			_, err = capture.Capture(context.Background(), p.Process.Pid, capture.Options{Symbols: other})
			if err == nil && tg.name != "unoptimised" {
				t.Error("the symbols of another build are believed")
			}
		})
	}
}

// Many goroutines come whole, and a budget that does not hold them takes those
// that matter most and counts the rest.
func TestManyGoroutines(t *testing.T) {
	needAMD64(t)
	n, budget, small := 10_000, uint64(capture.DefaultBudget), uint64(2<<20)
	if full {
		n, budget, small = 100_000, 512<<20, 8<<20 // the gaps between so many stacks need more than the default
	}
	exe := compile(t, targets()[0], sources(t, "states"), "states")
	p := start(t, exe, fmt.Sprint(n))
	core, summary := takeUninterrupted(t, exe, p.Process.Pid, capture.Options{Budget: budget})
	if summary.Goroutines.All < n || summary.Goroutines.Captured != summary.Goroutines.All || summary.Segments > capture.DefaultSegments+1 { // and the headers
		t.Errorf("%+v", summary)
	}
	t.Logf("%d goroutines: stopped for %v, %d bytes of memory, %d of core", summary.Goroutines.All, summary.Stopped, summary.Payload, summary.Bytes)
	for where, function := range map[string]string{"main.spin": "main.spin", "main.main.func": "main.deep"} {
		out := strings.Join(delve(t, exe, core, "goroutines -t -with userloc "+where), "\n")
		if !strings.Contains(out, " in "+function+"\n") {
			t.Errorf("Delve shows no goroutine in %s: %s", function, out)
		}
	}
	_, summary = takeCore(t, p.Process.Pid, capture.Options{Budget: small})
	if !summary.Partial || summary.Goroutines.Captured == 0 || summary.Goroutines.Captured >= summary.Goroutines.All {
		t.Errorf("with a small budget: %+v", summary)
	}
}

// gdb shows the same threads with the same frames as in a full core, with the
// names of C's functions too.
func TestThreadsInGDB(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "gdb")
	for _, g := range []goal{{"1.26.8", way{"plain", []string{"CGO_ENABLED=0"}, nil}}, {"1.26.8", way{"cgo", []string{"CGO_ENABLED=1"}, []string{"-tags=withcgo"}}}} {
		t.Run(g.name, func(t *testing.T) {
			exe := compile(t, g, sources(t, "states"), "states")
			p := start(t, exe)
			p.freeze(t)
			whole := fullCore(t, p.Process.Pid)
			core, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
			var printed [2][]string
			for i, c := range []string{core, whole} {
				out, err := debuggers.GDB(t.Context(), exe, c, "thread apply all backtrace")
				if err != nil {
					t.Fatal(err)
				}
				printed[i] = frames(out)
			}
			if diff := differences(printed[0], printed[1]); len(diff) > 0 || len(printed[1]) < 20 {
				t.Errorf("%d frames of %d differ:\n%s", len(diff), len(printed[1]), strings.Join(diff[:min(len(diff), 8)], "\n"))
			}
			if all := strings.Join(printed[0], "\n"); g.name == "cgo" && !strings.Contains(all, "nanosleep") && !strings.Contains(all, "sleep (") {
				t.Errorf("gdb names no function of the C library:\n%s", all)
			}
		})
	}
}

// frames returns the frames on a thread's own stack in gdb's backtraces of all
// threads. gdb's messages about libthread_db differ, because that reads the C
// library's own data. Above the first frame of a stack, gdb takes a word of the
// next object for one more caller: it usually names no function, but sometimes
// it does.
func frames(backtraces string) (list []string) {
	ended := false
	for line := range strings.Lines(backtraces) {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "#0 ") {
			ended = false
		}
		if ended || strings.Contains(line, " 0x0000000000000000 in ?? ()") { // the end of a stack of C
			continue
		}
		list = append(list, strings.TrimSpace(line))
		ended = slices.ContainsFunc([]string{"runtime.mcall (", "runtime.mstart (", "runtime.goexit ("}, func(first string) bool {
			return strings.Contains(line, first)
		})
	}
	return list
}
