package walk

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// Unlimited as a Root's Depth follows pointers as long as there are any.
const Unlimited = -1

// A Root is the start of a walk: Count values of Type at Addr.
type Root struct {
	Name  string
	Addr  memory.Address
	Type  *gotypes.Type
	Count uint64 // 0 means 1
	// Bytes is the number of bytes of the values to capture, 0 for all. A value
	// that is cut is captured up to the cut and not followed.
	Bytes uint64
	// Depth is the number of pointers to follow. A slice, a string, a map, a
	// channel, an interface's value and a closure cost one each. Unlimited, or any
	// negative number, means no limit.
	Depth int
	// Budget is the maximum number of bytes for this root, 0 for no limit. Memory
	// that several roots reach counts against the first of them.
	Budget uint64
}

// A Config describes what to walk, and how far.
type Config struct {
	Memory memory.Memory
	Types  *gotypes.Set
	// Version is the Go release that built the program.
	Version module.Version
	// Main is the import path of the program's main package, whose types call
	// their package "main"; empty if unknown.
	Main string
	// Text is the program's code; nil if unknown.
	Text []memory.Range
	// Image is the executable in memory: code, constants and variables.
	Image []memory.Range
	Roots []Root
	// Budget is the maximum number of bytes for all roots together, 0 for no
	// limit.
	Budget     uint64
	Exclusions []Exclusion
	// Steps bounds the visited values and pages of bulk data, repeated visits
	// included; 0 means 64 million.
	Steps int
	// Pages bounds the visited 4 KiB pages, 0 means 512 Ki.
	Pages int
	// Moving reports whether the program is running. Then values caught in the
	// middle of a change are read again, captured bytes stay as they were when
	// they were followed, and the Redactor checks whether the memory that excluded
	// values refer to is still the same.
	Moving bool
	// Arena provides memory for the bytes of pages, as far as it goes; with nil,
	// memory is allocated as needed.
	Arena *memory.Arena
	// Closure returns the layout of a function literal's captured variables, from
	// debug information. Offsets count from the start of the closure, whose first
	// word is the code pointer entry. If Closure is nil or returns none, some
	// bytes of closures are captured without a type, unless anything is excluded.
	Closure func(entry memory.Address) []ClosureVar
	// Object returns the memory of the object that contains an address, for an
	// object of unknown type that an excluded value leads to. It returns an empty
	// range if there is no object, and false if that is unknown. If Object is nil,
	// nothing is known. See Redactor.Unsized.
	Object func(memory.Address) (memory.Range, bool)
	// Starts makes the walk remember where values begin: see Result.Begins.
	Starts bool
	// Lacks reports whether the program had memory in a range that Memory lacks: a
	// truncated core, or one that omits memory. It is nil for complete memory. See
	// Redactor.Lost.
	Lacks func(memory.Range) bool
}

// A ClosureVar is a captured variable in a closure.
type ClosureVar struct {
	Offset uint64
	Type   *gotypes.Type
	// Address is whether Type is that of a pointer to the variable, which itself may be
	// in the closure instead.
	Address bool
}

// A Result is the result of a walk.
type Result struct {
	// Facts are bytes that readers need to interpret values and that no root pays
	// for: itabs. (A Trace under the gotypes.Set collects type descriptors.)
	Facts memory.Ranges
	// Roots are the results of the roots, in the order of Config.Roots.
	Roots []RootResult
	// Types are the types met, in that order.
	Types []*gotypes.Type
	// Funcs are the entries of the functions that captured values refer to.
	Funcs []memory.Address
	// Writing are the maps that were caught in the middle of a write. Their
	// captured content may be wrong: let the program run for a moment and walk
	// again.
	Writing []memory.Address
	// Redactor removes what exclusions cover. Never nil.
	Redactor *Redactor
	Stats    Stats
	// Omissions are the memory that depths and budgets omitted.
	Omissions Omissions

	// Closures is what the walk has found out about closures, for an audit.
	Closures Closures

	// Faultless reports whether the walk captured everything that the roots lead to,
	// so that an audit finds nothing if the copy has all of it.
	Faultless bool
	// Seen has the captured bytes that the walk read. If the memory is moving,
	// they are as they were when the walk followed them.
	Seen memory.Memory

	pages    *pages
	captured memory.Ranges // nil until requested
}

// Captured returns the bytes that the roots need, by address.
func (r *Result) Captured() memory.Ranges {
	if r.captured == nil {
		r.captured = r.pages.ranges()
	}
	return r.captured
}

// Begins reports whether a captured value begins at an address to which a captured pointer
// leads, or at the address of a root. No exclusion covers the value. It needs Config.Starts.
func (r *Result) Begins(addr memory.Address) bool {
	if !addr.Aligned(wordBytes) {
		return false
	}
	p := r.pages.find(addr)
	return p != nil && p.begins(addr) && r.pages.fresh(addr, 1) == 0 && len(r.Redactor.Ranges.Overlap(memory.RangeOf(addr, 1))) == 0
}

// Size returns the number of bytes that the roots need.
func (r *Result) Size() (n uint64) {
	for i := range r.Roots {
		n += r.Roots[i].Bytes
	}
	return n
}

// Stats are counts of a walk's work.
type Stats struct {
	Values  int // visited values
	Pages   int // visited pages
	Read    int // pages read
	Rounds  int
	Stopped string // why the walk ended early, else empty
	// Rehearsed reports whether the walk reused a rehearsal. Values and Rounds
	// then include both.
	Rehearsed bool
}
