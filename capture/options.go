package capture

import (
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Mode says how much of the program a capture takes.
type Mode uint8

const (
	// Default takes the regions and what they lead to, goroutines, threads and
	// the Go runtime's own variables.
	Default Mode = iota

	// Strict takes regions alone: nothing that was not annotated or registered.
	Strict

	// Data takes the program's unannotated package variables too.
	Data
)

// String returns the value as the command line spells it.
func (m Mode) String() string {
	return [...]string{"default", "strict", "data"}[m%3]
}

// A Stop says whether the program is held still while it is read.
type Stop uint8

const (
	// StopAuto stops pure Go programs, whose system calls survive it, and not
	// those with cgo: C code may see its calls fail with EINTR.
	StopAuto   Stop = iota
	StopAlways      // stops every program
	StopNever       // reads the program while it runs

	// StopTry stops every program, and reads on where that is not possible: for
	// one that is dying and held by other means.
	StopTry
)

// A Stacks says what is taken of goroutine stacks.
type Stacks uint8

const (
	// StacksAuto is StacksFull in programs that exclude nothing, else
	// StacksSkeleton: stacks are untyped, so what is excluded cannot be found
	// in them.
	StacksAuto Stacks = iota

	// StacksFull takes stacks as they are. Where something is excluded, its
	// copies in local variables come along.
	StacksFull

	// StacksSkeleton keeps return addresses and saved frame pointers and
	// overwrites every other word, so that traces are whole and locals absent.
	StacksSkeleton

	// StacksNone takes none.
	StacksNone
)

// String returns the value as the command line spells it.
func (s Stacks) String() string {
	return [...]string{"auto", "full", "skeleton", "none"}[s%4]
}

// Options say what to capture and how. The zero value is the default of each.
type Options struct {
	Mode   Mode
	Stop   Stop
	Stacks Stacks

	// What is left out unless asked for, since it may hold secrets: the
	// command line, and what pprof.SetGoroutineLabels was given.
	Args, Labels bool

	// Include names variables to take as if they were annotated, by their
	// symbols ("example.com/shop.queue").
	Include []string

	// Symbols is the path of an unstripped twin of the executable, to find by
	// name what the running file has no symbols for. It must be of the same
	// build.
	Symbols string

	// Budget is how many bytes of memory the core may hold; 0 is
	// DefaultBudget. Marked segments cost nothing.
	Budget uint64

	// RegionBudget is how many bytes a region that does not say may take with
	// all that is followed from it; 0 is DefaultRegionBudget.
	RegionBudget uint64

	// Depth is how many pointers are followed from a region that does not say;
	// negative means none, 0 is anchor.DefaultDepth.
	Depth int

	// Segments is how many segments to merge down to; 0 is DefaultSegments.
	// Debuggers get slow above.
	Segments int

	// Reason is why the capture is made, for the core's record and the file's
	// name; empty means "asked".
	Reason string

	// Progress, if not nil, is called now and then from the goroutine that
	// captures. It must not block: the program may be stopped at that time.
	Progress func(Progress)

	// Request is for this module's own commands. Leave it zero.
	Request request.Request
}

// Defaults of Options.
const (
	DefaultBudget       = 256 << 20
	DefaultRegionBudget = 16 << 20
	DefaultSegments     = 2000
)

// A Progress says where a capture stands.
type Progress struct {
	Step  string // "find", "stop", "walk", "goroutines", "read", "write"
	Done  uint64 // of Total, in bytes or pieces; both 0 when it is not known
	Total uint64
}

// setDefaults fills in what is not set.
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

// record is what the options say for the core's record.
func (o *Options) record() request.Record {
	return request.Record{Reason: o.Reason, Extra: o.Request.Extra}
}

// report calls Progress.
func (o *Options) report(step string, done, total uint64) {
	o.Progress(Progress{Step: step, Done: done, Total: total})
}

// resolved returns the options as the steps of the pipeline take them.
func (o *Options) resolved() *model.Options {
	m := &model.Options{
		Strict: o.Mode == Strict, Data: o.Mode == Data, AutoStacks: o.Stacks == StacksAuto,
		Args: o.Args, Labels: o.Labels, Include: o.Include, Symbols: o.Symbols,
		Budget: o.Budget, RegionBudget: o.RegionBudget, Depth: o.Depth, Segments: o.Segments,
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
