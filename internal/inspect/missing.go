package inspect

import (
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

// Why returns why the first byte of r that cannot be read is not there.
func (p *Program) Why(r memory.Range) Missing {
	if holes := p.mem.holes(r.Start); len(holes) > 0 && holes[0].Start < r.End {
		switch holes[0].Why {
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
