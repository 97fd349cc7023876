package meminspect

import (
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// An Option changes how a region is registered. The zero Option changes nothing.
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

// Name sets the region's name. Without it the region has the name of its ID.
func Name(name string) Option { return Option{kind: optName, s: name} }

// Depth sets how many pointers in a row a capture follows from the region.
func Depth(n int) Option { return Option{kind: optDepth, n: uint64(n)} }

// Budget sets the maximum number of bytes that a capture takes, including the
// memory that it reaches through pointers.
func Budget(bytes uint64) Option { return Option{kind: optBudget, n: bytes} }

// InSummary shows the region's value in short reports.
func InSummary() Option { return Option{kind: optSummary} }

// Another registers one more region under an ID that is already registered.
// Unregister removes all of them.
func Another() Option { return Option{kind: optAnother} }

// apply applies options to a slot and returns what Add does with its ID.
func apply(opts []Option, s *registry.Slot) registry.Mode {
	mode := registry.New
	for i := range opts {
		switch o := &opts[i]; o.kind {
		case optName:
			s.Name = o.s
		case optDepth:
			s.Depth = int32(min(o.n, 1<<31-1))
			s.Flags |= anchor.EntryHasDepth
		case optBudget:
			s.Budget = o.n
		case optSummary:
			s.Flags |= anchor.EntrySummary
		case optAnother:
			mode = registry.Another
		}
	}
	return mode
}
