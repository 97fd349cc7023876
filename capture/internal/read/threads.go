package read

import (
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// queueThreads finds out what each thread runs, by its thread-local g and by the
// runtime's own record of its threads, and asks for what only threads have: the
// runtime.m and the stack of g0 or of C that it is on.
func (gs *goroutines) queueThreads() {
	threads := gs.held.Threads.List
	current := map[int]note.GoThread{} // by the thread's ID
	for i := range threads {
		th := &threads[i]
		g, ok := gs.localG(th)
		if !ok {
			continue
		}
		now := note.GoThread{TID: uint32(th.ID), G: uint64(g.Addr)}
		if m, ok := gs.meet(g.M); ok && (m.Thread == th.ID || m.Thread == 0) {
			now.Cur = uint64(m.Cur)
		}
		current[th.ID] = now
	}
	for i := range gs.all {
		g := &gs.all[i]
		if g.M == 0 || g.Status != goroutine.Running && g.Status != goroutine.Syscall {
			continue
		}
		if m, ok := gs.meet(g.M); ok && m.Cur == g.Addr && m.Thread != 0 {
			now := current[m.Thread]
			now.TID, now.Cur = uint32(m.Thread), uint64(g.Addr)
			current[m.Thread] = now
		}
	}
	for i := range threads {
		th := &threads[i]
		now, ok := current[th.ID]
		if ok {
			gs.out.Note.Threads = append(gs.out.Note.Threads, now)
			if now.Cur != 0 {
				gs.thread[memory.Address(now.Cur)] = th
			}
		}
		if gs.out.Note.Stacks != note.StackNone {
			gs.queueThreadStack(th, memory.Address(now.G), memory.Address(now.Cur))
		}
	}
}

// meet reads the runtime.m at addr, with our ID of its thread, and asks for it
// when it is met first.
func (gs *goroutines) meet(addr memory.Address) (goroutine.M, bool) {
	m, ok := gs.ms[addr]
	if ok || addr == 0 {
		return m, addr != 0
	}
	m, err := gs.layout.ReadM(gs.mem, addr)
	if err != nil {
		return m, false
	}
	if numbers := gs.held.Numbers; numbers != nil && m.Thread != 0 {
		if m.Thread, ok = numbers[m.Thread]; !ok {
			m.Thread = -1 // no thread's number
		}
	}
	gs.ms[addr] = m
	gs.queue.addTrusted(memory.RangeOf(addr, uint64(gs.layout.MSize)))
	return m, true
}

// localG reads the runtime.g that the thread has for its own: that in its local
// storage, at the thread pointer's -8, on amd64, that in x28 on arm64.
func (gs *goroutines) localG(th *process.Thread) (goroutine.G, bool) {
	if gs.program.Identity.Machine == elfcore.MachineARM64 {
		return gs.registerG(th)
	}
	if th.TLS == 0 {
		return goroutine.G{}, false
	}
	cell := memory.Address(th.TLS) - memory.PtrSize
	gs.queue.addTrusted(memory.RangeOf(cell, memory.PtrSize))
	addr, err := memory.Reader{Memory: gs.mem}.Pointer(cell)
	if err != nil || !addr.Aligned(memory.PtrSize) {
		return goroutine.G{}, false
	}
	return gs.readG(addr)
}

// registerG reads the runtime.g that is in the thread's register. C may keep
// anything there: it counts if the runtime's record of a thread names it.
func (gs *goroutines) registerG(th *process.Thread) (goroutine.G, bool) {
	addr := memory.Address(th.G())
	if !addr.Aligned(memory.PtrSize) {
		return goroutine.G{}, false
	}
	g, ok := gs.readG(addr)
	if !ok || g.M == 0 {
		return goroutine.G{}, false
	}
	m, err := gs.layout.ReadM(gs.mem, g.M)
	return g, err == nil && (addr == m.Cur || addr == m.G0 || addr == m.GSignal)
}

// maxC is how much is taken of a stack that is not a goroutine's: C functions
// may have filled it with anything.
const maxC = 64 << 10

// queueThreadStack asks for the stack that the thread's registers point into,
// if it is not that of a goroutine in the list, and for its local g. In a
// handler of signals it asks for the thread's other stack too, if it was that
// one that was interrupted.
func (gs *goroutines) queueThreadStack(th *process.Thread, local, current memory.Address) {
	if local != 0 {
		gs.queue.addTrusted(memory.RangeOf(local, uint64(gs.layout.Size)))
	}
	sp := memory.Address(th.SP())
	if sp < redZone {
		return
	}
	sp -= redZone
	whole, ok := gs.threadStack(th, local, sp)
	if !ok {
		return
	}
	own := model.Stack{Used: memory.Range{Start: sp &^ 7, End: min(whole.End, sp.Add(maxC))}, Whole: whole}
	// In a handler of signals, the registers that the kernel saved here lead to
	// the stack that was interrupted.
	if g, ok := gs.readG(current); ok {
		own.Leads = append(own.Leads, g.Stack)
		if g.Stack.Contains(g.Sched.SP) {
			// runtime.asmcgocall leaves on C's stack how deep on the goroutine's it came
			// from: who unwinds C's goes on there.
			own.Leads = append(own.Leads, memory.RangeOf(g.Stack.End-g.Sched.SP, 1))
		}
	}
	scheduler, at, interrupted := gs.interruptedScheduler(th, local)
	if interrupted {
		own.Leads = append(own.Leads, scheduler.Stack)
	}
	gs.queueStack(own)
	if !interrupted {
		return
	}
	at = max(at-redZone, scheduler.Stack.Start)
	if whole, ok = gs.threadStack(th, scheduler.Addr, at); ok {
		gs.queueStack(model.Stack{Used: memory.Range{Start: at &^ 7, End: min(whole.End, at.Add(maxC))}, Whole: whole})
	}
}

// interruptedScheduler returns the g0 of a thread that is in a handler of
// signals, if it was that one's stack that was interrupted, and how deep.
func (gs *goroutines) interruptedScheduler(th *process.Thread, local memory.Address) (g0 goroutine.G, at memory.Address, ok bool) {
	g, ok := gs.readG(local)
	if !ok || gs.ms[g.M].GSignal != local {
		return g0, 0, false
	}
	if g0, ok = gs.readG(gs.ms[g.M].G0); !ok {
		return g0, 0, false
	}
	at = gs.interrupted(th, g0.Stack)
	return g0, at, at < g0.Stack.End && at >= redZone
}

// threadStack returns the stack that sp is on, which may be that of the
// runtime.g local, as far as the runtime or the kernel report where it ends.
func (gs *goroutines) threadStack(th *process.Thread, local, sp memory.Address) (whole memory.Range, ok bool) {
	for i := range gs.maps {
		m := &gs.maps[i]
		if !m.Contains(sp) || !m.Write {
			continue
		}
		limit := gs.limit(m, th)
		g, ok := gs.readG(local)
		if !ok || !g.Stack.Contains(sp) {
			g, ok = gs.onStack(sp)
		}
		if !ok {
			// The runtime does not know this stack. Above it may be any object,
			// unless its limit is known.
			return memory.Range{Start: m.Start, End: limit}, sp < limit
		}
		whole = g.Stack
		if gs.ms[g.M].G0 == g.Addr {
			whole.End = schedulerEnd(gs.program.Runtime.Cgo, whole.End, limit)
		}
		return whole.Intersect(m.Range), sp < whole.End
	}
	return memory.Range{}, false
}

// limit returns the end of the frames on a stack in mapping m that C or the
// kernel allocated for thread th, 0 if it is not known or if Go allocated it. Of
// the first thread the initial stack follows, of others the thread-local
// variables: below the thread pointer, on arm64 the C library's record of the
// thread, which is larger.
func (gs *goroutines) limit(m *process.Mapping, th *process.Thread) memory.Address {
	const arm64Record = 2048
	stacks, tls := &gs.program.Stacks, memory.Address(th.TLS)
	size := stacks.TLS
	if gs.program.Identity.Machine == elfcore.MachineARM64 {
		size = arm64Record
	}
	switch {
	case m.Overlaps(stacks.Initial):
		return max(stacks.Initial.Start, m.Start)
	case !gs.program.Runtime.Cgo || !stacks.TLSKnown || !m.Contains(tls) || uint64(tls-m.Start) < size:
		return 0
	}
	return tls - memory.Address(size)
}

// onStack returns the runtime.g on whose stack an address is: that of a
// goroutine, or one of the runtime's own on each thread. The runtime allocates
// most of them among the program's objects.
func (gs *goroutines) onStack(at memory.Address) (goroutine.G, bool) {
	for i := range gs.all {
		if g := &gs.all[i]; g.Stack.Contains(at) {
			return *g, true
		}
	}
	for _, m := range gs.ms {
		for _, own := range []memory.Address{m.G0, m.GSignal} {
			if g, ok := gs.readG(own); ok && g.Stack.Contains(at) {
				return g, true
			}
		}
	}
	return goroutine.G{}, false
}

// schedulerEnd returns where to stop on the stack of a g0, which ends at end as
// the runtime knows it. On a stack that C or the kernel allocated, up to limit,
// the frames of its callers follow, down to where the thread began, and for
// Delve the caller of a function of the race detector or of C at the very top.
// Of a thread that C started, the runtime knows what the C library reports: the
// whole mapping, with the thread's variables and with the initial stack.
func schedulerEnd(cgo bool, end, limit memory.Address) memory.Address {
	const callers = 1024
	switch {
	case limit != 0:
		return min(end.Add(callers), limit)
	case cgo && end.Aligned(pageSize):
		return 0
	}
	return end
}
