package build

import (
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// finalizeStatus returns the regions with what became of each, and the receipts
// of what kept values in them from being followed. The image is redacted.
func finalizeStatus(s *model.Snapshot) ([]note.Region, []note.Receipt) {
	regions := make([]note.Region, len(s.Regions))
	var receipts []note.Receipt
	for i := range s.Regions {
		r := &s.Regions[i]
		if r.Walk != nil {
			receipts = append(receipts, failures(r)...)
		}
		regions[i] = r.Region.Region
		regions[i].Status |= statusOf(r) | memoryStatus(s, r)
		if regions[i].Status&note.Gone == 0 {
			regions[i].Captured = captured(s, r)
		}
	}
	return regions, receipts
}

// statusOf is the status of a region by what happened while it was read.
func statusOf(r *model.Result) (status note.Status) {
	if r.Refused {
		status |= note.Erased
	}
	if r.Walk == nil {
		return status
	}
	if r.Walk.Cut {
		status |= note.Cut
	}
	if r.Walk.State == walk.Unreadable {
		status |= note.Unreadable
	}
	if r.Walk.Redacted > 0 {
		status |= note.Erased
	}
	for _, record := range r.Walk.Records {
		if record.Kind == walk.MapWriting {
			status |= note.Torn
		} else {
			status |= note.Broken
		}
	}
	if r.Walk.Failures > 0 && (r.Status|status)&note.Torn == 0 {
		status |= note.Broken
	}
	return status
}

// memoryStatus is the status of a region by what the image has of its bytes.
func memoryStatus(s *model.Snapshot, r *model.Result) (status note.Status) {
	own := r.Range()
	if s.Image.Holes.OverlapSize(own) > 0 {
		status |= note.Unreadable
	}
	if s.Image.Torn.OverlapSize(own) > 0 {
		status |= note.Torn
	}
	if e := s.Redaction.Redactor; e != nil && r.Status&note.Gone == 0 && e.Ranges.OverlapSize(own) > 0 {
		status |= note.Erased
	}
	return status
}

// captured is how many of a region's own bytes the core has.
func captured(s *model.Snapshot, r *model.Result) uint64 {
	n := s.Image.SizeIn(r.Range())
	if e := s.Redaction.Redactor; e != nil {
		excluded, unknown := e.Excluded(r.Range())
		n -= min(n, excluded.Size()+unknown.Size())
	}
	return n
}

// failures are the receipts of what could not be followed from a region.
func failures(r *model.Result) []note.Receipt {
	var receipts []note.Receipt
	for _, record := range r.Walk.Records {
		reason := note.ReasonUnreadable
		if record.Kind == walk.MapWriting {
			reason = note.ReasonChanged
		}
		receipts = append(receipts, note.Receipt{Addr: uint64(record.Addr), ID: r.ID, Reason: reason, Count: 1, Rule: record.String()})
	}
	return receipts
}
