package read

import (
	"cmp"
	"slices"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// queueThreads finds out what each thread runs, by its thread-local g and by
// the runtime's own record of its threads, and queues what belongs to the
// thread: the runtime.m and the g0 or C stack that it is on.
func (gs *goroutines) queueThreads() {
	threads := gs.held.Threads.List
	gs.local = findLocal(gs.reading, threads)
	readAhead(gs, threads)
	gs.sorted = slices.Clone(gs.maps)
	slices.SortStableFunc(gs.sorted, func(a, b process.Mapping) int { return cmp.Compare(a.Start, b.Start) })
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

// readAhead reads the records of all threads at once: their thread-local
// pointers, the runtime.g's and runtime.m's that these lead to, and those of
// running goroutines.
func readAhead(gs *goroutines, threads []process.Thread) {
	var cells, locals, ms, rest []memory.Address
	for i := range threads {
		if cell, ok := cellOf(gs, &threads[i]); ok {
			cells = append(cells, cell)
		} else if gs.program.Identity.Machine == elfcore.MachineARM64 {
			locals = append(locals, memory.Address(threads[i].G()))
		}
	}
	gs.records.fetch(memory.PtrSize, slices.Clone(cells))
	for _, cell := range cells {
		if addr, err := (memory.Reader{Memory: &gs.records}).Pointer(cell); err == nil {
			locals = append(locals, addr)
		}
	}
	locals = slices.DeleteFunc(locals, func(addr memory.Address) bool { return !addr.Aligned(memory.PtrSize) })
	gs.records.fetch(uint64(gs.layout.Size), slices.Clone(locals))
	for _, addr := range locals {
		if g, ok := gs.readG(addr); ok {
			ms = append(ms, g.M)
		}
	}
	for i := range gs.all {
		if g := &gs.all[i]; g.Status == goroutine.Running || g.Status == goroutine.Syscall {
			ms = append(ms, g.M)
		}
	}
	gs.records.fetch(uint64(gs.layout.MSize), slices.Clone(ms))
	for _, addr := range ms {
		if m, ok := readM(gs, addr); ok {
			rest = append(rest, m.G0, m.GSignal, m.Cur)
		}
	}
	gs.records.fetch(uint64(gs.layout.Size), rest)
}

// meet reads the runtime.m at addr, with our ID of its thread, and queues it
// when it is met first.
func (gs *goroutines) meet(addr memory.Address) (goroutine.M, bool) {
	m, ok := gs.ms[addr]
	if ok || addr == 0 {
		return m, addr != 0
	}
	if m, ok = readM(gs, addr); !ok {
		return m, false
	}
	if numbers := gs.held.Numbers; numbers != nil && m.Thread != 0 {
		if m.Thread, ok = numbers[m.Thread]; !ok {
			m.Thread = -1 // not a valid thread ID
		}
	}
	gs.ms[addr] = m
	gs.queue.addTrusted(memory.RangeOf(addr, uint64(gs.layout.MSize)))
	return m, true
}

// findLocal returns where threads on amd64 keep the address of their runtime.g.
// Only a program with C code has other thread-local variables.
func findLocal(r *reading, threads []process.Thread) goroutine.Local {
	size := uint64(memory.PtrSize)
	if stacks := &r.program.Stacks; r.program.Runtime.Cgo && stacks.TLSKnown {
		size = max(size, stacks.TLS)
	}
	var pointers []memory.Address
	for i := range threads {
		if tls := threads[i].TLS; tls != 0 {
			pointers = append(pointers, memory.Address(tls))
		}
	}
	return r.program.Runtime.Goroutine.FindLocal(r.mem, pointers, size)
}

// localG reads the runtime.g of the thread: on amd64 from its local storage, on
// arm64 from x28.
func (gs *goroutines) localG(th *process.Thread) (goroutine.G, bool) {
	if gs.program.Identity.Machine == elfcore.MachineARM64 {
		return gs.registerG(th)
	}
	cell, ok := cellOf(gs, th)
	if !ok {
		return goroutine.G{}, false
	}
	gs.queue.addTrusted(memory.RangeOf(cell, memory.PtrSize))
	addr, err := memory.Reader{Memory: &gs.records}.Pointer(cell)
	if err != nil || !addr.Aligned(memory.PtrSize) {
		return goroutine.G{}, false
	}
	return gs.readG(addr)
}

// cellOf returns where a thread on amd64 has the address of its runtime.g.
func cellOf(gs *goroutines, th *process.Thread) (cell memory.Address, ok bool) {
	if gs.program.Identity.Machine == elfcore.MachineARM64 || th.TLS == 0 {
		return 0, false
	}
	return gs.local.Cell(memory.Address(th.TLS)), true
}

// registerG reads the runtime.g in the thread's register. C code may keep
// anything there, so it counts only if the runtime's record of a thread names
// it.
func (gs *goroutines) registerG(th *process.Thread) (goroutine.G, bool) {
	addr := memory.Address(th.G())
	if !addr.Aligned(memory.PtrSize) {
		return goroutine.G{}, false
	}
	g, ok := gs.readG(addr)
	if !ok || g.M == 0 {
		return goroutine.G{}, false
	}
	m, ok := readM(gs, g.M)
	return g, ok && (addr == m.Cur || addr == m.G0 || addr == m.GSignal)
}

// maxC is the maximum captured size of a stack that is not a goroutine's: C
// functions may use any amount.
const maxC = 64 << 10

// queueThreadStack queues the stack that the thread's registers point into, if
// it is not that of a listed goroutine, and its local g. In a signal handler it
// also queues the thread's other stack if that one was interrupted.
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
	// In a signal handler, the registers that the kernel saved here lead to the
	// interrupted stack.
	if g, ok := gs.readG(current); ok {
		own.Secret = g.Secret // so do its values
		own.Leads = append(own.Leads, g.Stack)
		if g.Stack.Contains(g.Sched.SP) {
			// runtime.asmcgocall stores on C's stack its depth on the goroutine's:
			// unwinding C's stack continues there.
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
		gs.queueStack(model.Stack{Used: memory.Range{Start: at &^ 7, End: min(whole.End, at.Add(maxC))}, Whole: whole, Secret: own.Secret})
	}
}

// interruptedScheduler returns the g0 of a thread in a signal handler, if its
// stack was interrupted, and its depth.
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
// runtime.g local, up to the end that the runtime or the kernel report.
func (gs *goroutines) threadStack(th *process.Thread, local, sp memory.Address) (whole memory.Range, ok bool) {
	at, _ := slices.BinarySearchFunc(gs.sorted, sp, func(m process.Mapping, sp memory.Address) int {
		if m.End <= sp {
			return -1
		}
		return 1
	})
	if at == len(gs.sorted) || !gs.sorted[at].Contains(sp) || !gs.sorted[at].Write {
		return memory.Range{}, false
	}
	m := &gs.sorted[at]
	limit := gs.limit(m, th)
	g, ok := gs.readG(local)
	if !ok || !g.Stack.Contains(sp) {
		g, ok = gs.onStack(sp)
	}
	if !ok {
		// The runtime does not know this stack. Without a known limit, any object
		// may be above it.
		return memory.Range{Start: m.Start, End: limit}, sp < limit
	}
	whole = g.Stack
	if gs.ms[g.M].G0 == g.Addr {
		whole.End = schedulerEnd(gs.program.Runtime.Cgo, whole, limit)
	}
	return whole.Intersect(m.Range), sp < whole.End
}

// limit returns the end of the frames on a stack in mapping m that C or the
// kernel allocated for thread th, 0 if it is unknown or if Go allocated it. The
// initial stack follows on the first thread, thread-local variables on others:
// below the thread pointer, and on arm64 below the C library's thread record,
// which is larger.
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

// onStack returns the runtime.g whose stack contains an address: a goroutine's,
// or one of the runtime's own for each thread. The runtime allocates most of
// them among the program's objects.
func (gs *goroutines) onStack(at memory.Address) (goroutine.G, bool) {
	if gs.stacks == nil {
		gs.stacks = ownedStacks(gs)
	}
	// No two stacks overlap, unless the runtime's records are damaged.
	after, _ := slices.BinarySearchFunc(gs.stacks, at, func(s owned, at memory.Address) int {
		if s.stack.Start <= at {
			return -1
		}
		return 1
	})
	if after == 0 || !gs.stacks[after-1].stack.Contains(at) {
		return goroutine.G{}, false
	}
	if of := gs.stacks[after-1].of; of >= 0 {
		return gs.all[of], true
	}
	return gs.readG(gs.stacks[after-1].own)
}

// An owned stack is that of a goroutine in the list, or of a runtime.g that a
// thread has for itself.
type owned struct {
	stack memory.Range
	of    int            // in the list, -1 for a thread's own
	own   memory.Address // of a thread's own
}

func ownedStacks(gs *goroutines) []owned {
	all := make([]owned, 0, len(gs.all)+2*len(gs.ms))
	for i := range gs.all {
		if s := gs.all[i].Stack; !s.Empty() {
			all = append(all, owned{stack: s, of: i})
		}
	}
	for _, m := range gs.ms {
		for _, own := range []memory.Address{m.G0, m.GSignal} {
			if g, ok := gs.readG(own); ok && !g.Stack.Empty() {
				all = append(all, owned{stack: g.Stack, of: -1, own: own})
			}
		}
	}
	slices.SortFunc(all, func(a, b owned) int { return cmp.Compare(a.stack.Start, b.stack.Start) })
	return all
}

// schedulerEnd returns the end of the frames on the stack of a g0, which the
// runtime knows as stack. On a stack that C or the kernel allocated, up to
// limit, its callers' frames follow, down to where the thread began, and for
// Delve the caller of a function of the race detector or of C at the very top.
// For a thread that C started, the runtime knows what the C library reports: the
// whole mapping, with the thread's variables and the initial stack. If a signal
// met this thread in C, the runtime only knows an estimate, which ends within
// what the kernel saved for the handler, below the frames that were
// interrupted.
func schedulerEnd(cgo bool, stack memory.Range, limit memory.Address) memory.Address {
	const callers, estimate = 1024, 33 << 10
	switch {
	case limit != 0 && stack.Size() == estimate:
		return limit
	case limit != 0:
		return min(stack.End.Add(callers), limit)
	case cgo && stack.End.Aligned(pageSize):
		return 0
	}
	return stack.End
}
