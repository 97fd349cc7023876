package capture

import (
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/format/place"
)

// A Mode selects which memory of the program a capture reads.
type Mode uint8

const (
	// Default reads the regions and what is reachable from them, goroutines,
	// threads, and the variables of the Go runtime that debuggers need.
	Default Mode = iota

	// Strict reads only the regions and what is reachable from them, and no
	// goroutine: nothing that was not annotated or registered, except the
	// executable's first page and the number of goroutines.
	Strict

	// Data also reads the program's package variables that are not annotated.
	Data
)

// String returns the value as the command line spells it.
func (m Mode) String() string {
	return [...]string{"default", "strict", "data"}[m%3]
}

// A Stop selects whether the program is stopped while it is read.
type Stop uint8

const (
	// StopAuto stops pure Go programs, whose system calls are restarted, and does
	// not stop programs with cgo: system calls of C code may fail with EINTR.
	StopAuto Stop = iota

	// StopAlways stops every program. It is an error if a program cannot be
	// stopped.
	StopAlways

	// StopNever reads every program while it runs.
	StopNever

	// StopTry stops every program if possible, and otherwise reads it while it
	// runs.
	StopTry
)

// A Stacks selects which part of goroutine stacks a core contains.
type Stacks uint8

const (
	// StacksAuto is StacksFull in programs without exclusions, and StacksSkeleton
	// in others: stacks have no types, so excluded values cannot be found in them.
	StacksAuto Stacks = iota

	// StacksFull captures stacks unchanged. The core may contain copies of
	// excluded values in local variables.
	StacksFull

	// StacksSkeleton captures return addresses and saved frame pointers, and
	// redacts every other word: traces are complete, local variables are missing.
	StacksSkeleton

	// StacksNone captures no stacks.
	StacksNone
)

// String returns the value as the command line spells it.
func (s Stacks) String() string {
	return [...]string{"auto", "full", "skeleton", "none"}[s%4]
}

// Options select what to capture and how. The zero value of each field selects
// its default.
type Options struct {
	Mode   Mode
	Stop   Stop
	Stacks Stacks

	// Args stores the command line, Labels what pprof.SetGoroutineLabels set.
	// Both may contain secrets.
	Args, Labels bool

	// Include names package variables to capture as if they were annotated, by
	// import path and name: "example.com/shop.queue".
	Include []string

	// Symbols is the path of an unstripped executable of the same build, for the
	// symbols that the program's own executable does not have. A file of another
	// build is an error.
	Symbols string

	// Budget is the upper bound of the core's size in bytes, before compression,
	// with headers and notes; 0 is DefaultBudget. A budget that is too small for a
	// core without memory is an error.
	Budget uint64

	// RegionBudget is the budget, in bytes, of a region without a budget in its
	// annotation, including everything reachable from it; 0 is DefaultRegionBudget.
	RegionBudget uint64

	// Depth is the number of pointers to follow from a region that sets no depth;
	// 0 means the default, 4, and a negative depth follows none.
	Depth int

	// Segments is the number of segments to join down to; 0 is DefaultSegments.
	// The executable's headers need one more. More segments make a smaller core
	// that debuggers open more slowly.
	Segments int

	// Reason is the reason for the capture, for the core's record and the file
	// name; "" is "asked".
	Reason string

	// Tags are facts about the program that the core records: its version, the pod,
	// the customer. A key has 1 to 64 letters, digits, or characters of ._-/, a value
	// at most 1,024 bytes of UTF-8; there are at most 64 tags. Other tags are an error.
	Tags map[string]string

	// Place is where the program runs. Fields that are set replace what the kernel
	// reports. A field is one line of printable UTF-8 of at most 1,024 bytes;
	// another one is an error.
	Place place.Place

	// Attach are the paths of files to store in the core: a configuration, the last
	// request. They are read after the program was released, and stored unchanged,
	// also if they contain excluded values. At most 16 files are stored, and the
	// first 64 KiB of each. A file that cannot be read is a problem of the core.
	Attach []string

	// Progress, if not nil, is called now and then, by the goroutine that
	// captures. It must not block: the program may be stopped at that time.
	Progress func(Progress)

	// Request is used only by this module's own commands. Leave it zero.
	Request request.Request
}

// Defaults of Options.
const (
	DefaultBudget       = 256 << 20 // bytes
	DefaultRegionBudget = 16 << 20  // bytes
	DefaultSegments     = 2000
)

// A Progress reports the progress of a capture.
type Progress struct {
	Step  string // "find", "stop", "walk", "goroutines", "read" or "write"
	Done  uint64 // completed bytes, of Total
	Total uint64 // 0 if unknown
}

// setDefaults sets the defaults of zero fields.
func (o *Options) setDefaults() {
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	if o.RegionBudget == 0 {
		o.RegionBudget = DefaultRegionBudget
	}
	if o.Segments <= 0 {
		o.Segments = DefaultSegments
	}
	if o.Reason == "" {
		o.Reason = "asked"
	}
	if r := &o.Request; r.Requester == "" {
		r.Requester = "capture"
	}
	if r := &o.Request; r.Released == nil {
		r.Released = func() {}
	}
	if r := &o.Request; r.OnReleased == nil {
		r.OnReleased = func(r request.Record) request.Record { return r }
	}
	if h := &o.Request.Hold; h.PauseGC == nil {
		h.PauseGC = func() (resume func()) { return func() {} }
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
}

// record returns what the options add to the core's record.
func (o *Options) record() request.Record {
	return request.Record{Reason: o.Reason, Extra: append(tagPairs(o.Tags), o.Request.Extra...)}
}

// report calls Progress.
func (o *Options) report(step string, done, total uint64) {
	o.Progress(Progress{Step: step, Done: done, Total: total})
}

// resolved returns the options for the steps of the pipeline.
func (o *Options) resolved() *model.Options {
	m := &model.Options{
		Strict: o.Mode == Strict, Data: o.Mode == Data, AutoStacks: o.Stacks == StacksAuto,
		Args: o.Args, Labels: o.Labels, Include: o.Include, Symbols: o.Symbols,
		Budget: o.Budget - o.attachRoom(), RegionBudget: o.RegionBudget, Depth: o.Depth, Segments: o.Segments,
		SaveMemory: o.Request.SaveMemory, Lenient: o.Request.Lenient,
	}
	switch o.Stacks {
	case StacksNone:
		m.Stacks = note.StackNone
	case StacksSkeleton:
		m.Stacks = note.StackSkeleton
	default:
		m.Stacks = note.StackFull
	}
	switch {
	case o.Depth == 0:
		m.Depth = anchor.DefaultDepth
	case o.Depth < 0:
		m.Depth = 0
	}
	return m
}
