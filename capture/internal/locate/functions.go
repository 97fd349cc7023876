package locate

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Calls returns, from the pc-line table in the executable, a record for each
// call that was inlined at pc, the innermost first, and one for the function
// itself; none if that is not known.
func (p *Program) Calls(pc memory.Address) []note.Function {
	f := p.Function(pc)
	if f == nil {
		return nil
	}
	frame := uint32(0)
	if delta, err := f.SPDelta(pc); err == nil && delta >= 0 {
		frame = uint32(delta)
	}
	calls, err := f.Standing(pc)
	if err != nil {
		calls = []module.Call{{Name: f.Name}}
	}
	out := make([]note.Function, len(calls))
	for i, c := range calls {
		out[i] = note.Function{PC: uint64(pc), Entry: uint64(f.Range.Start), Frame: frame, Name: c.Name, File: c.File, Line: uint32(c.Line)}
	}
	return out
}

// Function returns the function that pc is in, nil if that is not known.
func (p *Program) Function(pc memory.Address) *module.Func {
	m := p.Runtime.ModuleOf(pc)
	if m == nil || !m.Text.Contains(pc) {
		return nil
	}
	funcs, ok := p.funcs[m]
	if !ok {
		var err error
		if funcs, err = m.Functions(p.Binary.Image); err != nil {
			return nil
		}
		p.funcs[m] = funcs
	}
	f, err := funcs.At(pc)
	if err != nil {
		return nil
	}
	return f
}
