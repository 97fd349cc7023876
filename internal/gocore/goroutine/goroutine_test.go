//go:build linux

package goroutine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/atomicstores"
	"github.com/meminspect/meminspect/internal/gocore/memlimit"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/matrix"
)

const program = `package main

func main() { ch := make(chan int); go func() { ch <- 1 }(); println(<-ch) }
`

// build builds a small program with a release for a processor.
func build(t *testing.T, release, arch string, flags ...string) *exe.File {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"main.go": program, "go.mod": "module program\n\ngo 1.21\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", append([]string{"build", "-o", "program"}, flags...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=go"+release, "GOARCH="+arch, "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go%s for %s: %v\n%s", release, arch, err, out)
	}
	f, err := exe.Open(filepath.Join(dir, "program"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func nothing(string) (memory.Address, bool) { return 0, false }

// The variables that are found by the code are those that the symbols name, for
// each processor and release.
func TestCellsInCode(t *testing.T) {
	releases := []string{"1.26.8", "1.27.3", "1.25.5", "1.24.9", "1.23.12", "1.22.12", "1.21.13"}
	if !matrix.Whole() {
		releases = releases[:1]
	}
	for _, release := range releases {
		for _, arch := range []string{"amd64", "arm64"} {
			for _, flags := range [][]string{nil, {"-buildmode=pie"}, {"-gcflags=all=-N -l"}} {
				if arch == "arm64" && slices.Contains(flags, "-buildmode=pie") {
					continue // its external linker is not here
				}
				f := build(t, release, arch, flags...)
				prog, err := module.OfFile(f)
				if err != nil {
					t.Fatal(err)
				}
				cells, err := cellsInCode(prog, nothing)
				if err != nil {
					t.Errorf("go%s %s %v: %v", release, arch, flags, err)
					continue
				}
				heap, err := atomicstores.Argument(prog, "runtime.mallocinit", "runtime.(*mheap).init", nothing)
				if err != nil {
					t.Errorf("go%s %s %v: %v", release, arch, flags, err)
				}
				found := map[string]memory.Address{"runtime.allgptr": cells.Ptr, "runtime.allglen": cells.Len, "runtime.mheap_": heap}
				if !slices.Contains(flags, "-gcflags=all=-N -l") { // the store is in another function then
					if found["runtime.gcController"], err = memlimit.Find(prog); err != nil {
						t.Errorf("go%s %s %v: %v", release, arch, flags, err)
					}
				}
				for name, got := range found {
					if s, err := f.Symbol(name); err != nil || s.Addr != got {
						t.Errorf("go%s %s %v: %s at %v, the symbol reports %v, %v", release, arch, flags, name, got, s.Addr, err)
					}
				}
			}
		}
	}
}

// self is this very program, seen from outside.
func self(t *testing.T) (*module.Program, *exe.Image) {
	t.Helper()
	p, err := process.Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	f, err := exe.Open(p.ExePath())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	maps, err := p.Maps()
	if err != nil {
		t.Fatal(err)
	}
	name, _ := p.ExeName()
	image := f.Loaded(0)
	var mem memory.Spliced
	for _, m := range maps {
		if m.Path == name && image.Bias == 0 && m.Start != f.LowestAddress() {
			image = f.Loaded(m.Start - f.LowestAddress())
		}
		if m.Read {
			mem.Put(memory.Segment{Range: m.Range, Write: m.Write, Exec: m.Exec}, p.Memory())
		}
	}
	prog, err := module.OfImage(image, &mem)
	if err != nil {
		t.Fatal(err)
	}
	return prog, image
}

// The list of a living program is found by each pair of ways, and has what the
// program itself has.
func TestFind(t *testing.T) {
	stop := make(chan bool)
	const more = 500
	for range more {
		go func() { <-stop }()
	}
	defer close(stop)
	await.True(t, "all goroutines wait", func() bool {
		stacks := make([]byte, 1<<20)
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), " [chan receive]:\n") >= more
	})

	prog, image := self(t)
	layout, err := LayoutOf(prog.Version)
	if err != nil {
		t.Skipf("this test's own Go release: %v", err)
	}
	symbol := func(name string) (memory.Address, bool) {
		s, err := image.File.Symbol(name)
		return s.Addr + image.Bias, err == nil
	}
	withoutCode := func(name string) (memory.Address, bool) {
		if name == adderName {
			return 0, false
		}
		return symbol(name)
	}
	ways := map[string]func(string) (memory.Address, bool){"code and data": nothing}
	if _, ok := symbol("runtime.allgptr"); ok { // go test strips what it does not keep
		ways["symbols and code"] = withoutCode
	}
	for how, names := range ways {
		cells, err := Find(prog, names)
		if err != nil || cells.How != how {
			t.Errorf("%s: %+v, %v", how, cells, err)
			continue
		}
		list, err := cells.Read(prog.Mem)
		if err != nil {
			t.Fatal(err)
		}
		addrs, err := list.Addrs(prog.Mem)
		if err != nil {
			t.Fatal(err)
		}
		read := layout.ReadAll(prog.Mem, addrs, nil, nil)
		if read.Bad > 0 {
			t.Errorf("%s: %d goroutines could not be read: %v", how, read.Bad, read.First)
		}
		waiting, alive := 0, 0
		for i := range read.All {
			g := &read.All[i]
			if g.Status.Alive() {
				alive++
			}
			if g.Status == Waiting {
				waiting++
				if used := g.InUse(g.Where().SP); used.Empty() || !g.Stack.ContainsRange(used) {
					t.Errorf("goroutine %d is at %v on %v", g.ID, g.Where(), g.Stack)
				}
			}
		}
		if waiting < more || alive < runtime.NumGoroutine() {
			t.Errorf("%s: %d goroutines, %d waiting; the program counts %d", how, alive, waiting, runtime.NumGoroutine())
		}
	}
}

// Cells that differ from what the code does are not believed.
func TestFindDisagreement(t *testing.T) {
	prog, _ := self(t)
	cells, err := Find(prog, nothing)
	if err != nil {
		t.Fatal(err)
	}
	wrong := func(name string) (memory.Address, bool) {
		switch name {
		case "runtime.allgptr":
			return cells.Ptr + 8, true
		case "runtime.allglen":
			return cells.Len, true
		}
		return 0, false
	}
	if cells, err := Find(prog, wrong); !errors.Is(err, ErrNoList) {
		t.Errorf("symbols that contradict the code give %+v, %v", cells, err)
	}
}

// Any bytes give a goroutine that makes sense, or an error.
func FuzzDecode(f *testing.F) {
	f.Add(make([]byte, 512), uint8(26))
	f.Fuzz(func(t *testing.T, b []byte, minor uint8) {
		layout, err := LayoutOf(module.Version{Minor: module.OldestMinor + int(minor)%(module.NewestMinor-module.OldestMinor+1)})
		if err != nil {
			t.Fatal(err)
		}
		const addr = 0xc000001000
		g, err := layout.Decode(addr, b)
		if err != nil {
			return
		}
		if g.Stack.End < g.Stack.Start || g.Status > DeadExtra {
			t.Fatalf("%+v", g)
		}
		for _, sp := range []memory.Address{g.Where().SP, 0, g.Stack.End, ^memory.Address(0)} {
			if used := g.InUse(sp); !g.Stack.ContainsRange(used) {
				t.Fatalf("%v is not in %v", used, g.Stack)
			}
		}
	})
}
