//go:build linux && amd64

package capture

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// TestUnsizedObjects: the object that an excluded unsafe.Pointer leads to is
// redacted completely: a small one, one of several pages, and a variable,
// wherever the pointer points into it. The public objects around it are in the
// core.
func TestUnsizedObjects(t *testing.T) {
	const rows = 184
	for _, c := range []struct {
		name     string
		flags    []string
		argument string
	}{{"symbols", nil, "variable"}, {"stripped", []string{"-ldflags=-s -w"}, ""}} {
		t.Run(c.name, func(t *testing.T) {
			pid, _ := runningBuilt(t, c.flags, "unsized", c.argument)
			for name, stop := range map[string]Stop{"stopped": StopAlways, "running": StopNever} {
				core, err := Capture(context.Background(), pid, Options{Stop: stop, Stacks: StacksSkeleton})
				if err != nil {
					t.Fatal(err)
				}
				var data bytes.Buffer
				if _, err := core.WriteTo(&data); err != nil {
					t.Fatal(err)
				}
				lost := 0
				for i := range rows {
					if !bytes.Contains(data.Bytes(), fmt.Appendf(nil, "public row %d.", i)) {
						lost++
					}
				}
				if lost > 0 {
					t.Errorf("%s: %d of %d public objects are lost", name, lost, rows)
				}
				if !bytes.Contains(data.Bytes(), []byte("public variable.")) {
					t.Errorf("%s: the public variable is lost", name)
				}
				if n := bytes.Count(data.Bytes(), []byte("secret-mark-here")); n > 0 {
					t.Errorf("%s: the excluded mark is there %d times", name, n)
				}
			}
		})
	}
}

// TestUnknownSpans: if the heap's spans cannot be read, the size of the object is
// unknown that an excluded unsafe.Pointer leads to. Then no values are taken, and
// the summary has the reason.
func TestUnknownSpans(t *testing.T) {
	pid, exe := runningBuilt(t, nil, "unsized", "")
	list := allspans(t, exe)
	live := func(mem memory.Memory) memory.Range {
		var header [memory.PtrSize]byte
		if _, err := mem.ReadAt(header[:], list.Start); err != nil {
			t.Fatal(err)
		}
		return memory.RangeOf(memory.Address(binary.LittleEndian.Uint64(header[:])), memory.PtrSize)
	}
	for _, c := range []struct {
		name  string
		patch func(mem memory.Memory) patched
	}{
		{"the list cannot be found", func(mem memory.Memory) patched { return patched{mem, list, nil} }},
		{"the list cannot be read", func(mem memory.Memory) patched { return patched{mem, live(mem), nil} }},
		{"the list is empty", func(mem memory.Memory) patched { return patched{mem, list, make([]byte, list.Size())} }},
		{"the list has no spans", func(mem memory.Memory) patched { return patched{mem, live(mem), make([]byte, memory.PtrSize)} }},
	} {
		for name, stop := range map[string]Stop{"stopped": StopAlways, "running": StopNever} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				core, err := captureThrough(context.Background(), pid, Options{Stop: stop}, func(mem memory.Memory) memory.Memory { return c.patch(mem) })
				if err != nil {
					t.Fatal(err)
				}
				var data bytes.Buffer
				if _, err := core.WriteTo(&data); err != nil {
					t.Fatal(err)
				}
				for _, text := range []string{"secret-mark-here", "public row", "public variable."} {
					if n := bytes.Count(data.Bytes(), []byte(text)); n > 0 {
						t.Errorf("%q is there %d times", text, n)
					}
				}
				s := core.Summary()
				why := func(p Problem) bool {
					return p.What == "exclusions" && strings.Contains(p.Why, "objects of unknown size")
				}
				if !s.Partial || s.Regions.Reasons["redacted"] != s.Regions.All || !slices.ContainsFunc(s.Problems, why) {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// allspans returns the memory of runtime.mheap_.allspans.
func allspans(t *testing.T, exe string) memory.Range {
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
	for _, s := range symbols {
		if s.Name == "runtime.mheap_" {
			const offset, sliceSize = 65864, 24
			return memory.RangeOf(memory.Address(s.Value+offset), sliceSize)
		}
	}
	t.Fatal("no symbol runtime.mheap_")
	return memory.Range{}
}

// patched is memory with other bytes at an address, or with unreadable ones.
type patched struct {
	memory.Memory
	at   memory.Range
	data []byte // nil: at cannot be read
}

func (p patched) ReadAt(b []byte, addr memory.Address) (int, error) {
	n, err := p.Memory.ReadAt(b, addr)
	both := p.at.Intersect(memory.RangeOf(addr, uint64(n)))
	switch {
	case both.Empty():
		return n, err
	case p.data == nil:
		return int(both.Start.Sub(addr)), memory.Unreadable(both.Start, memory.ErrNotMapped)
	}
	copy(b[both.Start.Sub(addr):n], p.data[both.Start.Sub(p.at.Start):])
	return n, err
}
