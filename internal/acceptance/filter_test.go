//go:build linux

package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/kernelcore"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// delveDump has Delve write a core of the whole process. It does not let the
// process run on as it was.
func delveDump(t *testing.T, pid int) string {
	t.Helper()
	dlv := debuggers.Need(t, "dlv")
	dir := t.TempDir()
	core, script := filepath.Join(dir, "delve.core"), filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("dump "+core+"\nexit\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(dlv, "attach", fmt.Sprint(pid), "--allow-non-terminal-interactive", "--init", script).CombinedOutput()
	if _, serr := os.Stat(core); serr != nil {
		t.Fatalf("Delve wrote no core: %v\n%s", err, out)
	}
	return core
}

// filter makes the small core of a full one.
func filter(t *testing.T, full string, from fullcore.Options, opts capture.Options) (string, *capture.Summary) {
	t.Helper()
	c, err := openFull(t, full, from)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := capture.Filter(context.Background(), c, opts)
	if err != nil {
		t.Fatal(err)
	}
	small := filepath.Join(t.TempDir(), "filtered.core")
	if err := corefile.Save(small, corefile.Form{}, corefile.From(out)); err != nil {
		t.Fatal(err)
	}
	return small, out.Summary()
}

// What is filtered of the full cores that gdb and Delve make of a stopped process
// is what a capture of it is: the same memory, byte by byte, and the same words
// about it.
func TestFilterIsACapture(t *testing.T) {
	needAMD64(t)
	for _, w := range ways() {
		for _, program := range []string{"secrets", "states"} {
			if program == "states" && w.name != "cgo-pie" && !full {
				continue
			}
			t.Run(program+"/"+w.name, func(t *testing.T) {
				exe := build(t, program, w.env, w.flags...)
				p := start(t, exe)
				p.freeze(t)
				opts := capture.Options{Stop: capture.StopAlways}
				captured, _ := takeCore(t, p.Process.Pid, opts)
				gdb := fullCore(t, p.Process.Pid)
				compareCores(t, "gdb", captured, gdb, fullcore.Options{})
				if w.name != "plain" && w.name != "pie" && !full {
					return
				}
				dump := delveDump(t, p.Process.Pid)
				compareCores(t, "Delve", captured, dump, fullcore.Options{Exe: exe})
				// Without its file, the executable is read from the core. Facts that need
				// symbols are then missing.
				away := exe + ".away"
				if err := os.Rename(exe, away); err != nil {
					t.Fatal(err)
				}
				small, summary := filter(t, dump, fullcore.Options{}, capture.Options{})
				// In stripped programs that were not optimised the list of goroutines is
				// not found.
				if diff := differences(regionsOf(t, small), regionsOf(t, captured)); w.name != "unoptimised" && (len(diff) > 0 || summary.Goroutines.Captured == 0) {
					t.Errorf("without the executable: %+v\n%s", summary, strings.Join(diff, "\n"))
				}
				if c, err := openFull(t, gdb, fullcore.Options{}); !errors.Is(err, fullcore.ErrNoExecutable) {
					t.Errorf("gdb's core, which holds no constants, opens without the executable: %v %v", c, err)
				}
			})
		}
	}
}

func openCore(t *testing.T, path string) *inspect.Core {
	t.Helper()
	c, err := inspect.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// openProgram opens a core with the executable that it names.
func openProgram(t *testing.T, path string) *inspect.Program {
	t.Helper()
	prog, err := inspect.OpenProgram(openCore(t, path), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return prog
}

// regionsOf returns what a core records of its regions, and of what it left out, a
// line each.
func regionsOf(t *testing.T, path string) (lines []string) {
	t.Helper()
	c := openCore(t, path)
	for _, r := range c.Regions {
		lines = append(lines, fmt.Sprintf("%+v", r))
	}
	for _, r := range c.Receipts {
		lines = append(lines, fmt.Sprintf("%+v", r))
	}
	return lines
}

// compareCores holds what is filtered of a full core against a capture.
func compareCores(t *testing.T, name, captured, whole string, from fullcore.Options) {
	t.Helper()
	small, summary := filter(t, whole, from, capture.Options{})
	if summary.Partial {
		t.Errorf("%s: %+v", name, summary.Problems)
	}
	if diff := differences(regionsOf(t, small), regionsOf(t, captured)); len(diff) > 0 {
		t.Errorf("%s: %s", name, strings.Join(diff, "\n"))
	}
	got, want := openCore(t, small), openCore(t, captured)
	if len(got.Threads) != len(want.Threads) {
		t.Errorf("%s: %d threads, want %d", name, len(got.Threads), len(want.Threads))
	}
	for _, th := range want.Threads {
		i := slices.IndexFunc(got.Threads, func(o elfcore.Thread) bool { return o.TID == th.TID })
		if i < 0 || !slices.Equal(got.Threads[i].Registers, th.Registers) {
			t.Errorf("%s: thread %d differs", name, th.TID)
		}
	}
	for _, c := range []struct {
		what        string
		this, other *inspect.Core
	}{{"the capture", want, got}, {"the filtered core", got, want}} {
		differ, absent, held := 0, 0, 0
		for i := range c.this.Loads {
			l := &c.this.Loads[i]
			if l.Marked() {
				continue
			}
			a, b := make([]byte, l.FileSize), bytes.Repeat([]byte{elfcore.MarkByte}, int(l.FileSize))
			if _, err := c.this.ReadMemory(l.Addr, a); err != nil {
				t.Fatal(err)
			}
			for k := 0; k < len(b); k++ { // what the other lacks stays a mark
				n, _ := c.other.ReadMemory(l.Addr+uint64(k), b[k:])
				k += n
			}
			for k := range a {
				switch {
				case a[k] == elfcore.MarkByte:
				case b[k] == elfcore.MarkByte:
					absent++
				case a[k] != b[k]:
					differ++
				}
				held++
			}
		}
		// A capture looks at a living program twice, and so keeps some more of
		// the descriptors of its types.
		if differ > 0 || absent > held/50 || held < 10_000 {
			t.Errorf("%s: of %d bytes of %s, %d differ and %d are absent", name, held, c.what, differ, absent)
		}
	}
}

// Of a core of the kernel, the debuggers print every annotated variable and every
// goroutine as of the full core itself, and no secret is in it.
func TestFilterOfTheKernelsCore(t *testing.T) {
	needAMD64(t)
	for _, w := range ways() {
		if w.name == "race" && !full {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			exe := build(t, "secrets", w.env, w.flags...)
			whole := kernelcore.Make(t, kernelcore.Default, syscall.SIGABRT, exe)
			text := mapped(t, whole)
			if missing := absent(text); len(missing) > 0 {
				t.Fatalf("the full core does not hold the secrets %v", missing)
			}
			for _, opts := range []capture.Options{
				{}, {Mode: capture.Strict}, {Mode: capture.Data}, {Depth: 50}, {Stacks: capture.StacksSkeleton, Labels: true, Args: true},
			} {
				small, summary := filter(t, whole, fullcore.Options{}, opts)
				data, err := os.ReadFile(small)
				if err != nil {
					t.Fatal(err)
				}
				if found := present(data); len(found) > 0 {
					t.Errorf("%+v: the core holds the secrets %v", opts, found)
				}
				if !bytes.Contains(data, []byte("ann visible")) || summary.Regions.Reasons["redacted"] == 0 || summary.Partial {
					t.Errorf("%+v: %+v", opts, summary)
				}
				if summary.Reason != "signal-sigabrt" {
					t.Errorf("the reason is %s", summary.Reason)
				}
			}
			if strings.HasPrefix(w.name, "stripped") {
				return
			}
			small, _ := filter(t, whole, fullcore.Options{}, capture.Options{})
			want := delve(t, exe, whole, "goroutines -t", "threads")
			if diff := differences(delve(t, exe, small, "goroutines -t", "threads"), want); len(diff) > 0 || len(want) < 20 {
				t.Errorf("%d lines of %d differ:\n%s", len(diff), len(want), strings.Join(diff[:min(len(diff), 8)], "\n"))
			}
			for i, c := range []string{small, whole} {
				values := debuggers.MustDelve(t, exe, c, "main.counter", `main.users["ann"].Age`, `main.users["ann"].Name`, "main.boxed.Label")
				if want := []string{"7", "44", `"ann visible"`, `"label visible"`}; !slices.Equal(values, want) {
					t.Errorf("core %d: Delve prints %q", i, values)
				}
				if values := debuggers.MustGDB(t, exe, c, "'main.counter'"); values[0] != "7" {
					t.Errorf("core %d: gdb prints %q", i, values)
				}
			}
		})
	}
}

// Every kind of value prints in Delve, line by line, as it does of the full core.
func TestFilterIsAsGoodAsTheFullCore(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	for i, b := range []kinds.Build{{Toolchain: "go1.27.3", Args: "-buildmode=pie"}, {}, {Toolchain: "go1.24.9"}, {Args: "-race"}} {
		b.Tables = true
		t.Run(b.String(), func(t *testing.T) {
			if i >= 1 && !full {
				t.Skip(matrix.Sampled)
			}
			exe := kinds.Make(t, b)
			pid := kinds.Start(t, exe)
			whole := gcore(t, pid)
			small, summary := filter(t, whole, fullcore.Options{}, capture.Options{Depth: 100})
			var vars []kinds.Var
			for _, v := range kinds.Attach(t, pid, nil).Vars {
				if _, annotated := notAnnotated[v.Name]; !annotated {
					vars = append(vars, v)
				}
			}
			exprs := expressions(vars)
			want, got := debuggers.MustDelve(t, exe, whole, exprs...), debuggers.MustDelve(t, exe, small, exprs...)
			for i, v := range vars {
				if got[i] != want[i] {
					t.Errorf("%s\nwhole dump: %s\n  filtered: %s", v.Name, clip(want[i]), clip(got[i]))
				}
			}
			t.Logf("%d variables; %d bytes of %s", len(vars), summary.Bytes, whole)
			os.Remove(whole)
		})
	}
}

// openFull opens the full core at path as filter does.
func openFull(t *testing.T, path string, o fullcore.Options) (*fullcore.Core, error) {
	t.Helper()
	file, err := corefile.Open(path, corefile.OpenOptions{})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { file.Close() })
	c, err := fullcore.New(file, file.Size, o)
	if err != nil {
		return nil, err
	}
	c.Path, c.Modified = path, file.Modified
	return c, nil
}
