//go:build linux && amd64

package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

// A restless is memory of which one word has another value at the first reads.
type restless struct {
	memory.Memory
	word  memory.Address
	reads int
	calm  int // number of reads after which the word is correct
}

func (m *restless) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := m.Memory.ReadAt(p, addr)
	all := memory.RangeOf(addr, uint64(n))
	if all.ContainsRange(memory.RangeOf(m.word, 8)) {
		if m.reads++; m.reads <= m.calm {
			at := p[m.word-addr:]
			// Point into itself, so that its target can be read.
			binary.LittleEndian.PutUint64(at, uint64(m.word)-8*uint64(m.reads%100))
		}
	}
	return n, err
}

// The header of an excluded slice is replaced while the running program is
// read. Its target is also annotated under another name, but is in no core:
// after a change the capture is made again, and if changes do not end, no value
// is captured at all.
func TestExcludedHeaderMoves(t *testing.T) {
	pid, path := running(t, "secrets")
	header := symbolOf(t, path, "main.globalSlice")
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r := memory.Reader{Memory: p.Memory()}
	slice, err := r.Slice(header)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := r.Bytes(slice.Data, slice.Len, 64)
	if err != nil || len(secret) < 8 {
		t.Fatalf("the secret is %x, %v", secret, err)
	}
	for _, c := range []struct {
		name          string
		calm          int
		values, moved bool
	}{
		{"it does not move", 0, true, false},
		{"once", 1, true, false},
		{"for ever", 1 << 30, false, true},
	} {
		mem := &restless{word: header, calm: c.calm}
		captured, err := captureThrough(t.Context(), pid, Options{Stop: StopNever}, func(m memory.Memory) memory.Memory {
			mem.Memory = m
			return mem
		})
		if err != nil {
			t.Fatal(err)
		}
		var core bytes.Buffer
		if _, err := captured.WriteTo(&core); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(core.Bytes(), secret) {
			t.Errorf("%s: the secret is in the core", c.name)
		}
		if got := bytes.Contains(core.Bytes(), []byte("ann visible")); got != c.values {
			t.Errorf("%s: values are in the core: %v", c.name, got)
		}
		moved := false
		for _, problem := range captured.Summary().Problems {
			moved = moved || strings.Contains(problem.Why, "what excluded values hold was replaced each time it was read")
		}
		if moved != c.moved || moved != captured.Summary().Partial {
			t.Errorf("%s: %+v", c.name, captured.Summary())
		}
		if c.calm > 0 && mem.reads < 2 {
			t.Errorf("%s: the header was read %d times", c.name, mem.reads)
		}
	}
}

func symbolOf(t *testing.T, path, name string) memory.Address {
	t.Helper()
	f, err := exe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s.Addr
		}
	}
	t.Fatal(errors.New("no symbol " + name))
	return 0
}
