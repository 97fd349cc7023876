package plan

import (
	"testing"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A variable whose type the linker step did not know is never complete: its
// pointers are not followed.
func TestEmbeddedEntryWithoutType(t *testing.T) {
	p := &locate.Program{}
	p.Runtime.Home.Image = &exe.Image{}
	var problems model.Problems
	r := embeddedEntry(p, nil, &embedded.Entry{Name: "main.table", Addr: 0x1000, Size: 8, Type: -1}, &problems)
	if r.Status != note.Untyped || r.Elem != nil || r.Size != 8 || len(problems) > 0 {
		t.Errorf("%+v, %v", r, problems)
	}
}
