package inspect

import (
	"strings"
	"testing"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A log ring that claims more bytes than the core has is not read: memory is
// allocated for what is there.
func TestHostileLogs(t *testing.T) {
	c := &Core{
		File:    &elfcore.File{Loads: []elfcore.Load{{Addr: 0x1000, MemSize: 600}}},
		Bytes:   1000,
		Regions: []note.Region{{ID: anchor.IDLog, Name: "requests", Addr: 0x1000, Size: 1 << 29, Captured: 8}}, hasRegions: true,
	}
	if logs, err := c.Logs(); err == nil || !strings.Contains(err.Error(), "the whole core has 1000") {
		t.Errorf("%v, %v", logs, err)
	}
}
