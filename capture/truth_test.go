//go:build linux && amd64

package capture

import (
	"bytes"
	"context"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// taken captures the process and opens the core.
func taken(t *testing.T, pid int, opts Options) *elfcore.File {
	t.Helper()
	f, err := takenOrNot(t, pid, opts, func(m memory.Memory) memory.Memory { return m })
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func takenOrNot(t *testing.T, pid int, opts Options, wrap func(memory.Memory) memory.Memory) (*elfcore.File, error) {
	t.Helper()
	c, err := captureThrough(context.Background(), pid, opts, wrap)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	f, err := elfcore.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return f, nil
}

// ownMappings returns the mappings of the executable file and of the zeroed
// memory after it.
func ownMappings(t *testing.T, pid int) (constant, data []process.Mapping, mem memory.Memory) {
	t.Helper()
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	maps, err := p.Maps()
	if err != nil {
		t.Fatal(err)
	}
	name, err := p.ExeName()
	if err != nil {
		t.Fatal(err)
	}
	var end memory.Address
	for _, m := range maps {
		switch {
		case m.Path == name && !m.Write:
			constant = append(constant, m)
		case m.Path == name || m.Path == "" && m.Start == end:
			data = append(data, m)
		default:
			continue
		}
		end = m.End
	}
	if len(constant) < 2 || len(data) < 2 {
		t.Fatalf("the program has only these mappings: %v, %v", constant, data)
	}
	return constant, data, p.Memory()
}

// Where a core contains memory that debuggers could also read from the
// executable, both are equal: no gap between two constants is filled.
func TestConstantsAreTrue(t *testing.T) {
	pid := victim(t)
	constant, _, mem := ownMappings(t, pid)
	for _, limit := range []int{1, DefaultSegments} {
		for _, mode := range []Mode{Default, Strict, Data} {
			core := taken(t, pid, Options{Mode: mode, Depth: 20, Stop: StopAlways, Segments: limit})
			checked := 0
			for i := range core.Loads {
				l := &core.Loads[i]
				span := memory.RangeOf(memory.Address(l.Addr), l.FileSize)
				for _, m := range constant {
					both := span.Intersect(m.Range)
					if both.Empty() {
						continue
					}
					want, got := make([]byte, both.Size()), make([]byte, both.Size())
					if _, err := mem.ReadAt(want, both.Start); err != nil {
						t.Fatal(err)
					}
					if _, err := core.ReadMemory(uint64(both.Start), got); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got, want) {
						t.Errorf("%v, at most %d segments: the core differs from the executable in %v", mode, limit, both)
					}
					checked += len(got)
				}
			}
			if checked < 1000 {
				t.Errorf("%v: only %d bytes of constants in the core", mode, checked)
			}
		}
	}
}

const pageSize = 4096

// A flawed is memory with some unreadable pages.
type flawed struct {
	memory.Memory
	bad func(page memory.Address) bool
}

func (f *flawed) ReadAt(p []byte, addr memory.Address) (int, error) {
	for i := 0; i < len(p); {
		at := addr.Add(uint64(i))
		if f.bad(at &^ (pageSize - 1)) {
			n, err := f.Memory.ReadAt(p[:i], addr)
			if err != nil {
				return n, err
			}
			return n, memory.Unreadable(at, memory.ErrNotMapped)
		}
		i += int(pageSize - uint64(at)%pageSize)
	}
	return f.Memory.ReadAt(p, addr)
}

// For any unreadable pages of the program's variables, found before or during
// the copy: the core has each byte, or reports that it was not captured, and
// leaves none to the executable's initial values.
func TestUnreadableDataIsMarked(t *testing.T) {
	pid := victim(t)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // its variables stay unchanged
		t.Fatal(err)
	}
	_, data, mem := ownMappings(t, pid)
	cores := 0
	for seed := range uint64(24) {
		lost := 0
		bad := func(page memory.Address) bool {
			for _, m := range data {
				if m.Contains(page) {
					return mix(uint64(page)^seed)%(2+seed%7) == 0
				}
			}
			return false
		}
		calm := int64(seed) * 20                                      // number of pages that are read without an error
		opts := Options{Mode: Mode(seed % 3), Stop: Stop(1 + seed%2)} // always, never
		core, err := takenOrNot(t, pid, opts, func(m memory.Memory) memory.Memory {
			var reads atomic.Int64 // by two threads
			return &flawed{m, func(page memory.Address) bool { return reads.Add(1) > calm && bad(page) }}
		})
		if err != nil {
			continue // the pages that identify a Go program could not be read
		}
		cores++
		for _, m := range data {
			for page := m.Start; page < m.End; page = page.Add(pageSize) {
				want, got := make([]byte, pageSize), make([]byte, pageSize)
				if _, err := mem.ReadAt(want, page); err != nil {
					t.Fatal(err)
				}
				// The last mapping ends with a page, the variables end before that.
				n, err := core.ReadMemory(uint64(page), got)
				if err != nil && page.Add(pageSize) != m.End {
					t.Fatalf("seed %d: %v is left to the executable: %v", seed, page.Add(uint64(n)), err)
				}
				for i := range got[:n] {
					if got[i] != want[i] && got[i] != elfcore.MarkByte {
						t.Fatalf("seed %d: %v is %#x in the core and %#x in the program", seed, page.Add(uint64(i)), got[i], want[i])
					}
				}
				if bad(page) {
					lost++
				}
			}
		}
		if lost == 0 {
			t.Errorf("seed %d: every page could be read", seed)
		}
	}
	if cores < 12 {
		t.Errorf("only %d cores of 24", cores)
	}
}
