package model

import (
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Options are the caller's options, with every default filled in.
type Options struct {
	Strict bool // only regions
	Data   bool // all of the program's variables

	// Stacks is the part of goroutine stacks to capture. AutoStacks turns full
	// stacks into skeletons if the program has exclusions.
	Stacks     note.StackKind
	AutoStacks bool

	Args, Labels bool
	Include      []string // variables to capture as if they were annotated
	Symbols      string   // path of the unstripped twin of the executable, or ""
	Lenient      bool     // wrong values of Include and Symbols are problems of the core

	Budget       uint64 // in bytes, for all memory
	RegionBudget uint64 // in bytes, for a region without one
	Depth        int    // pointers to follow from a region that sets no depth
	Segments     int    // number of segments to join down to

	// SaveMemory omits what needs debug information, because the machine is short
	// of memory.
	SaveMemory bool
}

// A Step is a kind of memory to read. A plan lists its steps in the order in
// which they spend the budget.
type Step uint8

// The steps.
const (
	StepRegions     Step = iota // annotated and registered memory, and what it leads to
	StepTypes                   // descriptors of types, module data, the version
	StepLoader                  // the dynamic loader's list of libraries
	StepGoroutines              // runtime.g's, threads' stacks, and both ends of goroutines' stacks
	StepRuntime                 // variables of package runtime, for debuggers
	StepStacks                  // the middle of goroutines' stacks
	StepPackageData             // the program's own variables
	StepHeaders                 // the headers of the executable
)

// A Plan describes what to read of a program, in which order, under which
// budget. It does not change: a reading adds the regions that the program
// registered at run time.
type Plan struct {
	Options
	Steps      []Step
	Regions    []Region
	Exclusions []Exclusion

	// Doubt is set if unknown exclusions may exist. Then no value is captured that
	// they might cover.
	Doubt bool

	Problems Problems
}

// A Region is memory that the core should contain.
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
	Rule string // its name in receipts
}

// WithDoubt returns the plan that captures no values.
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

// Guarded reports whether untyped memory may contain excluded data.
func (p *Plan) Guarded() bool { return len(p.Exclusions) > 0 || p.Doubt }

// StackKind returns the part of stacks to capture.
func (p *Plan) StackKind() note.StackKind {
	switch {
	case p.Strict:
		return note.StackNone
	case p.AutoStacks && p.Guarded():
		return note.StackSkeleton
	}
	return p.Stacks
}

// DepthOf returns the number of pointers to follow from a region.
func (p *Plan) DepthOf(r *Region) int {
	if r.Flags&anchor.EntryHasDepth != 0 {
		return int(r.Region.Depth)
	}
	return p.Depth
}

// BudgetOf returns the byte budget of a region, including everything reachable
// from it.
func (p *Plan) BudgetOf(r *Region) uint64 {
	if r.Budget != 0 {
		return r.Budget
	}
	return p.RegionBudget
}
