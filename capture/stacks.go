package capture

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// used returns the part of g's stack that holds frames: from the stack pointer
// of its thread when that stands on it, else from where it was left.
func (t *taking) used(g *goroutine.G) memory.Range {
	where := g.Where().SP
	if th := t.goroutines.thread[g.Addr]; th != nil && th.SP() != 0 {
		if sp := memory.Address(th.SP()); g.Stack.Contains(sp) {
			return g.InUse(max(g.Stack.Start, sp-redZone))
		}
		// In a system call it is further down than where it entered it.
		if g.Status == goroutine.Running || g.Status == goroutine.Syscall {
			if at := t.interrupted(th, g.Stack); at < g.Stack.End && (at < where || !g.Stack.Contains(where)) {
				where = at
			}
		}
	} else if g.Status == goroutine.Running {
		where = 0 // nobody stopped it: what was saved is from before
	}
	switch {
	case g.Stack.Contains(where):
	case g.Status == goroutine.Running:
		// How deep it is now is not known: its outermost frames.
		return memory.Range{Start: max(g.Stack.Start, g.Stack.End-min(g.Stack.End, mostC)), End: g.Stack.End}
	default:
		return memory.Range{}
	}
	if s := g.Sched.SP; g.Stack.Contains(s) {
		// In C, or on the scheduler's stack: Delve goes on from where Go left.
		where = min(where, s)
	}
	if t.machine == elfcore.MachineARM64 {
		where = max(g.Stack.Start, where-savedFP)
	}
	return g.InUse(where)
}

// savedFP is how far below its stack pointer a function of Go for arm64 keeps
// its caller's frame pointer.
const savedFP = memory.PtrSize

// signalStack is the size of the stack that the runtime gives its handlers of
// signals.
const signalStack = 32 << 10

// interrupted returns the lowest address within stack that stands in the
// thread's registers or on the stack that it is on, stack.End if there is none.
// In a handler of signals that is at most where the goroutine was interrupted:
// the kernel saved its stack pointer there, and what the runtime saved of it is
// older. Calls into the race detector keep it in a register that C saves.
func (t *taking) interrupted(th *process.Thread, stack memory.Range) memory.Address {
	lowest := stack.End
	for _, word := range th.Words() {
		if at := memory.Address(word); stack.Contains(at) {
			lowest = min(lowest, at)
		}
	}
	sp := memory.Address(th.SP()) &^ 7
	for _, m := range t.maps {
		if !m.Contains(sp) || !m.Write {
			continue
		}
		size := min(signalStack, uint64(m.End-sp))
		data, err := memory.Reader{Memory: t.mem}.Bytes(sp, size, size)
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

// skeletons overwrites in the image's stacks every word that is neither an
// address in code nor one in the stack itself, where that is wanted.
func (t *taking) skeletons() {
	var executable []memory.Range
	for _, m := range t.maps {
		if m.Exec {
			executable = append(executable, m.Range)
		}
	}
	code := memory.RangesOf(executable...)
	var kept note.Receipt
	for _, s := range t.goroutines.stacks {
		if !s.secret && t.goroutines.note.Stacks == note.StackFull {
			continue
		}
		reason := note.ReasonStack
		if s.secret {
			reason = note.ReasonSecret
		}
		var n uint64
		keep := code
		if len(s.leads) > 0 {
			keep = code.Union(memory.RangesOf(s.leads...))
		}
		t.image.over(s.used, func(addr memory.Address, data []byte) {
			n += uint64(len(data)) - 8*uint64(walk.Skeleton(addr, data, s.whole, keep))
		})
		if s.secret {
			t.receipts = append(t.receipts, note.Receipt{Addr: uint64(s.used.Start), Size: n, Reason: reason, Count: 1})
			continue
		}
		kept.Size += n
		kept.Count++
	}
	if kept.Count > 0 {
		kept.Reason = note.ReasonStack
		t.receipts = append(t.receipts, kept)
	}
}

// stripThreads takes values out of registers where stacks may not show them.
func (t *taking) stripThreads() {
	secret := map[memory.Address]bool{}
	for i := range t.goroutines.all {
		if g := &t.goroutines.all[i]; g.Secret {
			secret[g.Addr] = true
		}
	}
	works := map[int]memory.Address{}
	for g, th := range t.goroutines.thread {
		works[th.ID] = g
	}
	var word uint64
	for range 8 {
		word = word<<8 | elfcore.MarkByte
	}
	if t.sigInfo != nil && t.goroutines.note.Stacks != note.StackFull && t.sigInfo.Code > 0 {
		t.sigInfo.Addr = 0 // of the fault: it may have been made of a value
	}
	for i := range t.threads {
		th := &t.threads[i]
		if t.goroutines.note.Stacks != note.StackFull || secret[works[th.ID]] {
			th.Strip(word)
		}
	}
}
