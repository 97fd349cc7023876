package capture

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// panicking notes the type of the value with which a goroutine panics.
func (t *taking) panicking(p *program, g *goroutine.G) {
	if g.Panic == 0 {
		return
	}
	panics, err := p.layout.ReadPanic(t.mem, g)
	if err != nil {
		return
	}
	word, own := panics.Type, false
	if at, ok := p.panicArgument(panics.Start); ok && g.Stack.Contains(at) {
		if argument, err := (memory.Reader{Memory: t.mem}).Pointer(at); err == nil && argument != 0 {
			word, own = argument, true
		}
	}
	typ, err := p.types.At(word)
	if err != nil || !own && typ.Kind == gotypes.String {
		return // a string, or a text that was made of something else
	}
	if t.record.Panics == nil {
		t.record.Panics = map[uint64]string{}
	}
	t.record.Panics[g.ID] = typ.FullName()
}

// panicArgument returns where runtime.gopanic keeps its argument, which the
// runtime does not change when it prints it. The argument comes in registers, and
// is stored at entry where the caller keeps room for it: on amd64 just above the
// return address, on arm64 a word above the frame, which includes the link
// register; that is the same distance from the stack pointer.
func (p *program) panicArgument(start goroutine.Place) (memory.Address, bool) {
	if start.PC == 0 {
		return 0, false
	}
	f := p.function(start.PC)
	if f == nil || f.Name != "runtime.gopanic" {
		return 0, false
	}
	pushed, err := f.SPDelta(start.PC)
	if err != nil || pushed <= 0 {
		return 0, false
	}
	return start.SP.Add(uint64(pushed) + memory.PtrSize), true
}
