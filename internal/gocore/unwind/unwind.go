// Package unwind follows the calls on goroutines' stacks by the program's
// pc-line table. It needs neither frame pointers nor debug information.
package unwind

import (
	"errors"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// ErrNonsense reports a stack whose frames do not follow each other.
var ErrNonsense = errors.New("the stack makes no sense")

// A Function is the function at an address in code, by the pc-line table.
type Function struct {
	Name  string // of the function itself, not of a call that was inlined into it
	Frame uint64 // bytes between the stack pointer and the return address
}

// Outermost reports whether the function has no caller.
func (f Function) Outermost() bool {
	return f.Name == "runtime.goexit" || f.Name == "runtime.mstart" || f.Name == "runtime.rt0_go"
}

// An Unwinder follows calls. It must not be used by two goroutines at once.
type Unwinder struct {
	registers elfcore.RegisterMap
	saved     signalFrame
	stack     memory.ReadAhead
	function  func(pc memory.Address) (Function, bool)
}

// New returns the Unwinder of a program for an ELF machine. stack is the memory of
// its stacks, function looks up an address in code.
func New(machine uint16, stack memory.Memory, function func(memory.Address) (Function, bool)) *Unwinder {
	registers, _ := elfcore.RegistersOf(machine)
	return &Unwinder{registers: registers, saved: signalFrames[machine], stack: memory.ReadAhead{Memory: stack}, function: function}
}

// Start returns where the goroutine is on its stack. thread has the registers of
// the thread that works for it, nil if no thread does. A thread in the runtime's
// own code, or in C, is on another stack: the position where it left the
// goroutine's is saved then.
func (u *Unwinder) Start(g *goroutine.G, thread []uint64) goroutine.Place {
	if thread == nil {
		return g.Where()
	}
	now := u.placeOf(thread)
	if !g.Stack.Contains(now.SP) {
		now = u.interrupted(now, g.Stack)
	}
	if g.Stack.Contains(now.SP) {
		return now
	}
	return g.Where()
}

func (u *Unwinder) placeOf(thread []uint64) goroutine.Place {
	word := func(n int) memory.Address {
		if n < 0 || n >= len(thread) {
			return 0
		}
		return memory.Address(thread[n])
	}
	r := &u.registers
	return goroutine.Place{PC: word(r.PC), SP: word(r.SP), BP: word(r.FP), LR: word(r.Link)}
}

// Caller returns where on the stack the caller of a function is that is at a
// place. If the return address cannot be read, it returns the error of the memory
// and a Place with the stack pointer alone.
func (u *Unwinder) Caller(at goroutine.Place, f Function, stack memory.Range) (goroutine.Place, error) {
	caller, err := u.caller(at, f.Frame)
	switch {
	case !stack.Contains(at.SP), caller.SP < at.SP, caller.SP > stack.End, caller.SP == at.SP && at.LR == 0:
		return goroutine.Place{}, ErrNonsense
	case err != nil:
		return goroutine.Place{SP: caller.SP}, err
	}
	if injected[f.Name] && u.links() {
		return u.signalled(caller)
	}
	return caller, nil
}

// links reports whether calls leave the return address in a register, as on
// arm64.
func (u *Unwinder) links() bool { return u.registers.Link >= 0 }

// caller returns the place to which the function at a place returns. The
// function's frame ends where the table has it for that address: the return
// address is there, on machines with a link register at the low end of the
// frame, or in that register while there is no frame.
func (u *Unwinder) caller(at goroutine.Place, size uint64) (goroutine.Place, error) {
	if !u.links() {
		end := at.SP.Add(size)
		pc, err := u.stack.Pointer(end)
		return goroutine.Place{PC: pc, SP: end.Add(memory.PtrSize)}, err
	}
	if size == 0 && at.LR != 0 {
		return goroutine.Place{PC: at.LR, SP: at.SP}, nil
	}
	pc, err := u.stack.Pointer(at.SP)
	return goroutine.Place{PC: pc, SP: at.SP.Add(size)}, err
}

// injected are functions that a handler of signals makes the interrupted one
// call.
var injected = map[string]bool{"runtime.sigpanic": true, "runtime.asyncPreempt": true, "runtime.debugCallV2": true}

// signalled returns where a function was that was made to call another: with a
// link register, what was in that register is on the stack, in room of two words. A
// function that had stored it itself does not need it.
func (u *Unwinder) signalled(at goroutine.Place) (goroutine.Place, error) {
	link, err := u.stack.Pointer(at.SP)
	at.SP = at.SP.Add(2 * memory.PtrSize)
	if f, _ := u.function(at.PC); f.Frame == 0 {
		at.LR = link
	}
	return at, err
}
