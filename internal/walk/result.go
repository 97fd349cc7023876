package walk

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A RootResult is the result of the walk from one root.
type RootResult struct {
	State State
	// Status has the statuses of all problems.
	Status note.Status
	// Bytes is the number of bytes that were newly captured for this root.
	Bytes uint64
	// Cut reports whether a budget or a bound of the walk omitted something within
	// the depth.
	Cut bool
	// Redacted is the number of the root's own bytes that exclusions cover.
	Redacted uint64
	// Records are the first problems; Failures counts them all.
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
	Writing                 // a map was caught in the middle of a write
	Failed                  // a cross-check of a value failed, so the value was not followed
	Unreadable              // some of its own bytes are unreadable
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

// A Record is one reason why a value was not followed.
type Record struct {
	Kind RecordKind
	Addr memory.Address // of the value
	Type string         // expected type; may be empty
}

// A RecordKind is the kind of a problem.
type RecordKind uint8

// Kinds of problems.
const (
	BadPointer    RecordKind = iota + 1 // it points to an address without Go values
	BadHeader                           // a slice's or string's length is impossible
	BadType                             // the interface's type word is not a type
	BadItab                             // the interface's itab does not fit its type
	BadMap                              // the map's tables do not fit its type or each other
	BadChan                             // the channel does not fit its type
	BadFunc                             // the function value does not point to code
	UnreadableMem                       // the value cannot be read
	MapWriting                          // the map was caught in the middle of a write
	UnknownLayout                       // a map, channel or type with a layout that this tool does not know
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

// status returns the status of a region that contains the problem.
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

// record records a problem on the way from a root. A value that is only
// searched for exclusions does not count against the root, but memory that it
// leads to is unknown.
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
	if kind == UnreadableMem {
		w.omit(addr, note.Holes)
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
