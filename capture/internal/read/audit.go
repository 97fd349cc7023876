package read

import (
	"context"
	"slices"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// WithStatuses returns the snapshot with the status of each region, as far as
// the image has the memory it leads to. The program may have ended.
func WithStatuses(ctx context.Context, s *model.Snapshot, p *locate.Program, pl *model.Plan) *model.Snapshot {
	if faultless(s, pl) {
		return s
	}
	t := *s
	t.Regions = make([]model.Result, len(s.Regions))
	cfg := walk.Config{Types: p.Types.Set, Version: p.Runtime.Version, Main: p.Identity.Main, Image: fileRanges(s.Maps, s.Identity.Data)}
	if !pl.SaveMemory {
		cfg.Closure = p.Closure
	}
	for _, m := range p.Runtime.Modules {
		cfg.Text = append(cfg.Text, m.Text)
	}
	var walked []int // indexes of the roots in t.Regions
	for i := range t.Regions {
		t.Regions[i] = s.Regions[i]
		r := &t.Regions[i]
		if r.Walk == nil {
			continue
		}
		root, _ := rootOf(&r.Region, pl)
		cfg.Roots = append(cfg.Roots, root)
		walked = append(walked, i)
	}
	found, err := walk.Audit(ctx, cfg, &walk.Copy{
		Memory: &s.Image, Has: s.Image.Has(), Holes: s.Image.Holes, Torn: s.Image.Torn,
		Redacted: redactedOf(s), Omissions: s.Reach.Omissions, Closures: s.Reach.Closures, Otherwise: otherwise(s),
	})
	if err != nil {
		t.Problems.Missing("statuses", err)
	}
	for n, i := range walked {
		if err != nil {
			t.Regions[i].Status |= note.Unsupported
		} else {
			t.Regions[i].Status |= found[n]
		}
	}
	return &t
}

// faultless reports whether an audit would find nothing: the walk reached
// everything, in memory that did not change, and all of it is in the core.
func faultless(s *model.Snapshot, pl *model.Plan) bool {
	if !s.Still || !s.Reach.Faultless || pl.SaveMemory || len(s.Image.Holes) > 0 || len(s.Image.Torn) > 0 {
		return false
	}
	e := s.Redaction.Redactor
	return (e == nil || !e.Active) && !stacksRedacted(s)
}

// stacksRedacted reports whether of some stack only code addresses stay.
func stacksRedacted(s *model.Snapshot) bool {
	full := s.Goroutines.Note.Stacks == note.StackFull
	return slices.ContainsFunc(s.Goroutines.Stacks, func(stack model.Stack) bool { return !full || stack.Secret })
}

// otherwise returns the reason for missing memory that the walk did not omit.
// If the program was running, the walk saw other values there. Otherwise the
// walk omitted more than it can remember.
func otherwise(s *model.Snapshot) note.Status {
	if !s.Still {
		return note.Torn
	}
	for i := range s.Regions {
		if end := s.Regions[i].Walk; end != nil && end.Cut {
			return note.Budget
		}
	}
	return note.Depth
}

// redactedOf returns the parts of the image and the regions that must not be in
// the core: excluded memory, possibly excluded memory, and stacks of which only
// code addresses stay.
func redactedOf(s *model.Snapshot) memory.Ranges {
	var all []memory.Range
	if e := s.Redaction.Redactor; e != nil {
		all = append(all, e.Ranges...)
		for i := range s.Image.Pieces {
			_, unknown := e.Excluded(s.Image.Pieces[i].Range)
			all = append(all, unknown...)
		}
	}
	for _, stack := range s.Goroutines.Stacks {
		if stack.Secret || s.Goroutines.Note.Stacks != note.StackFull {
			all = append(all, stack.Used)
		}
	}
	return memory.RangesOf(all...)
}

// fileRanges returns the memory of loaded files, with their variables.
func fileRanges(maps []process.Mapping, data memory.Ranges) []memory.Range {
	var all []memory.Range
	for _, m := range maps {
		if m.Inode != 0 {
			all = append(all, m.Range)
		}
	}
	return append(all, data...)
}
