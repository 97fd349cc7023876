package build

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/core/siginfo"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Sizes in a core.
const (
	headerBytes     = 56       // of a segment's header
	markedBytes     = 12       // of a range in the note of marked ranges: two varints
	statusBytes     = 16       // additional bytes of a region's final status in a dense table
	receiptBytes    = 40       // of a receipt without a rule
	unknownReceipts = 4        // of redaction, one for each reason
	recordBytes     = 4 << 10  // facts about an end that are known only after the program was released
	restBytes       = 16 << 20 // more than withRest usually adds
)

var errBudget = errors.New("the budget is spent")

// MaxSize returns an upper bound of the size of the core that Build makes of a
// snapshot, without the part that withRest adds, if its image has these ranges,
// or parts of them, in up to pieces more pieces. The image may still be
// missing: this is called while the program is held.
//
// An unfilled gap between two pieces of a range takes no more than its bytes,
// or a segment header, of which there are no more than maxSegments.
func MaxSize(s *model.Snapshot, pl *model.Plan, record Record, ranges memory.Ranges, pieces int) uint64 {
	size, joined := maxSize(s, pl, record, ranges, pieces)
	return size + joined
}

// fillRoom returns how many bytes of the fill pattern the budget allows in gaps:
// all but what withRest may need, of a small budget half.
func fillRoom(s *model.Snapshot, pl *model.Plan, record Record) uint64 {
	size, joined := maxSize(s, pl, record, s.Image.Has(), 0)
	room := pl.Budget - min(pl.Budget, size)
	return max(min(joined, room), room-min(room/2, restBytes))
}

// maxSize is MaxSize in two parts: joined is the fill pattern in the gaps without
// which there would be more segments than a core can have.
func maxSize(s *model.Snapshot, pl *model.Plan, record Record, ranges memory.Ranges, pieces int) (size, joined uint64) {
	record.Record = record.With(siginfo.Facts(s.Threads.SigInfo)...)
	regions, receipts := finalizeStatus(s)
	receipts = append(receipts, refusals(s)...)
	if e := s.Redaction.Redactor; e != nil {
		for _, r := range e.Receipts {
			receipts = append(receipts, note.Receipt{Rule: s.Redaction.Rules[r.Exclusion]})
		}
	}
	marked := ourNote(note.TypeMarked, note.EncodeMarked(nil)) // see imageSize
	core := elfcore.Core{Machine: s.Identity.Machine, Notes: append(linuxNotes(s, nil, s.Threads.SigInfo), ourNotes(s, pl, record, regions, receipts, marked)...)}
	notes, err := core.Size()
	if err != nil {
		return 0, 0 // notes alone fit into every budget
	}
	later := recordBytes + statusBytes*len(regions) + receiptBytes*(unknownReceipts+len(s.Goroutines.Stacks))
	later += markedBytes*pieces + 2*headerBytes*min(pieces, maxSegments)
	size, joined = imageSize(s, ranges)
	return size + uint64(notes) + threadNotesSize(s) + uint64(later), joined
}

// threadNotesSize returns the size of the notes of all threads. Making them takes
// long for thousands of threads.
func threadNotesSize(s *model.Snapshot) (size uint64) {
	trimmed, ok := trimmedSize(s.Threads.List)
	sizes := map[[3]int]uint64{} // by what the size depends on
	for i := range s.Threads.List {
		th := &s.Threads.List[i]
		state := len(th.XState)
		switch {
		case ok && state > 0:
			state = trimmed
		case isAMDs(th.XState):
			state = pkruEnd
		}
		kind := [3]int{len(th.Float), state, int(min(th.TLS, 1))}
		if sizes[kind] == 0 {
			like := process.Thread{General: th.General, Float: th.Float, XState: make([]byte, state), TLS: th.TLS}
			var none elfcore.Core
			one := elfcore.Core{Notes: threadNotes(&s.Identity, &like)}
			with, err := one.Size()
			without, err2 := none.Size()
			if err != nil || err2 != nil {
				return 0 // notes alone fit into every budget
			}
			sizes[kind] = uint64(with - without)
		}
		size += sizes[kind]
	}
	return size
}

// imageSize bounds the space that the memory in these ranges takes in a core:
// its bytes, the headers of segments, the fill pattern and the list of filled
// gaps. joined is the part for gaps that must be filled.
func imageSize(s *model.Snapshot, ranges memory.Ranges) (size, joined uint64) {
	cover := s.Identity.Data
	block := elfcore.BlockFor(cover.Size())
	size = ranges.Size() + block + headerBytes*(cover.Size()/block+uint64(2*len(cover)))
	segments := 2 * len(cover)
	var gaps []uint64 // that stay open
	for i, r := range ranges {
		if i == 0 {
			size += headerBytes
			continue
		}
		between := memory.Range{Start: ranges[i-1].End, End: r.Start}
		if between.Size() <= model.SmallGap {
			size += max(between.Size()+markedBytes, 2*headerBytes) // a border keeps it open
			continue
		}
		size += headerBytes
		segments++
		if cover.OverlapSize(between) > 0 {
			size += headerBytes
			segments++
		}
		gaps = append(gaps, between.Size())
	}
	if over := segments - maxSegments; over > 0 {
		slices.Sort(gaps)
		for _, gap := range gaps[:min(over, len(gaps))] {
			joined += gap + markedBytes
		}
	}
	if e := s.Redaction.Redactor; e != nil && e.Active {
		marked := len(e.Ranges)
		for _, r := range ranges {
			_, unknown := e.Excluded(r)
			marked += len(unknown)
		}
		size += uint64(markedBytes * marked)
	}
	return size, joined
}

// withRest returns the notes of a core, including those that use the rest of
// the budget, in order of importance: the crash text, the torn ranges, the
// names of constants, the functions.
func withRest(s *model.Snapshot, pl *model.Plan, record Record, core elfcore.Core, problems *model.Problems) ([]elfcore.Note, error) {
	size, err := core.Size()
	if err != nil {
		return nil, err
	}
	const head = 32 // of a note, with its version and padding
	notes, left := core.Notes, int64(pl.Budget)-size
	var last []elfcore.Note
	cut := ourNote(note.TypeUses, note.EncodeUses([]note.Use{{}})) // that the list is not complete
	reserved := int64(0)
	if len(s.Goroutines.Uses) > 0 {
		reserved = int64(len(cut.Desc)) + head
	}
	if record.Crash != nil {
		crash := ourNote(note.TypeCrash, cutText(record.Crash, left-reserved-2*head, problems).Encode())
		left -= int64(len(crash.Desc)) + head
		last = append(last, crash)
	}
	if len(s.Image.Torn) > 0 {
		torn := tornNote(s, left-reserved-head, problems)
		left -= int64(len(torn.Desc)) + head
		notes = append(notes, torn)
	}
	if len(s.Goroutines.Uses) > 0 {
		uses := ourNote(note.TypeUses, note.EncodeUses(s.Goroutines.Uses))
		if int64(len(uses.Desc)) > left-head {
			uses = cut
		}
		left -= int64(len(uses.Desc)) + head
		notes = append(notes, uses)
	}
	if constants := s.Identity.Constants; len(constants) > 0 {
		if n := ourNote(note.TypeConstants, note.EncodeConstants(constants)); int64(len(n.Desc)) <= left-head {
			left -= int64(len(n.Desc)) + head
			notes = append(notes, n)
		} else {
			problems.Missing("names of constants", errBudget)
		}
	}
	if s.Identity.GoVersion != "" {
		notes = append(notes, functionsNote(s, left-head, problems))
	}
	return append(notes, last...), nil
}

// cutText cuts a crash text to size bytes, at the end of a line.
func cutText(c *note.CrashText, size int64, problems *model.Problems) *note.CrashText {
	if int64(len(c.Text)) <= size {
		return c
	}
	text := c.Text[:max(size, 0)]
	text = text[:strings.LastIndexByte(text, '\n')+1]
	problems.Missing("crash text", fmt.Errorf("%d of %d bytes: %w", len(c.Text)-len(text), len(c.Text), errBudget))
	return &note.CrashText{Text: text, Truncated: true}
}
