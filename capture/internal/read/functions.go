package read

import (
	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// maxFunctions bounds the looked-up addresses: a stack full of function
// pointers must not cost minutes.
const maxFunctions = 1 << 16

// WithFunctions returns the snapshot with the functions of all its code
// addresses, and which of them use what goroutines wait for. It reads the executable: the program may have ended.
func WithFunctions(s *model.Snapshot, p *locate.Program) *model.Snapshot {
	t := *s
	t.Functions.Calls = map[memory.Address][]note.Function{}
	s.EachPC(func(pc memory.Address) {
		if len(t.Functions.Calls) >= maxFunctions || p.Runtime.ModuleOf(pc) == nil {
			return
		}
		if _, ok := t.Functions.Calls[pc]; !ok {
			t.Functions.Calls[pc] = p.Code.Calls(pc)
		}
	})
	t.Goroutines.Uses = usesOf(&t, p)
	return &t
}
