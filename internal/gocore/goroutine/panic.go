package goroutine

import (
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Panic is what a runtime._panic has.
type Panic struct {
	// Type is the first word of the value. The runtime puts the text of an error
	// or a Stringer in the value's place before it prints it: then it is string.
	Type memory.Address

	// Start is the position of runtime.gopanic, 0 before Go 1.22.
	Start Place
}

// ErrNoPanic is wrapped by the errors of ReadPanic.
var ErrNoPanic = errors.New("it does not panic")

// ReadPanic reads the latest panic of a goroutine, which is on its stack.
func (l Layout) ReadPanic(mem memory.Memory, g *G) (Panic, error) {
	if !g.Stack.Contains(g.Panic) {
		return Panic{}, fmt.Errorf("goroutine %d: %w: its record is not on its stack", g.ID, ErrNoPanic)
	}
	r := memory.Reader{Memory: mem}
	read := func(off int) (memory.Address, error) { return r.Pointer(g.Panic.Add(uint64(off))) }
	typ, err := read(l.panicArg)
	if err != nil {
		return Panic{}, fmt.Errorf("goroutine %d: its panic: %w", g.ID, err)
	}
	if typ == 0 {
		return Panic{}, fmt.Errorf("goroutine %d: %w: it is in runtime.Goexit", g.ID, ErrNoPanic)
	}
	p := Panic{Type: typ}
	if l.panicStart < 0 {
		return p, nil
	}
	pc, pcErr := read(l.panicStart)
	sp, spErr := read(l.panicStart + memory.PtrSize)
	if err := errors.Join(pcErr, spErr); err != nil {
		return Panic{}, fmt.Errorf("goroutine %d: its panic: %w", g.ID, err)
	}
	if g.Stack.Contains(sp) {
		p.Start = Place{PC: pc, SP: sp}
	}
	return p, nil
}
