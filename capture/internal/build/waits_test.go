package build

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// The note omits the state of a channel that an exclusion covers, and the
// snapshot does not change.
func TestWaitsNoteRedacted(t *testing.T) {
	const free, excluded = 0x1000, 0x2000
	waits := []note.Wait{
		{Goroutine: 1, Object: free, Flags: note.WaitChannel | note.WaitClosed, Elem: "int", Len: 2, Cap: 3, Fires: 4},
		{Goroutine: 2, Object: excluded, Flags: note.WaitChannel | note.WaitSend | note.WaitClosed, Elem: "int", Len: 2, Cap: 3, Fires: 4},
		{Goroutine: 3, Object: excluded + 8},
	}
	s := &model.Snapshot{Goroutines: model.Goroutines{Waits: waits}}
	s.Redaction.Redactor = &walk.Redactor{Ranges: memory.Ranges{memory.RangeOf(excluded, 112)}}
	got, err := note.DecodeWaits(waitsNote(s).Desc)
	if err != nil {
		t.Fatal(err)
	}
	want := []note.Wait{waits[0], {Goroutine: 2, Object: excluded, Flags: note.WaitChannel | note.WaitSend | note.WaitRedacted, Elem: "int"}, waits[2]}
	if diff := cmp.Diff(want, got); diff != "" || waits[1].Len != 2 {
		t.Errorf("%+v\n%s", waits[1], diff)
	}
}
