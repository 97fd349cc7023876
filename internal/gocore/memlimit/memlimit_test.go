//go:build linux

package memlimit

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime/debug"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/module"
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
