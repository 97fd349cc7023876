package model

import (
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Options are what the caller chose, with every default filled in.
type Options struct {
	Strict bool // regions alone
	Data   bool // all of the program's variables

	// Stacks is what is taken of goroutine stacks. AutoStacks turns full stacks
	// into skeletons where something is excluded.
	Stacks     note.StackKind
	AutoStacks bool

	Args, Labels bool
	Include      []string // variables to take as if they were annotated
	Symbols      string   // path of the unstripped twin of the executable, or ""

	Budget       uint64 // of bytes, for all memory
	RegionBudget uint64 // of bytes, for a region that has none of its own
	Depth        int    // pointers to follow from a region that has no depth
	Segments     int    // to join down to

	// SaveMemory leaves out what needs debug information: the machine is short of memory.
	SaveMemory bool
}

// A Step is a kind of memory that is read. A plan lists its steps in the order
// in which the budget is spent.
type Step uint8

// The steps.
const (
	StepRegions     Step = iota // annotated and registered memory, and what it leads to
	StepTypes                   // descriptors of types, module data, the version
	StepLoader                  // the dynamic loader's list of libraries
	StepGoroutines              // runtime.g's, threads' stacks, and both ends of goroutines' stacks
	StepRuntime                 // variables of package runtime, for debuggers
	StepStacks                  // what is between the ends of goroutines' stacks
	StepPackageData             // the program's own variables
	StepHeaders                 // the headers of the executable
)

// A Plan is what to read of a program, in which order, under which budget. It
// does not change: a reading adds what the program registered while it ran.
type Plan struct {
	Options
	Steps      []Step
	Regions    []Region
	Exclusions []Exclusion

	// Doubt is set if exclusions may exist that are not known. No value is taken
	// then that one could be about.
	Doubt bool

	Problems Problems
}

// A Region is memory that the core is to hold.
type Region struct {
	note.Region
	Elem  *gotypes.Type // of an element, nil for raw bytes
	Count uint64        // of elements
}

// Range returns the region's own bytes.
func (r *Region) Range() memory.Range { return memory.RangeOf(memory.Address(r.Addr), r.Size) }

// An Exclusion is memory that must not be in the core.
type Exclusion struct {
	walk.Exclusion
	Rule string // its name in a receipt
}

// WithDoubt returns the plan that takes no values.
func (p *Plan) WithDoubt() *Plan {
	q := *p
	q.Doubt = true
	return &q
}

// WithBudget returns the plan with a total budget of at most limit bytes.
func (p *Plan) WithBudget(limit uint64) *Plan {
	q := *p
	q.Budget = min(q.Budget, limit)
	return &q
}

// With returns the plan with the regions and exclusions that a program
// registered while it ran.
func (p *Plan) With(regions []Region, exclusions []Exclusion) *Plan {
	q := *p
	q.Regions = append(slices.Clip(q.Regions), regions...)
	q.Exclusions = append(slices.Clip(q.Exclusions), exclusions...)
	return &q
}

// Guarded reports whether memory without a type may hold what must not be
// captured.
func (p *Plan) Guarded() bool { return len(p.Exclusions) > 0 || p.Doubt }

// StackKind returns what to take of stacks.
func (p *Plan) StackKind() note.StackKind {
	switch {
	case p.Strict:
		return note.StackNone
	case p.AutoStacks && p.Guarded():
		return note.StackSkeleton
	}
	return p.Stacks
}

// DepthOf returns how many pointers to follow from a region.
func (p *Plan) DepthOf(r *Region) int {
	if r.Flags&anchor.EntryHasDepth != 0 {
		return int(r.Region.Depth)
	}
	return p.Depth
}

// BudgetOf returns how many bytes a region may take with all that is reachable
// from it.
func (p *Plan) BudgetOf(r *Region) uint64 {
	if r.Budget != 0 {
		return r.Budget
	}
	return p.RegionBudget
}
