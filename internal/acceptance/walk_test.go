// Package acceptance holds the tests of whole capabilities, with unmodified
// debuggers as their judges.
package acceptance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// full selects the whole matrices instead of samples.
var full = matrix.Whole()

func TestMain(m *testing.M) {
	status := m.Run()
	kinds.Cleanup()
	programs.remove()
	os.Exit(status)
}

// builds is the matrix. The first ones are the sample that always runs.
var builds = []kinds.Build{
	{Toolchain: "go1.23.12"},
	{Toolchain: "go1.27.3", Args: "-buildmode=pie"},
	{},
	{Toolchain: "go1.25.5"},
	{Toolchain: "go1.24.9"},
	{Toolchain: "go1.22.12"},
	{Toolchain: "go1.21.13"},
	{Toolchain: "go1.27.3"},
	{Toolchain: "go1.24.9", Env: "GOEXPERIMENT=noswissmap"},
	{Toolchain: "go1.27.3", Env: "GOEXPERIMENT=mapsplitgroup"},
	{Debug: true},
	{Args: "-race"},
	{Args: "-buildmode=pie"},
	{Args: "-tags=withcgo"},
}

const sample = 2

// forBuilds runs a test for the sampled builds, or for all.
func forBuilds(t *testing.T, test func(t *testing.T, b kinds.Build)) {
	for i, b := range builds {
		t.Run(b.String(), func(t *testing.T) {
			if i >= sample && !full {
				t.Skip(matrix.Sampled)
			}
			test(t, b)
		})
	}
}

// gcore dumps a process whole.
func gcore(t *testing.T, pid int) string {
	t.Helper()
	tool := debuggers.Need(t, "gcore")
	prefix := filepath.Join(t.TempDir(), "full")
	if out, err := exec.Command(tool, "-o", prefix, fmt.Sprint(pid)).CombinedOutput(); err != nil {
		t.Fatalf("gcore: %v\n%s", err, out)
	}
	return fmt.Sprintf("%s.%d", prefix, pid)
}

// expressions names variables as Delve wants them.
func expressions(vars []kinds.Var) []string {
	exprs := make([]string, len(vars))
	for i, v := range vars {
		dot := strings.LastIndexByte(v.Name, '.')
		exprs[i] = fmt.Sprintf("%q.%s", v.Name[:dot], v.Name[dot+1:])
	}
	return exprs
}

// What a walk captures of a program, with the runtime's own variables, is all that Delve needs
// to print each variable as it does from a dump of the whole process.
func TestWalkIsAsGoodAsAWholeDump(t *testing.T) {
	debuggers.Need(t, "dlv")
	forBuilds(t, func(t *testing.T, b kinds.Build) {
		path := kinds.Make(t, b)
		pid := kinds.Start(t, path)
		full := gcore(t, pid)
		core := filepath.Join(t.TempDir(), "walked.core")
		p := writeWalked(t, pid, full, core)
		exprs := expressions(p.Vars)
		want := debuggers.MustDelve(t, path, full, exprs...)
		got := debuggers.MustDelve(t, path, core, exprs...)
		if err := os.Remove(full); err != nil {
			t.Error(err)
		}
		info, err := os.Stat(core)
		if err != nil {
			t.Fatal(err)
		}
		different := 0
		for i, v := range p.Vars {
			// The list of goroutines that wait on a channel needs the
			// goroutines themselves, which no variable holds.
			if withoutWaiters(got[i]) != withoutWaiters(want[i]) {
				different++
				t.Errorf("%s\nwhole dump: %s\n      walk: %s", v.Name, want[i], got[i])
			}
		}
		t.Logf("%d of %d variables print the same; core of %d bytes", len(p.Vars)-different, len(p.Vars), info.Size())
	})
}

// withoutWaiters cuts off what Delve prints below a channel about goroutines.
func withoutWaiters(value string) string {
	if !strings.HasPrefix(value, "chan ") {
		return value
	}
	value, _, _ = strings.Cut(value, "\nGoroutines waiting on this channel:")
	value, _, _ = strings.Cut(value, "\nError reading channel wait queue:")
	return strings.TrimSpace(value)
}

// writeWalked writes a core with what a walk from all variables captures, and
// the threads of the full core.
func writeWalked(t *testing.T, pid int, full, path string) *kinds.Program {
	t.Helper()
	var trace *walk.Trace
	p := kinds.Attach(t, pid, func(mem memory.Memory) memory.Memory {
		trace = walk.NewTrace(mem)
		return trace
	})
	cfg := walk.Config{Memory: p.Mem, Types: p.Types, Version: p.Prog.Version}
	for _, m := range p.Prog.Modules {
		cfg.Text = append(cfg.Text, m.Text)
		cfg.Image = append(cfg.Image, memory.Range{Start: m.Text.Start, End: m.End})
	}
	for _, v := range p.Vars {
		cfg.Roots = append(cfg.Roots, walk.Root{Name: v.Name, Addr: v.Addr, Type: v.Type, Depth: walk.Unlimited})
	}
	res, err := walk.Walk(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, end := range res.Roots {
		if end.State != walk.Complete {
			t.Errorf("%s: %v %v", cfg.Roots[i].Name, end.State, end.Records)
		}
	}
	f, err := os.Open(full)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := elfcore.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	core := elfcore.Core{Machine: whole.Machine, Notes: whole.Notes}
	for i := range core.Notes {
		if core.Notes[i].Name == "CORE" && core.Notes[i].Type == ntFile {
			core.Notes = append(core.Notes[:i], core.Notes[i+1:]...)
			break
		}
	}
	ours := res.Captured().Union(res.Facts).Union(trace.Seen()).Union(p.Runtime).Joined(64, 2000)
	for _, m := range p.Prog.Modules { // no initial values from the executable
		for _, r := range []memory.Range{m.NoPtrData, m.Data, m.BSS, m.NoPtrBSS} {
			for _, gap := range ours.Gaps(r) {
				core.Segments = append(core.Segments, elfcore.Segment{Addr: uint64(gap.Start), Size: gap.Size(), Flags: 6})
			}
		}
	}
	for _, r := range ours {
		data := make([]byte, r.Size())
		n, err := p.Mem.ReadAt(data, r.Start)
		if err != nil {
			t.Errorf("%v: %v", r, err)
		}
		core.Segments = append(core.Segments, elfcore.Segment{Addr: uint64(r.Start), Size: uint64(n), Flags: 6, Content: elfcore.Bytes(data[:n])})
	}
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := core.Write(out); err != nil {
		t.Fatal(err)
	}
	return p
}

const ntFile = 0x46494c45
