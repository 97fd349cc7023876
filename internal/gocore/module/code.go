package module

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Code knows which calls are under way at the addresses of a program's code.
// It reads the pc-line table of each module once. It must not be used by two
// goroutines at once.
type Code struct {
	prog   *Program
	mem    memory.Memory
	tables map[*Module]*Functions // nil for one that cannot be read
}

// NewCode returns the Code of a program whose pc-line tables are read from mem.
func NewCode(p *Program, mem memory.Memory) *Code {
	return &Code{prog: p, mem: mem, tables: map[*Module]*Functions{}}
}

// Func returns the function whose code is at pc, nil when that is not known.
func (c *Code) Func(pc memory.Address) *Func {
	m := c.prog.ModuleOf(pc)
	if m == nil || !m.Text.Contains(pc) {
		return nil
	}
	table, ok := c.tables[m]
	if !ok {
		table, _ = m.Functions(c.mem) // nil with an error
		c.tables[m] = table
	}
	if table == nil {
		return nil
	}
	f, err := table.At(pc)
	if err != nil {
		return nil
	}
	return f
}

// Calls returns the calls under way where the next instruction to run is at
// pc: those that were inlined there, the innermost first, and last the
// function itself; nil when nothing is known of pc. After a call pc is a return
// address: file and line are then those of the call.
func (c *Code) Calls(pc memory.Address) []note.Function {
	f := c.Func(pc)
	if f == nil {
		return nil
	}
	frame := uint32(0)
	if delta, err := f.SPDelta(pc); err == nil && delta >= 0 {
		frame = uint32(delta)
	}
	calls, err := f.Standing(pc)
	if err != nil {
		calls = []Call{{Name: f.Name}}
	}
	out := make([]note.Function, len(calls))
	for i, call := range calls {
		out[i] = note.Function{PC: uint64(pc), Entry: uint64(f.Range.Start), Frame: frame, Name: call.Name, File: call.File, Line: uint32(call.Line)}
	}
	return out
}
