//go:build linux

package gcstats

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// The counters of this process are those that it reads itself. The test's
// executable has no symbols, so cells replace them.
func TestRead(t *testing.T) {
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
	place := Find(prog, func(string) (memory.Address, bool) { return 0, false })
	if place.Controller == 0 {
		t.Fatal("the controller was not found")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(77))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 40))
	keep := make([]byte, 64<<20)
	runtime.GC()
	s := place.Read(p.Memory())
	if s.Heap == nil || s.MaxProcs != 0 || s.GC != nil {
		t.Fatalf("%+v", s)
	}
	if h := s.Heap; h.Percent != 77 || h.Limit != 1<<40 || h.Live < 64<<20 || h.Live > 256<<20 || h.InUse < h.Live || h.Mapped < h.InUse {
		t.Errorf("%+v", *h)
	}
	runtime.KeepAlive(keep)
	debug.SetMemoryLimit(math.MaxInt64)
	if h := place.Read(p.Memory()).Heap; h == nil || h.Limit != math.MaxInt64 {
		t.Errorf("%+v", h)
	}
}

// A cell is memory that has its address.
type cell []byte

func (c cell) ReadAt(p []byte, addr memory.Address) (int, error) { return copy(p, c[addr:]), nil }

// The offsets in runtime.mstats changed in Go 1.25.
func TestMemStats(t *testing.T) {
	for minor, last := range map[int]int{21: 3592, 24: 3592, 25: 3568, 27: 3568} {
		mem := make(cell, 16<<10)
		const at = 64
		mem[at+last], mem[at+last+7] = 1, 1 // 1<<56 + 1 nanoseconds since 1970
		mem[at+last+8] = 200
		mem[at+last+8+8+2*256*8] = 9
		mem[at+last+8+8+2*256*8+4] = 4
		place := Place{MemStats: at, stats: LayoutOf(module.Version{Minor: minor})}
		s := place.Read(mem)
		if want := (Collector{Cycles: 9, Forced: 4, Paused: 200 * time.Nanosecond, Last: time.Unix(0, 1<<56+1)}); s.GC == nil || *s.GC != want {
			t.Errorf("Go 1.%d: %+v, want %+v", minor, s.GC, want)
		}
	}
}
