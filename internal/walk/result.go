package walk

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A RootResult is the result of the walk from one root.
type RootResult struct {
	State State
	// Status are the statuses of what went wrong.
	Status note.Status
	// Bytes is what was captured for this root and had not been for another.
	Bytes uint64
	// Cut reports whether a budget or a bound of the walk left something out that
	// the depth would have allowed.
	Cut bool
	// Redacted is how many of the root's own bytes exclusions cover.
	Redacted uint64
	// Records are the first of the things that went wrong; Failures counts
	// them all.
	Records  []Record
	Failures int

	unreadable bool // of the root's own bytes
	failed     bool
	writing    bool
}

// A State is the worst thing that happened to a root.
type State uint8

// The states, from best to worst.
const (
	Complete   State = iota // everything down to the depth
	Cut                     // by a budget or a bound
	Writing                 // a map in it was caught in the middle of a write
	Failed                  // a cross-check failed in something it holds: that was not followed
	Unreadable              // some of its own bytes cannot be read
	Redacted                // all of its bytes are excluded
)

func (s State) String() string {
	switch s {
	case Complete:
		return "complete"
	case Cut:
		return "cut"
	case Writing:
		return "writing"
	case Failed:
		return "failed"
	case Unreadable:
		return "unreadable"
	case Redacted:
		return "redacted"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// finalizeState sets the state, when the walk and the redaction are complete.
func (r *RootResult) finalizeState(redacted, size uint64) {
	r.Redacted = redacted
	switch {
	case size > 0 && redacted == size:
		r.State = Redacted
	case r.unreadable:
		r.State = Unreadable
	case r.failed:
		r.State = Failed
	case r.writing:
		r.State = Writing
	case r.Cut:
		r.State = Cut
	}
}

// A Record is one thing that kept a value from being followed.
type Record struct {
	Kind RecordKind
	Addr memory.Address // of the value in question
	Type string         // as which it was looked at; may be empty
}

// A RecordKind says what failed.
type RecordKind uint8

// What can fail.
const (
	BadPointer    RecordKind = iota + 1 // it points where no Go value can be
	BadHeader                           // a slice's or string's length makes no sense
	BadType                             // the interface's type word points at no type
	BadItab                             // the interface's itab does not fit its type
	BadMap                              // the map's tables do not fit its type or each other
	BadChan                             // the channel does not fit its type
	BadFunc                             // the function value points at no code
	UnreadableMem                       // the value cannot be read
	MapWriting                          // the map was caught in the middle of a write
	UnknownLayout                       // a map, channel or type of a form that this tool does not know
)

func (k RecordKind) String() string {
	switch k {
	case BadPointer:
		return "bad pointer"
	case BadHeader:
		return "bad length"
	case BadType:
		return "bad type word"
	case BadItab:
		return "bad itab"
	case BadMap:
		return "bad map"
	case BadChan:
		return "bad channel"
	case BadFunc:
		return "bad function"
	case UnreadableMem:
		return "unreadable"
	case MapWriting:
		return "map in the middle of a write"
	case UnknownLayout:
		return "unknown layout"
	}
	return fmt.Sprintf("record %d", uint8(k))
}

// status is what a region is that has such a value.
func (k RecordKind) status() note.Status {
	switch k {
	case UnreadableMem:
		return note.Holes
	case MapWriting:
		return note.Torn
	case UnknownLayout:
		return note.Unsupported
	}
	return note.Inconsistent
}

func (r Record) String() string {
	if r.Type == "" {
		return fmt.Sprintf("%v at %v", r.Kind, r.Addr)
	}
	return fmt.Sprintf("%v at %v, a %s", r.Kind, r.Addr, r.Type)
}

// record notes that something failed on the way from a root. What is only
// looked at for exclusions does not count against the root, but what hides
// behind it is unknown.
func (w *walker) record(root int32, rank uint16, kind RecordKind, addr memory.Address, p *typePlan) {
	if kind == UnreadableMem && w.ex.byType && (p == nil || !p.leaf()) {
		w.ex.lose(addr, chunkBytes)
	}
	if rank < own {
		return
	}
	if w.audit != nil {
		w.audit.status[root] |= kind.status()
		return
	}
	w.doubt()
	r := &w.roots[root]
	r.Failures++
	r.Status |= kind.status()
	if kind == MapWriting {
		r.writing = true
	} else {
		r.failed = true
	}
	if len(r.Records) >= maxRecords {
		return
	}
	rec := Record{Kind: kind, Addr: addr}
	if p != nil {
		rec.Type = p.name
	}
	r.Records = append(r.Records, rec)
}
