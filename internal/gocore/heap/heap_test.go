package heap_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/heap"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
)

// A build is a way to build the program.
type build struct {
	toolchain, env, args string
	always               bool // run without MEMINSPECT_FULL too
}

func (b build) String() string {
	return strings.Join(strings.Fields(b.toolchain+" "+b.env+" "+b.args), " ")
}

var builds = []build{
	{"local", "", "", true},
	{"go1.27.3", "", "-ldflags=-s", true},
	{"go1.21.13", "", "", true},
	{"go1.25.5", "GOEXPERIMENT=greenteagc", "", true},
	{"go1.21.13", "", "-ldflags=-s", false},
	{"go1.22.12", "", "", false},
	{"go1.22.12", "", "-ldflags=-s", false},
	{"go1.23.12", "", "", false},
	{"go1.24.9", "", "-buildmode=pie -ldflags=-s", false},
	{"go1.24.9", "GOEXPERIMENT=noswissmap", "", false},
	{"go1.25.5", "", "-ldflags=-s", false},
	{"local", "GOEXPERIMENT=nogreenteagc", "", false},
	{"local", "", "-buildmode=pie", false},
	{"local", "", "-buildmode=pie -ldflags=-linkmode=external", false},
	{"local", "", "-race", false},
	{"local", "", "-gcflags=all=-N", false},
	{"go1.27.3", "GOEXPERIMENT=nogreenteagc", "", false},
	{"go1.27.3", "GOEXPERIMENT=mapsplitgroup", "-gcflags=all=-l", false},
}

// sample returns the builds that a test runs.
func sample(t *testing.T, run func(t *testing.T, b build)) {
	for _, b := range builds {
		t.Run(b.String(), func(t *testing.T) {
			if !b.always && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			run(t, b)
		})
	}
}

// A program is a running program of which the heap can be read.
type program struct {
	*kinds.Program
	process *process.Process
	target  *heap.Target
	named   []heap.Named
	ask     io.Writer
	answer  *bufio.Reader
}

// A count is what the runtime counts.
type count struct{ objects, bytes uint64 }

// counts asks the program.
func (p *program) counts(t *testing.T) (c count) {
	t.Helper()
	if _, err := p.ask.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	line, err := p.answer.ReadString('\n')
	if _, serr := fmt.Sscan(line, &c.objects, &c.bytes); serr != nil {
		t.Fatalf("the program wrote %q: %v, %v", line, err, serr)
	}
	return c
}

// start builds the program, runs it with n sessions, and opens it.
func start(t *testing.T, b build, n int) *program {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", append(append([]string{"build", "-o", bin}, strings.Fields(b.args)...), ".")...)
	cmd.Dir = "testdata/program"
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOTOOLCHAIN="+b.toolchain, b.env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := exec.Command(bin, fmt.Sprint(n))
	run.Stderr = os.Stderr
	stdin, err := run.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		run.Process.Kill()
		run.Wait()
	})
	p := &program{ask: stdin, answer: bufio.NewReader(stdout)}
	p.counts(t) // it is ready
	p.open(t, run.Process.Pid)
	return p
}

// open finds the heap of a process.
func (p *program) open(t *testing.T, pid int) {
	t.Helper()
	p.Program = kinds.Open(t, pid, nil)
	var err error
	if p.process, err = process.Open(pid); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.process.Close() })
	f, err := exe.Open(p.process.ExePath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := f.Symbols()
	if err != nil {
		file = nil // stripped
	}
	bias := p.bias(t, f)
	at := map[string]memory.Address{}
	for _, s := range file {
		at[s.Name] = s.Addr + bias
		if s.Size > 0 {
			p.named = append(p.named, heap.Named{Range: memory.RangeOf(s.Addr+bias, s.Size), Name: s.Name})
		}
	}
	p.named = heap.Variables(p.Prog, nil, p.named)
	symbol := func(name string) (memory.Address, bool) { a, ok := at[name]; return a, ok }
	if p.target, err = heap.Find(p.Prog, p.Types, symbol); err != nil {
		t.Fatal(err)
	}
}

func (p *program) bias(t *testing.T, f *exe.File) memory.Address {
	name, err := p.process.ExeName()
	if err != nil {
		t.Fatal(err)
	}
	maps, err := p.process.Maps()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range maps {
		if m.Path == name && f.LowestAddress() < m.Start {
			return m.Start - f.LowestAddress()&^0xfff
		}
		if m.Path == name {
			break
		}
	}
	return 0
}

// extract stops the program and reads its heap.
func (p *program) extract(t *testing.T, opts heap.Options) *heap.Graph {
	t.Helper()
	stopped, err := process.Stop(context.Background(), p.process, process.StopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Resume()
	g, err := p.target.Extract(context.Background(), p.process.Memory(), stopped.Threads, p.named, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range append(g.Problems, p.target.Problems...) {
		t.Errorf("problem: %s", problem)
	}
	return g
}

// What is counted from outside is what the runtime counts, exactly, and next to
// nothing that the last collection kept is reached by no root.
func TestTotals(t *testing.T) {
	sample(t, func(t *testing.T, b build) {
		p := start(t, b, 3000)
		var g *heap.Graph
		for n, before := 0, p.counts(t); ; n++ {
			g = p.extract(t, heap.Options{})
			after := p.counts(t)
			if after == before {
				if g.Totals.Objects != before.objects || g.Totals.Bytes != before.bytes {
					t.Errorf("%d objects, %d bytes; the runtime counts %d, %d", g.Totals.Objects, g.Totals.Bytes, before.objects, before.bytes)
				}
				break
			}
			if n == 20 { // the runtime starts a thread now and then
				t.Fatal("the program's heap changes all the time")
			}
			before = after
		}
		h := g.Holdings()
		if h.Unknown > 3 || h.Garbage > 20 {
			t.Errorf("no root reaches %d objects with %d bytes, and %d new ones with %d", h.Unknown, h.UnknownBytes, h.Garbage, h.GarbageBytes)
		}
		if h.Reached+h.Unknown+h.Garbage != g.Totals.Objects || h.ReachedBytes+h.UnknownBytes+h.GarbageBytes != g.Totals.Bytes {
			t.Errorf("the parts do not add up: %+v of %+v", *h, g.Totals)
		}
	})
}

// Each root of the program holds what it was given, and no other one does.
func TestRoots(t *testing.T) {
	sample(t, func(t *testing.T, b build) {
		if strings.Contains(b.args, "-s") {
			t.Skip("variables have no names")
		}
		h := start(t, b, 3000).extract(t, heap.Options{}).Holdings()
		held := map[string]heap.Holding{}
		for _, r := range h.Roots {
			held[r.Root.Name] = r
		}
		slack := uint64(4096) // of what the runtime adds
		if strings.Contains(b.args, "-race") {
			slack *= 16
		}
		for name, least := range map[string]uint64{
			"main.lists":   3 * 300000 * 8,
			"main.tables":  3 * 20000 * 16,
			"main.chunks":  30 * 30 << 10,
			"main.numbers": 300 * 7, // some share their 16 bytes with others
			"main.literal": 16,      // through a literal that has no name
			"main.cellar":  100,     // through a literal in a literal
			"main.rows":    30 * (70*8 + 640),
			"sync.Pool":    640,
		} {
			if name == "sync.Pool" && strings.Contains(b.args, "-race") {
				continue // with the race detector a pool drops one value of four
			}
			if got := held[name].Retained; got < least || got > least+least/4+slack {
				t.Errorf("%s keeps %d bytes, want %d", name, got, least)
			}
		}
		if r := held["main.sessions"]; r.Objects < 3000*5 {
			t.Errorf("main.sessions reaches %d objects", r.Objects)
		}
		workers := uint64(0)
		for _, r := range h.Roots {
			if r.Root.Kind == heap.Goroutine && r.Root.Count == 50 {
				workers += r.Retained
			}
		}
		// A held of 320 bytes with 40 numbers, another held, and a runtime.g.
		if least := uint64(50 * (320 + 320 + 400)); workers < least/2 || workers > 3*least {
			t.Errorf("50 goroutines keep %d bytes", workers)
		}
		if r := held["finalizers"]; r.Root.Count < 1 {
			t.Errorf("finalizers: %+v", r)
		}
		if r := held["timers"]; r.Root.Count < 1 || r.Objects < 1 {
			t.Errorf("timers: %+v", r)
		}
	})
}

// TestSpansOfLater: the heap of a running program is found without the memory
// of its spans, some of which the program may have mapped a moment ago.
func TestSpansOfLater(t *testing.T) {
	p := start(t, builds[0], 10)
	m := p.Prog.Modules[0]
	only := &memory.Spliced{}
	only.Put(memory.Segment{Range: memory.Range{Start: m.Text.Start, End: m.NoPtrBSS.End}}, p.Mem)
	earlier := *p.Prog
	earlier.Mem = only
	place, err := heap.FindPlace(&earlier, func(string) (memory.Address, bool) { return 0, false })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := place.Slots(p.process.Memory()); err != nil {
		t.Error(err)
	}
}

// A program that a newer Go built is refused.
func TestUnknownRelease(t *testing.T) {
	prog := &module.Program{Version: module.Version{Minor: module.NewestMinor + 1, Text: "go1.99"}}
	if _, err := heap.Find(prog, nil, nil); err == nil || !strings.Contains(err.Error(), "go1.99") {
		t.Errorf("error %v", err)
	}
}
