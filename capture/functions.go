package capture

import (
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// mostFunctions bounds the addresses that are looked up: a stack full of
// pointers to functions must not cost minutes.
const mostFunctions = 1 << 16

// functions says of every address in code that stands in a captured stack, a
// register or a goroutine's record what function and line it is, so that stacks
// can be printed when the executable is gone.
func (t *taking) functions(p *program) []note.Function {
	seen := map[memory.Address]bool{}
	var pcs []memory.Address
	add := func(pc memory.Address) {
		if !seen[pc] && len(pcs) < mostFunctions && p.prog.ModuleOf(pc) != nil {
			seen[pc] = true
			pcs = append(pcs, pc)
		}
	}
	for i := range t.threads {
		add(memory.Address(t.threads[i].PC()))
		add(memory.Address(t.threads[i].Link()))
	}
	for i := range t.goroutines.all {
		g := &t.goroutines.all[i]
		for _, pc := range []memory.Address{g.Where().PC, g.Where().LR, g.StartPC, g.GoPC} {
			add(pc)
		}
	}
	if t.walked != nil { // functions in values are named too
		for _, entry := range t.walked.Funcs {
			add(entry)
		}
	}
	for _, s := range t.goroutines.stacks {
		t.image.over(s.used, func(addr memory.Address, data []byte) {
			for off := int(-uint64(addr) % 8); off+8 <= len(data); off += 8 {
				add(memory.Address(leWord(data[off:])))
			}
		})
	}
	slices.Sort(pcs)
	var out []note.Function
	for _, pc := range pcs {
		out = append(out, lookUp(p, pc)...)
	}
	return out
}

// lookUp reads the pc-line table from the file: the program may be gone. It
// returns a record for each call that was inlined at pc, the innermost first,
// and one for the function itself.
func lookUp(p *program, pc memory.Address) []note.Function {
	f := p.function(pc)
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

// function returns the function that pc stands in, nil if that is not known.
func (p *program) function(pc memory.Address) *module.Func {
	m := p.prog.ModuleOf(pc)
	if m == nil || !m.Text.Contains(pc) {
		return nil
	}
	funcs, ok := p.funcs[m]
	if !ok {
		var err error
		if funcs, err = m.Functions(p.image); err != nil {
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
