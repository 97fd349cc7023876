package build

import (
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// refusals returns the receipts of regions of which nothing was read.
func refusals(s *model.Snapshot) []note.Receipt {
	var receipts []note.Receipt
	for i := range s.Regions {
		if r := &s.Regions[i]; r.Refused {
			receipts = append(receipts, note.Receipt{Addr: r.Addr, Size: r.Size, ID: r.ID, Reason: note.ReasonUnknownType, Count: 1})
		}
	}
	return receipts
}

// redactStacks overwrites every word of skeleton stacks that is neither an
// address in code nor one in the stack itself, nor that of a known object. A secret
// stack keeps no addresses of objects.
func redactStacks(s *model.Snapshot) []note.Receipt {
	var executable []memory.Range
	for _, m := range s.Maps {
		if m.Exec {
			executable = append(executable, m.Range)
		}
	}
	code := memory.RangesOf(executable...)
	var receipts []note.Receipt
	var all note.Receipt // for the stacks that are not secret
	for _, stack := range s.Goroutines.Stacks {
		if !skeleton(s, &stack) {
			continue
		}
		keep := code
		if len(stack.Leads) > 0 {
			keep = code.Union(memory.RangesOf(stack.Leads...))
		}
		known := func(addr memory.Address) bool { return s.Goroutines.Known[addr] }
		if stack.Secret {
			known = nil
		}
		var redacted uint64
		s.Image.Each(stack.Used, func(addr memory.Address, data []byte) {
			redacted += uint64(len(data)) - 8*uint64(walk.Skeleton(addr, data, stack.Whole, keep, known))
		})
		if stack.Secret {
			receipts = append(receipts, note.Receipt{Addr: uint64(stack.Used.Start), Size: redacted, Reason: note.ReasonSecret, Count: 1})
			continue
		}
		all.Size += redacted
		all.Count++
	}
	if all.Count > 0 {
		all.Reason = note.ReasonStack
		receipts = append(receipts, all)
	}
	return receipts
}

// skeleton reports whether a stack must be a skeleton.
func skeleton(s *model.Snapshot, stack *model.Stack) bool {
	return stack.Secret || s.Goroutines.Note.Stacks != note.StackFull
}

// redactExcluded overwrites all excluded memory in the image, whatever
// requested it, and, if there are exclusions, every byte of unknown type.
func redactExcluded(s *model.Snapshot, problems *model.Problems) []note.Receipt {
	e := s.Redaction.Redactor
	if e == nil {
		return nil
	}
	var receipts []note.Receipt
	var unknown uint64
	for i := range s.Image.Pieces {
		p := &s.Image.Pieces[i]
		_, n := e.Apply(p.Start, p.Data)
		unknown += n
	}
	if unknown > 0 {
		receipts = append(receipts, note.Receipt{Size: unknown, Reason: note.ReasonUnknownType, Count: 1})
	}
	for _, r := range e.Receipts {
		receipts = append(receipts, note.Receipt{
			Size: r.Bytes, Reason: note.ReasonExcluded, Count: uint32(r.Values), Rule: s.Redaction.Rules[r.Exclusion],
		})
	}
	if e.Blind > 0 {
		problems.Missing("exclusions", fmt.Errorf("%d values were too many to search for excluded ones; what they hold was not taken by way of them", e.Blind))
	}
	return receipts
}

// redactThreads removes values from registers if stacks may not show them.
func redactThreads(s *model.Snapshot) {
	secret := map[int]bool{} // by threads' IDs
	for i := range s.Goroutines.All {
		if g := &s.Goroutines.All[i]; g.Secret {
			secret[s.Goroutines.Thread[g.Addr]] = true
		}
	}
	var word uint64
	for range 8 {
		word = word<<8 | elfcore.MarkByte
	}
	for i := range s.Threads.List {
		if th := &s.Threads.List[i]; s.Goroutines.Note.Stacks != note.StackFull || secret[th.ID] {
			th.Strip(word)
		}
	}
}

// hidesFaults reports whether addresses of faults, which may derive from a value, must
// not be in the core: stacks may not show values, or not those of each goroutine.
func hidesFaults(s *model.Snapshot) bool {
	return s.Redaction.Secret || s.Goroutines.Note.Stacks != note.StackFull
}

// redactSignal returns the facts about the signal.
func redactSignal(s *model.Snapshot) *elfcore.SigInfo {
	if s.Threads.SigInfo == nil {
		return nil
	}
	info := *s.Threads.SigInfo
	if hidesFaults(s) && info.Code > 0 {
		info.Addr = 0
	}
	return &info
}

// redactFaults overwrites the addresses of faults that the runtime keeps in the
// records of goroutines, also after the program has recovered.
func redactFaults(s *model.Snapshot) {
	const size = 8
	if s.Redaction.FaultAt == 0 || !hidesFaults(s) {
		return
	}
	for i := range s.Goroutines.All {
		at := s.Goroutines.All[i].Addr.Add(uint64(s.Redaction.FaultAt))
		s.Image.Each(memory.RangeOf(at, size), func(_ memory.Address, data []byte) {
			if slices.ContainsFunc(data, func(b byte) bool { return b != 0 }) {
				elfcore.FillMarks(data)
			}
		})
	}
}
