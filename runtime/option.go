package meminspect

import "github.com/meminspect/meminspect/runtime/format/anchor"

// An Option says more about a region.
type Option struct {
	kind uint8
	n    uint64
	s    string
}

const (
	optName uint8 = iota + 1
	optDepth
	optBudget
	optAnother
	optSummary
)

// Name names a region; without it a region is called what its ID is.
func Name(name string) Option { return Option{kind: optName, s: name} }

// Depth says how many pointers a capture follows from the region.
func Depth(n int) Option { return Option{kind: optDepth, n: uint64(n)} }

// Budget says how many bytes a capture takes at most, followed memory included.
func Budget(bytes uint64) Option { return Option{kind: optBudget, n: bytes} }

// InSummary lets the region's value stand in short reports.
func InSummary() Option { return Option{kind: optSummary} }

// Another allows an ID that is registered already: the region is one more
// under it, and Unregister removes them together.
func Another() Option { return Option{kind: optAnother} }

func (s *slot) apply(opts []Option) (another bool) {
	for i := range opts {
		switch o := &opts[i]; o.kind {
		case optName:
			s.name = o.s
		case optDepth:
			s.depth = int32(min(o.n, 1<<31-1))
			s.flags |= anchor.EntryHasDepth
		case optBudget:
			s.budget = o.n
		case optSummary:
			s.flags |= anchor.EntrySummary
		case optAnother:
			another = true
		}
	}
	return another
}
