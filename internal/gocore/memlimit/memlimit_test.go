//go:build linux

package memlimit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/matrix"
)

// In this very process the limit is found, and read as it is set.
func TestFind(t *testing.T) {
	p, err := process.Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	f, err := exe.Open(p.ExePath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	prog, err := module.OfFile(f)
	if err != nil {
		t.Fatal(err)
	}
	at, err := Find(prog)
	if err != nil {
		t.Fatal(err)
	}
	maps, err := p.Maps()
	if err != nil {
		t.Fatal(err)
	}
	name, _ := p.ExeName()
	for _, m := range maps {
		if m.Path == name {
			at += m.Start - f.LowestAddress()&^4095 // moved, where it is position-independent
			break
		}
	}
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, gogc := range []int{-1, 0, 100, 333} {
		debug.SetGCPercent(gogc)
		for _, want := range []int64{1 << 40, 12345678901, None} {
			debug.SetMemoryLimit(want)
			if got, err := Read(p.Memory(), at); err != nil || got != want {
				t.Errorf("GOGC=%d: %d, %v, want %d", gogc, got, err, want)
			}
		}
	}
}

// Whatever the compiler makes of the code, the limit is where the symbol table has it.
func TestFindInBuilds(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module m\n\ngo 1.21\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	releases := []string{"local", "go1.21.13", "go1.22.12", "go1.23.12", "go1.24.9", "go1.25.5", "go1.27.3"}
	for _, release := range matrix.Choose(releases[:1], releases) {
		for _, arch := range matrix.Choose([]string{"amd64"}, []string{"amd64", "arm64"}) {
			for _, flags := range matrix.Choose([]string{"all=-N -l"}, []string{"", "all=-N", "all=-l", "all=-N -l"}) {
				t.Run(fmt.Sprintf("%s %s %s", release, arch, flags), func(t *testing.T) {
					program := filepath.Join(t.TempDir(), "program")
					build := exec.CommandContext(t.Context(), "go", "build", "-gcflags="+flags, "-o", program, ".")
					build.Dir = dir
					build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOTOOLCHAIN="+release, "GOARCH="+arch)
					if out, err := build.CombinedOutput(); err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
					f, err := exe.Open(program)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					prog, err := module.OfFile(f)
					if err != nil {
						t.Fatal(err)
					}
					symbols, err := f.Symbols()
					if err != nil {
						t.Fatal(err)
					}
					i := slices.IndexFunc(symbols, func(s exe.Symbol) bool { return s.Name == "runtime.gcController" })
					if i < 0 {
						t.Fatalf("none of %d symbols is runtime.gcController", len(symbols))
					}
					if at, err := Find(prog); err != nil || at != symbols[i].Addr {
						t.Errorf("Find returned %#x, %v, the symbol is at %#x", at, err, symbols[i].Addr)
					}
				})
			}
		}
	}
}

type words []byte

func (w words) ReadAt(p []byte, addr memory.Address) (int, error) { return copy(p, w[addr:]), nil }

// What the runtime would not have set is not believed.
func TestReadOther(t *testing.T) {
	for _, c := range []struct {
		percent int32
		limit   int64
		minimum uint64
		ok      bool
	}{
		{100, None, 4 << 20, true}, {50, 1 << 30, 2 << 20, true}, {100, 5, 512 << 10, true}, {0, 5, 0, true},
		{0, 0, 0, false}, {100, 5, 4<<20 + 1, false}, {100, -5, 4 << 20, false}, {-2, 5, 0, false}, {0x1234, 5, 0xc000, false},
	} {
		var w words
		w = binary.LittleEndian.AppendUint64(w, uint64(uint32(c.percent)))
		w = binary.LittleEndian.AppendUint64(w, uint64(c.limit))
		w = binary.LittleEndian.AppendUint64(w, c.minimum)
		limit, err := Read(w, 0)
		if (err == nil) != c.ok || c.ok && limit != c.limit || !c.ok && !errors.Is(err, ErrUnknown) {
			t.Errorf("%+v: %d, %v", c, limit, err)
		}
	}
}
