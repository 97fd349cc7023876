// Package build makes a core of a snapshot: it redacts, sets the final status
// of each region, lays out the memory in segments, and writes the notes. It
// needs neither the process nor a file.
package build

import (
	"time"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/siginfo"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Record has the facts about why, when and where a core was made.
type Record struct {
	request.Record
	Requester    string
	When         time.Time // of the memory, zero if it is not known
	Host, Kernel string
	ToolVersion  string
}

// A Core is a core to be written.
type Core struct {
	elfcore.Core
	Regions  []note.Region // with their final status
	Payload  uint64        // bytes of the program's memory: no marks
	Filled   int           // segments with memory, not marked as a whole
	Problems model.Problems
}

// headers returns the number of segments for the executable's headers. They do
// not count towards the limit, so nothing is joined for them.
func headers(s *model.Snapshot) int {
	if len(s.Identity.Files) == 0 || s.Image.SizeIn(memory.RangeOf(s.Identity.Files[0].Start, 1)) == 0 {
		return 0
	}
	return 1
}

// Build makes the core of a snapshot that was read according to the plan. It
// takes ownership of the snapshot's memory and registers: it redacts them in
// place, so that there is no second copy.
func Build(s *model.Snapshot, pl *model.Plan, record Record) (*Core, error) {
	var problems model.Problems
	receipts := refusals(s)
	redactSignalFrames(s)
	receipts = append(receipts, redactStacks(s)...)
	receipts = append(receipts, redactExcluded(s, &problems)...)
	redactThreads(s)
	redactFaults(s)
	signal := redactSignal(s)
	record.Record = record.With(siginfo.Facts(signal)...)
	regions, failures := finalizeStatus(s)
	receipts = append(receipts, failures...)
	if s.Unreadable != "" {
		receipts = append(receipts, note.Receipt{Reason: note.ReasonUnreadable, Count: 1, Rule: s.Unreadable})
	}

	l, err := layOut(s.Image, s.Identity.Data, model.Constant(s.Maps, s.Identity.Data), flagsOf(s.Maps), limits{pl.Segments + headers(s), fillRoom(s, pl, record)})
	if err != nil {
		return nil, err
	}
	l.report(&problems)

	core := elfcore.Core{Machine: s.Identity.Machine, Segments: l.segments}
	marked := markedRanges(s, l)
	core.Notes = append(linuxNotes(s, published(s.Threads.List), signal), ourNotes(s, pl, record, regions, receipts, ourNote(note.TypeMarked, note.EncodeMarked(marked)))...)
	if core.Notes, err = withRest(s, pl, record, core, &problems); err != nil {
		return nil, err
	}
	return &Core{
		Core: core, Regions: regions, Payload: l.captured(marked), Filled: l.withMemory(), Problems: problems,
	}, nil
}
