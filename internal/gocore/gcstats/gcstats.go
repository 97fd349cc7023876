// Package gcstats reads what the Go runtime of a program counts about its
// memory, from outside: runtime.gcController, runtime.memstats and
// runtime.gomaxprocs.
//
// The offsets in gcControllerState are the same from Go 1.21 to 1.27.
package gcstats

import (
	"encoding/binary"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/memlimit"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// A Place is where a program has its counters; each address is 0 if it is not
// known. A stripped program has the controller alone.
type Place struct {
	MaxProcs, Controller, MemStats memory.Address

	stats Layout
}

// Offsets in runtime.gcControllerState.
const (
	percentAt  = 0
	limitAt    = 8
	liveAt     = 104
	inUseAt    = 272
	releasedAt = 280
	mappedAt   = 312

	controllerSize = 320
)

// A Layout gives the offsets in runtime.mstats.
type Layout struct{ last, pause, cycles, forced uint64 }

// LayoutOf returns the layout of a release.
func LayoutOf(v module.Version) Layout {
	if v.Minor < 25 {
		return Layout{last: 3592, pause: 3600, cycles: 7704, forced: 7708}
	}
	return Layout{last: 3568, pause: 3576, cycles: 7680, forced: 7684}
}

// Find returns where a program has its counters. symbol returns the addresses of
// variables, as far as the program has symbols.
func Find(prog *module.Program, symbol func(name string) (memory.Address, bool)) Place {
	p := Place{stats: LayoutOf(prog.Version)}
	p.MaxProcs, _ = symbol("runtime.gomaxprocs")
	p.MemStats, _ = symbol("runtime.memstats")
	var known bool
	if p.Controller, known = symbol("runtime.gcController"); !known {
		p.Controller, _ = memlimit.Find(prog)
	}
	return p
}

// Stats are a program's counters. Fields are 0 if they are not known.
type Stats struct {
	MaxProcs int
	GC       *Collector // nil if it is not known
	Heap     *Heap      // nil if it is not known
}

// A Collector is what the garbage collector has done.
type Collector struct {
	Cycles, Forced uint32
	Paused         time.Duration // in all
	Last           time.Time     // zero before the first cycle
}

// A Heap is the heap and its limits, in bytes.
type Heap struct {
	Percent  int32  // GOGC, -1 if it is off
	Limit    int64  // memlimit.None if there is none
	Live     uint64 // marked by the last cycle, and allocated since
	InUse    uint64 // of spans
	Released uint64 // to the system
	Mapped   uint64 // of the whole runtime
}

// Read reads the counters, as far as they are known and readable.
func (p Place) Read(mem memory.Memory) Stats {
	var s Stats
	le := binary.LittleEndian
	if b := bytesAt(mem, p.MaxProcs, 4); b != nil {
		s.MaxProcs = int(le.Uint32(b))
	}
	if b := bytesAt(mem, p.MemStats, p.stats.forced+4); b != nil {
		s.GC = &Collector{
			Cycles: le.Uint32(b[p.stats.cycles:]), Forced: le.Uint32(b[p.stats.forced:]),
			Paused: time.Duration(le.Uint64(b[p.stats.pause:])),
		}
		if last := le.Uint64(b[p.stats.last:]); last != 0 {
			s.GC.Last = time.Unix(0, int64(last))
		}
	}
	if b := bytesAt(mem, p.Controller, controllerSize); b != nil {
		s.Heap = &Heap{
			Percent: int32(le.Uint32(b[percentAt:])), Limit: int64(le.Uint64(b[limitAt:])), Live: le.Uint64(b[liveAt:]),
			InUse: le.Uint64(b[inUseAt:]), Released: le.Uint64(b[releasedAt:]), Mapped: le.Uint64(b[mappedAt:]),
		}
	}
	return s
}

// bytesAt returns n bytes at an address, nil if it is 0 or they cannot be read.
func bytesAt(mem memory.Memory, at memory.Address, n uint64) []byte {
	if at == 0 {
		return nil
	}
	b, err := memory.Reader{Memory: mem}.Bytes(at, n, n)
	if err != nil {
		return nil
	}
	return b
}
