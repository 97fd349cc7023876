package read

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/unwind"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// maxUnwound bounds the calls that are followed while the program is stopped. The
// runtime ends a program whose stack has more than 1 GB; a call takes at least 16
// bytes of it, and more than 32 in nearly every program.
const maxUnwound = 1 << 25

// cut reports whether both ends of the stack are queued, but not its middle.
func (s *deepStack) cut() bool {
	return s.lacks && !s.outer.Empty() && s.outer.End == s.Used.End && s.inner.End < s.outer.Start
}

// outerCalls returns the first call in the outer part of each stack that is cut.
// Only the whole stack proves which return addresses in it are in use.
func outerCalls(r *reading) (cut []note.CutStack) {
	u := newUnwinding(r)
	for i := range r.queue.stacks {
		if s := &r.queue.stacks[i]; s.cut() {
			if c, ok := u.outerCall(&r.snapshot.Goroutines.All[i], s.outer); ok {
				cut = append(cut, c)
			}
		}
	}
	return cut
}

// An unwinding follows the calls on stacks.
type unwinding struct {
	*unwind.Unwinder
	reading   *reading
	functions map[memory.Address]function
	last      struct { // looked up: a recursion is at one address again and again
		pc memory.Address
		function
	}
	left int // calls that may still be followed
}

// A function is what is known of an address in code.
type function struct {
	unwind.Function
	calls uint64 // under way there: those that were inlined, and the function; 0 if unknown
}

func newUnwinding(r *reading) *unwinding {
	u := &unwinding{reading: r, functions: map[memory.Address]function{}, left: maxUnwound}
	u.Unwinder = unwind.New(r.program.Identity.Machine, r.mem, func(pc memory.Address) (unwind.Function, bool) {
		f := u.function(pc)
		return f.Function, f.calls > 0
	})
	return u
}

func (u *unwinding) function(pc memory.Address) function {
	if pc == u.last.pc {
		return u.last.function
	}
	f, ok := u.functions[pc]
	if !ok {
		if calls := u.reading.program.Code.Calls(pc); len(calls) > 0 {
			last := &calls[len(calls)-1]
			f = function{unwind.Function{Name: last.Name, Frame: uint64(last.Frame)}, uint64(len(calls))}
		}
		u.functions[pc] = f
	}
	u.last.pc, u.last.function = pc, f
	return f
}

// outerCall returns the first call of a goroutine whose frame is in the outer part
// of its stack.
func (u *unwinding) outerCall(g *goroutine.G, outer memory.Range) (note.CutStack, bool) {
	calls := uint64(0)
	for at := u.Start(g, u.registers(g)); u.left > 0; u.left-- {
		if outer.Contains(at.SP) {
			return note.CutStack{Goroutine: g.ID, SP: uint64(at.SP), PC: uint64(at.PC), Calls: calls}, true
		}
		f := u.function(at.PC)
		if f.calls == 0 || f.Outermost() {
			break
		}
		calls += f.calls
		caller, err := u.Caller(at, f.Function, g.Stack)
		if err != nil {
			break
		}
		at = caller
	}
	return note.CutStack{}, false
}

// registers returns the registers of the thread that runs a goroutine, nil if no
// thread does.
func (u *unwinding) registers(g *goroutine.G) []uint64 {
	th := u.thread(u.reading.snapshot.Goroutines.Thread[g.Addr])
	if th == nil {
		return nil
	}
	return th.Words()
}

func (u *unwinding) thread(id int) *process.Thread {
	list := u.reading.held.Threads.List
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	return nil
}
