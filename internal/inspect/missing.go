package inspect

import (
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Missing is why a core does not show something, in words for the user. It is
// empty for what is shown.
type Missing string

// The reasons.
const (
	NotCaptured  Missing = "not captured"
	Redacted     Missing = "redacted"                 // an exclusion covers it
	Untyped      Missing = "redacted, type not known" // where exclusions are, bytes of no known type are left out
	Unreadable   Missing = "unreadable"
	BadType      Missing = "its type cannot be read"
	Inconsistent Missing = "inconsistent"
	TooMuch      Missing = "limit reached"
)

// Lost is a range that a program's memory lacks, and why.
type Lost struct {
	memory.Range
	Why note.MarkReason
}

// Why returns why the first byte of r that cannot be read is not there.
func (p *Program) Why(r memory.Range) Missing {
	i, _ := slices.BinarySearchFunc(p.lost, r.Start, Lost.CompareEnd)
	if i < len(p.lost) && p.lost[i].Start < r.End {
		switch p.lost[i].Why {
		case note.MarkedExcluded:
			return Redacted
		case note.MarkedUnknown:
			return Untyped
		case note.MarkedHole:
			return Unreadable
		}
	}
	return NotCaptured
}
