package walk

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// Unlimited as a Root's Depth follows pointers as long as there are any.
const Unlimited = -1

// A Root is where a walk begins: Count values of Type from Addr on.
type Root struct {
	Name  string
	Addr  memory.Address
	Type  *gotypes.Type
	Count uint64 // 0 means 1
	// Bytes is how many bytes of the values to take, 0 for all. Values that it
	// cuts through are captured up to there and not followed.
	Bytes uint64
	// Depth is how many pointers to follow. A slice, a string, a map, a
	// channel, an interface's value and a closure cost one each. Unlimited, or
	// anything negative, does not count.
	Depth int
	// Budget is how many bytes this root may take, 0 for no limit of its own.
	// Memory that several roots reach is paid by the first of them.
	Budget uint64
}

// A Config says what to walk, and how far.
type Config struct {
	Memory memory.Memory
	Types  *gotypes.Set
	// Version is that of the Go release that built the program.
	Version module.Version
	// Main is the import path of the program's main package, whose types call
	// their package "main"; empty when it is not known.
	Main string
	// Text is where the program's code stands; nil when that is not known.
	Text []memory.Range
	// Image is the executable in memory: code, constants and variables.
	Image []memory.Range
	Roots []Root
	// Budget is how many bytes all roots together may take, 0 for no limit.
	Budget     uint64
	Exclusions []Exclusion
	// Steps bounds the values that are looked at, and the pages of bulk data,
	// each as often as it happens; 0 for 64 million.
	Steps int
	// Pages bounds the 4 KiB pages that are met, 0 for 512 Ki.
	Pages int
	// Moving reports whether the program runs. Values that are caught in the middle
	// of a change are then read again, what is captured stays as it was when it was
	// followed, and the Redactor finds out whether what excluded values hold is still
	// the same.
	Moving bool
	// Arena is where the bytes of pages are kept, as far as it goes; nil for
	// memory that is asked for as it is needed.
	Arena *memory.Arena
	// Closure gives the layout of the variables that a function literal has
	// captured, from debug information. Their offsets count from the start of
	// the closure, whose first word is the code pointer entry. If it is nil or
	// returns none, some bytes of closures are taken as they are, unless
	// anything is excluded.
	Closure func(entry memory.Address) []ClosureVar
	// Object returns the memory of the object that an address is in, for an object
	// whose type is not known and that an excluded value leads to. It returns an
	// empty range if no object is there, and false if that is not known. If it is
	// nil, nothing is known. See Redactor.Unsized.
	Object func(memory.Address) (memory.Range, bool)
	// Lacks reports whether the program had memory in a range that Memory does
	// not have: a core that was cut short, or that leaves something out. Nil for
	// memory that has all. See Redactor.Lost.
	Lacks func(memory.Range) bool
}

// A ClosureVar is a captured variable in a closure.
type ClosureVar struct {
	Offset uint64
	Type   *gotypes.Type
}

// A Result is what a walk found.
type Result struct {
	// Facts are the bytes that readers need to make sense of them and that no
	// root pays for: itabs. (Type descriptors are what a Trace under the
	// gotypes.Set saw.)
	Facts memory.Ranges
	// Roots are the results of the roots, in the order of Config.Roots.
	Roots []RootResult
	// Types are the types met, in the order in which they were.
	Types []*gotypes.Type
	// Funcs are the entries of the functions that captured values point at.
	Funcs []memory.Address
	// Writing are the maps that were caught in the middle of a write. What
	// was captured of them may be wrong: let the program run for a moment and
	// walk again.
	Writing []memory.Address
	// Redactor removes what exclusions cover. Never nil.
	Redactor *Redactor
	Stats    Stats
	// Omissions are what depths and budgets left out.
	Omissions Omissions
	// Seen has the captured bytes that the walk read. If the memory is moving,
	// they are as they were when the walk followed them.
	Seen memory.Memory

	pages    *pages
	captured memory.Ranges // nil before they are asked for
}

// Captured returns the bytes that the roots need, by address.
func (r *Result) Captured() memory.Ranges {
	if r.captured == nil {
		r.captured = r.pages.ranges()
	}
	return r.captured
}

// Size returns the number of bytes that the roots need.
func (r *Result) Size() (n uint64) {
	for i := range r.Roots {
		n += r.Roots[i].Bytes
	}
	return n
}

// Stats counts what a walk did.
type Stats struct {
	Values  int // looked at
	Pages   int // of memory met
	Read    int // pages read
	Rounds  int
	Stopped string // why the walk ended early, empty when it did not
	// Rehearsed reports whether the walk took over a rehearsal. Values and Rounds
	// are those of both then.
	Rehearsed bool
}
