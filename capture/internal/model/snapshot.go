// Package model has the values that the steps of a capture pass on, as far as
// they are data alone, without a process and without a file:
//
//	locate → [Identity]   what the program is
//	plan   → [Plan]       what to read
//	read   → [Snapshot]   what was read
//
// No step changes a value that it was given, but for build, which takes over
// the bytes of a snapshot.
package model

import (
	"encoding/binary"
	"path"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/gcstats"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// An Identity is what a core says about the program and its process.
type Identity struct {
	Path       string // of the executable
	Main       string // import path of its main package, "" if it is not known
	GoVersion  string // "" if it is not a Go program that can be read
	BuildID    string // Go's
	GNUBuildID string
	Machine    uint16 // the ELF machine that it runs on

	PID  int
	Stat process.Stat
	Auxv []byte
	Args string // "" unless they are asked for

	BuildInfo string       // as debug.BuildInfo.String returns it, "" if it is not known
	Module    string       // path and version of the main module
	Host      process.Host // what the kernel tells about the process
	Layouts   []string     // lines of vmcoreinfo: the sizes, offsets and numbers of the tables

	Files []process.Mapping // of the executable file
	Data  memory.Ranges     // of loaded files: their writable variables
}

// Name is the program's name without its folder.
func (id *Identity) Name() string {
	name := path.Base(id.Path)
	if name == "." || name == "/" {
		return "program"
	}
	return name
}

// A Snapshot is what was read of a program.
type Snapshot struct {
	Identity   Identity
	Maps       []process.Mapping
	Threads    Threads
	Image      Image
	Regions    []Result
	Omissions  walk.Omissions // what of the regions' values depths and budgets left out
	Redaction  Redaction
	Excluded   *request.Excluded // nil if nothing is excluded
	Goroutines Goroutines
	Functions  Functions
	Changed    Changed
	Still      bool          // no thread changed memory while it was read
	Clock      int64         // the runtime's clock when goroutines were read, in nanoseconds; 0 if not known
	Counters   gcstats.Stats // of the Go runtime
	Stopped    time.Duration // how long the program was stopped
	Unreadable string        // why no memory could be read, "" if it could
	Problems   Problems
}

// Threads are a program's threads.
type Threads struct {
	List    []process.Thread // the one that failed first
	All     int              // also those that could not be stopped
	Known   int              // of which registers or at least places are known
	SigInfo *elfcore.SigInfo // about the signal that ended the program, or nil
}

// A Result is a region with what became of it in a reading.
type Result struct {
	Region
	Walk    *walk.RootResult // how the walk from it ended, nil if there was none
	Refused bool             // nothing was taken, since it has no type and exclusions exist
}

// A Redaction is what must not be in the core.
type Redaction struct {
	Redactor *walk.Redactor // nil if there is no memory
	Rules    []string       // names of the exclusions, by their indexes in the redactor's receipts
}

// Goroutines are a program's goroutines, in the order in which they were read.
type Goroutines struct {
	All    []goroutine.G
	Thread map[memory.Address]int // ID of the thread that works for a runtime.g
	Stacks []Stack
	Note   note.Goroutines
	Waits  []note.Wait

	Alive    int // goroutines that have not ended
	Captured int // of those, how many the image has whole

	Panics map[uint64]string // types of panic values by IDs of goroutines
	Shown  map[uint64]bool   // goroutines whose panic values have a type about which there is no exclusion
}

// A Stack is the part of a stack that the image has.
type Stack struct {
	Used   memory.Range   // what of it was read
	Whole  memory.Range   // where frame pointers may point
	Leads  []memory.Range // values of other words that a skeleton keeps: stacks that saved registers here may point into, a depth
	Secret bool           // a skeleton at most
}

// Functions are those of the program that the snapshot refers to.
type Functions struct {
	InValues []memory.Address // entries of functions to which values point

	// Calls are the records of each address in code, for all addresses in
	// registers, in goroutines' records, in stacks, and InValues.
	Calls map[memory.Address][]note.Function
}

// Changed is what changed while a program was read, so that it should be read
// again.
type Changed struct {
	Map      bool // a map was caught in the middle of a write
	Excluded int  // places in values that excluded values hold
}

// EachPC calls f for every word that may be an address in code: in registers,
// in goroutines' records, in values that are known to point at functions, and in
// stacks, in this order.
func (s *Snapshot) EachPC(f func(memory.Address)) {
	for i := range s.Threads.List {
		th := &s.Threads.List[i]
		f(memory.Address(th.PC()))
		f(memory.Address(th.Link()))
	}
	for i := range s.Goroutines.All {
		g := &s.Goroutines.All[i]
		for _, pc := range []memory.Address{g.Where().PC, g.Where().LR, g.StartPC, g.GoPC} {
			f(pc)
		}
	}
	for _, entry := range s.Functions.InValues {
		f(entry)
	}
	for _, stack := range s.Goroutines.Stacks {
		s.Image.Each(stack.Used, func(addr memory.Address, data []byte) {
			for off := int(-uint64(addr) % 8); off+8 <= len(data); off += 8 {
				f(memory.Address(binary.LittleEndian.Uint64(data[off:])))
			}
		})
	}
}
