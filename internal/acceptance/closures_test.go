//go:build linux

package acceptance

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"testing"

	"github.com/meminspect/meminspect/capture"
)

// The debug information of a function literal has a pointer for a variable that is
// too large for registers, whether the closure has a pointer or the variable. The core
// has the variables in both cases.
func TestClosures(t *testing.T) {
	needAMD64(t)
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			p := start(t, build(t, "closures", w.env, w.flags...))
			for _, stop := range []capture.Stop{capture.StopAlways, capture.StopNever} {
				core, summary := takeCore(t, p.Process.Pid, capture.Options{Stacks: capture.StacksNone, Stop: stop})
				data, err := os.ReadFile(core)
				if err != nil {
					t.Fatal(err)
				}
				described := w.name == "unoptimised" || w.name == "stripped" // without debug information the whole closure is captured
				for n := byte(1); n <= 12; n++ {
					if n == 5 && !described {
						continue // docs/reference/following.md: a large value after others, without a description
					}
					if !bytes.Contains(data, markOf(n)) {
						t.Errorf("stop %v: the core lacks the variable with the mark %d", stop, n)
					}
				}
				if w.name == "unoptimised" && summary.Regions.Complete != summary.Regions.All {
					t.Errorf("stop %v: %+v", stop, summary.Regions)
				}
			}
		})
	}
}

// Closures that the program has made since the rehearsal have their variables, and a
// region that lacks some is not complete.
func TestClosuresThatChange(t *testing.T) {
	needAMD64(t)
	exe := build(t, "closures", []string{"CGO_ENABLED=0"}, "-gcflags=all=-N -l")
	functions := symbolAddress(t, exe, "main.functions")
	p := start(t, exe, "replace")
	for round := range 6 {
		core, summary := takeCore(t, p.Process.Pid, capture.Options{Stacks: capture.StacksNone, Stop: capture.StopAlways})
		if summary.Regions.Complete != summary.Regions.All {
			t.Errorf("round %d: %+v", round, summary.Regions)
		}
		c, err := elf.Open(core)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		word := func(addr uint64) uint64 { return binary.LittleEndian.Uint64(elfBytes(c, addr, 8)) }
		closure := func(i uint64) uint64 { return word(functions + 8*i) }
		for what, at := range map[string]struct {
			addr uint64
			mark byte
		}{
			"a value":                {closure(0) + 8, 1},
			"a reference":            {word(closure(1) + 8), 2},
			"a struct":               {closure(4) + 8 + 8, 8},
			"a reference of structs": {word(closure(5)+8) + 8, 10},
		} {
			if got := elfBytes(c, at.addr, 16); !bytes.Equal(got, markOf(at.mark)) {
				t.Errorf("round %d: %s at %#x is %x in the core", round, what, at.addr, got)
			}
		}
	}
}

func symbolAddress(t *testing.T, exe, name string) uint64 {
	t.Helper()
	for _, s := range symbolsOf(t, exe) {
		if s.Name == name {
			return s.Value
		}
	}
	t.Fatal("no symbol " + name)
	return 0
}

func symbolsOf(t *testing.T, exe string) []elf.Symbol {
	t.Helper()
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	return symbols
}

// elfBytes returns bytes of a core; those that it lacks are zero.
func elfBytes(f *elf.File, addr uint64, size int) []byte {
	b := make([]byte, size)
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && addr >= p.Vaddr && addr < p.Vaddr+p.Filesz {
			_, _ = p.ReadAt(b, int64(addr-p.Vaddr)) // at its end the rest stays zero
			break
		}
	}
	return b
}

// markOf is the function name of testdata/closures.
func markOf(n byte) []byte {
	m := make([]byte, 16)
	for i := range m {
		m[i] = n ^ byte(i*37+11)
	}
	return m
}
