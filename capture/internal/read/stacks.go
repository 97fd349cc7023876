package read

import (
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// redZone is the area below the stack pointer that C's convention allows to
// use; Go's assembly uses none.
const redZone = 128

// savedFP is the distance below its stack pointer at which a Go function for
// arm64 keeps its caller's frame pointer.
const savedFP = memory.PtrSize

// signalStack is the size of the stack that the runtime gives its signal
// handlers.
const signalStack = 32 << 10

// used returns the part of g's stack that has frames: from the stack pointer of
// its thread if that is on it, else from its saved stack pointer.
func (gs *goroutines) used(g *goroutine.G) memory.Range {
	where := g.Where().SP
	th := gs.thread[g.Addr]
	if placed := th != nil && th.SP() != 0; placed {
		if sp := memory.Address(th.SP()); g.Stack.Contains(sp) {
			return g.InUse(max(g.Stack.Start, sp-redZone))
		}
		// In a system call it is further down than where it entered the call.
		if g.Status == goroutine.Running || g.Status == goroutine.Syscall {
			if at := gs.interrupted(th, g.Stack); at < g.Stack.End && (at < where || !g.Stack.Contains(where)) {
				where = at
			}
		}
	} else if g.Status == goroutine.Running {
		// Its current depth is unknown: take its outermost frames, no further down
		// than its saved stack pointer. Memory below may have been freed before the
		// stack was allocated.
		return g.InUse(max(where, g.Stack.End-min(g.Stack.End, maxC)))
	}
	if !g.Stack.Contains(where) {
		return memory.Range{}
	}
	if s := g.Sched.SP; g.Stack.Contains(s) {
		// In C, or on the scheduler's stack: Delve continues where Go left.
		where = min(where, s)
	}
	if gs.program.Identity.Machine == elfcore.MachineARM64 {
		where = max(g.Stack.Start, where-savedFP)
	}
	return g.InUse(where)
}

// interrupted returns the lowest address within stack that is in the thread's
// registers or on its current stack, stack.End if there is none. In a signal
// handler that is at most where the goroutine was interrupted: the kernel saved
// its stack pointer there, and the runtime's saved values are older. Calls into
// the race detector keep it in a callee-saved register.
func (gs *goroutines) interrupted(th *process.Thread, stack memory.Range) memory.Address {
	lowest := stack.End
	for _, word := range th.Words() {
		if at := memory.Address(word); stack.Contains(at) {
			lowest = min(lowest, at)
		}
	}
	sp := memory.Address(th.SP()) &^ 7
	for _, m := range gs.maps {
		if !m.Contains(sp) || !m.Write {
			continue
		}
		size := min(signalStack, uint64(m.End-sp))
		data, err := memory.Reader{Memory: gs.mem}.Bytes(sp, size, size)
		if err != nil {
			break
		}
		for ; len(data) >= memory.PtrSize; data = data[memory.PtrSize:] {
			if at := memory.Address(leWord(data)); stack.Contains(at) {
				lowest = min(lowest, at)
			}
		}
	}
	return lowest
}

// knownWords returns the words of skeleton stacks that are addresses of captured values, or of
// what goroutines wait for: a skeleton keeps them, because the core has these addresses.
func knownWords(s *model.Snapshot, found *walk.Result) map[memory.Address]bool {
	gs := &s.Goroutines
	if gs.Note.Stacks != note.StackSkeleton || found == nil {
		return nil
	}
	waited := waitedFor(s)
	known := map[memory.Address]bool{}
	for i := range gs.Stacks {
		s.Image.Each(gs.Stacks[i].Used, func(addr memory.Address, data []byte) {
			for off := int(-uint64(addr) % memory.PtrSize); off+memory.PtrSize <= len(data); off += memory.PtrSize {
				if word := memory.Address(leWord(data[off:])); word != 0 && (waited[word] || found.Begins(word)) {
					known[word] = true
				}
			}
		})
	}
	return known
}

// readPanic records the type of the value with which a goroutine panics.
func (gs *goroutines) readPanic(g *goroutine.G) {
	if g.Panic == 0 {
		return
	}
	panics, err := gs.layout.ReadPanic(gs.mem, g)
	if err != nil {
		return
	}
	word, own := panics.Type, false
	if at, ok := gs.panicArgument(panics.Start); ok && g.Stack.Contains(at) {
		if argument, err := (memory.Reader{Memory: gs.mem}).Pointer(at); err == nil && argument != 0 {
			word, own = argument, true
		}
	}
	typ, err := gs.program.Types.At(word)
	if err == nil && own && !excludes(gs.plan, typ) {
		if gs.out.Shown == nil {
			gs.out.Shown = map[uint64]bool{}
		}
		gs.out.Shown[g.ID] = true
	}
	if err != nil || !own && typ.Kind == gotypes.String {
		return // a string, or a text made from another value
	}
	if gs.out.Panics == nil {
		gs.out.Panics = map[uint64]string{}
	}
	gs.out.Panics[g.ID] = typ.FullName()
}

// panicArgument returns where runtime.gopanic keeps its argument, which the
// runtime does not change when it prints it. The argument comes in registers, and
// is stored at entry where the caller keeps room for it: on amd64 just above the
// return address, on arm64 a word above the frame, which includes the link
// register; that is the same distance from the stack pointer.
func (gs *goroutines) panicArgument(start goroutine.Place) (memory.Address, bool) {
	if start.PC == 0 {
		return 0, false
	}
	f := gs.program.Code.Func(start.PC)
	if f == nil || f.Name != "runtime.gopanic" {
		return 0, false
	}
	pushed, err := f.SPDelta(start.PC)
	if err != nil || pushed <= 0 {
		return 0, false
	}
	return start.SP.Add(uint64(pushed) + memory.PtrSize), true
}
