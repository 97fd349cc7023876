// Package model has the values that the steps of a capture pass on. They are
// plain data, without a process or a file:
//
//	locate → [Identity]   what the program is
//	plan   → [Plan]       what to read
//	read   → [Snapshot]   what was read
//
// No step changes its input, except build, which takes ownership of a
// snapshot's bytes.
package model

import (
	"encoding/binary"
	"path"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/gcstats"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// An Identity has a core's facts about the program and its process.
type Identity struct {
	Path    string // of the executable
	Machine uint16 // the ELF machine that it runs on
	Build

	PID  int
	Stat process.Stat
	Auxv []byte
	Args string // "" unless requested

	Host      process.Host    // the kernel's facts about the process
	Layouts   []string        // lines of vmcoreinfo: the sizes, offsets and numbers of the tables
	Constants []note.Constant // of the tables

	Files []process.Mapping // of the executable file
	Data  memory.Ranges     // of loaded files: their writable variables
}

// A Build is how a program was built.
type Build struct {
	Main       string // import path of its main package, "" if unknown
	Module     string // path and version of the main module
	GoVersion  string // "" if it is not a readable Go program
	BuildID    string // Go's
	GNUBuildID string
	Info       string // as debug.BuildInfo.String returns it, "" if it is not known
}

// Name returns the program's name without its folder.
func (id *Identity) Name() string {
	name := path.Base(id.Path)
	if name == "." || name == "/" {
		return "program"
	}
	return name
}

// Reach is how far the walk came.
type Reach struct {
	Omissions walk.Omissions // values that depths and budgets omitted
	Closures  walk.Closures
	Faultless bool // it omitted nothing
}

// A Snapshot is the result of reading a program.
type Snapshot struct {
	Identity   Identity
	Maps       []process.Mapping
	Threads    Threads
	Image      Image
	Regions    []Result
	Reach      Reach
	Redaction  Redaction
	Goroutines Goroutines
	Functions  Functions
	Changed    Changed
	Problems   Problems
	Moment
}

// A Moment is when and how a program was read.
type Moment struct {
	Still      bool          // no thread changed memory while it was read
	Clock      int64         // the runtime's clock when goroutines were read, in nanoseconds; 0 if unknown
	Counters   gcstats.Stats // of the Go runtime
	Tags       []tables.Tag  // that the program has set
	Stopped    time.Duration // how long the program was stopped
	Unreadable string        // why no memory could be read, else ""
}

// Threads are a program's threads.
type Threads struct {
	List    []process.Thread // the failed one first
	All     int              // including those that could not be stopped
	Known   int              // number of threads with known registers or at least a position
	SigInfo *elfcore.SigInfo // about the signal that ended the program, or nil
}

// A Result is a region with the outcome of a reading.
type Result struct {
	Region
	Walk    *walk.RootResult // the result of its walk, nil if there was none
	Refused bool             // not captured, because it has no type and exclusions exist
}

// A Redaction describes what must not be in the core.
type Redaction struct {
	Redactor *walk.Redactor    // nil if there is no memory
	Rules    []string          // names of the exclusions, by their indexes in the redactor's receipts
	Excluded *request.Excluded // nil if nothing is excluded
	Secret   bool              // a goroutine runs under package runtime/secret, or may do so
	FaultAt  int               // offset of the address of the last fault in a runtime.g, 0 without goroutines
}

// Goroutines are a program's goroutines, in the order in which they were read.
type Goroutines struct {
	All    []goroutine.G
	Thread map[memory.Address]int // ID of the thread that runs a runtime.g
	Stacks []Stack
	Note   note.Goroutines
	Waits  []note.Wait
	Uses   []note.Use      // of what they wait for, in package variables
	Cut    []note.CutStack // stacks of which the image has both ends

	// Known are the addresses that skeleton stacks have and keep: of captured values that
	// no exclusion covers, and of what goroutines wait for, which follows from the note of waits.
	Known map[memory.Address]bool

	Alive    int // goroutines that have not ended
	Captured int // number of those that the image has completely

	Panics map[uint64]string // types of panic values by IDs of goroutines
	Shown  map[uint64]bool   // goroutines whose panic values have a type without exclusions
}

// A Stack is the part of a stack that the image has.
type Stack struct {
	Used   memory.Range   // the part that was read
	Whole  memory.Range   // where frame pointers may point
	Leads  []memory.Range // other word values that a skeleton keeps: stacks that saved registers may point into, a depth
	Secret bool           // at most a skeleton
}

// Functions are the program's functions that the snapshot refers to.
type Functions struct {
	InValues []memory.Address // entries of functions that values point to

	// Calls are the records of each address in code, for all addresses in
	// registers, in goroutines' records, in stacks, and InValues.
	Calls map[memory.Address][]note.Function
}

// Changed reports changes while a program was read, because of which it should
// be read again.
type Changed struct {
	Map      bool // a map was caught in the middle of a write
	Excluded int  // changed places in memory that excluded values refer to
}

// EachPC calls f for every word that may be an address in code: in registers,
// in goroutines' records, where stacks continue, in function values, and in
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
	for _, cut := range s.Goroutines.Cut {
		f(memory.Address(cut.PC))
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
