package build

import (
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// finalizeStatus returns the regions with their final status, and the receipts
// of values that could not be followed. The image must be redacted.
func finalizeStatus(s *model.Snapshot) ([]note.Region, []note.Receipt) {
	regions := make([]note.Region, len(s.Regions))
	var receipts []note.Receipt
	for i := range s.Regions {
		r := &s.Regions[i]
		if r.Walk != nil {
			receipts = append(receipts, failures(r)...)
		}
		regions[i] = r.Region.Region
		regions[i].Status |= ownStatus(s, r)
		if r.Status&note.Gone == 0 {
			regions[i].Captured = captured(s, r)
		}
		if status := &regions[i].Status; *status&note.Holes != 0 && regions[i].Captured == 0 {
			*status = *status&^note.Holes | note.Unreadable
		}
	}
	return regions, receipts
}

// ownStatus returns the status of a region by its own bytes, and by the values
// in it that could not be followed.
func ownStatus(s *model.Snapshot, r *model.Result) (status note.Status) {
	if r.Walk != nil {
		status |= r.Walk.Status
	}
	own := r.Range()
	if r.Status&(note.Gone|note.Unreadable) != 0 || own.Empty() {
		return status
	}
	if s.Image.Torn.OverlapSize(own) > 0 {
		status |= note.Torn
	}
	if s.Image.Holes.OverlapSize(own) > 0 {
		status |= note.Holes
	}
	if e := s.Redaction.Redactor; r.Refused || e != nil && e.Ranges.OverlapSize(own) > 0 {
		return status | note.Redacted
	}
	if s.Image.SizeIn(own)+s.Image.Holes.OverlapSize(own) < own.Size() {
		status |= note.Budget
	}
	return status
}

// captured returns how many of a region's own bytes are in the core.
func captured(s *model.Snapshot, r *model.Result) uint64 {
	n := s.Image.SizeIn(r.Range())
	if e := s.Redaction.Redactor; e != nil {
		excluded, unknown := e.Excluded(r.Range())
		n -= min(n, excluded.Size()+unknown.Size())
	}
	return n
}

// failures returns the receipts of values that could not be followed from a
// region.
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
