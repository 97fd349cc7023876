package capture

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// callersEnd is where to stop above a thread's own stack as the runtime knows
// it. On a stack that C or the kernel made, there stands who called it, down to
// where the thread began, and for Delve the caller of a function of the race
// detector or of C at the very top. On the first thread's stack arguments and
// environment are further up, on others the variables that C keeps for each
// thread: below the thread pointer, on arm64 the C library's own record of the
// thread, which is larger. Above a stack that Go allotted stands any object.
func (p *program) callersEnd(machine uint16, m *process.Mapping, th *process.Thread, end memory.Address) memory.Address {
	const first, others = 128, 1024
	variables := memory.Address(512)
	if machine == elfcore.MachineARM64 {
		variables = 2048
	}
	tls := memory.Address(th.TLS)
	switch {
	case m.Path == "[stack]":
		return end.Add(first)
	case !p.cgo || !m.Contains(tls) || tls < end+variables:
		return end
	}
	return min(end.Add(others), tls-variables)
}

// mostC is how much is taken of a stack that is not a goroutine's: C functions
// may have filled it with anything.
const mostC = 64 << 10

// wantThreadStack asks for the stack that the thread's registers point into,
// when it is not that of a goroutine in the list, and for its local g. In a
// handler of signals it asks for the thread's other stack too, when it was that
// one that was interrupted.
func (t *taking) wantThreadStack(p *program, th *process.Thread, local, current memory.Address, ms map[memory.Address]goroutine.M) {
	if local != 0 {
		t.wantKnown(memory.RangeOf(local, uint64(p.layout.Size)))
	}
	sp := memory.Address(th.SP())
	if sp < redZone {
		return
	}
	sp -= redZone
	whole, ok := t.threadStack(p, th, local, ms, sp)
	if !ok {
		return
	}
	t.wantStack(memory.Range{Start: sp &^ 7, End: min(whole.End, sp.Add(mostC))}, whole, false)
	// In a handler of signals, the registers that the kernel saved here lead to
	// the stack that was interrupted.
	own := &t.goroutines.stacks[len(t.goroutines.stacks)-1]
	if g, ok := t.readG(p, current); current != 0 && ok {
		own.leads = append(own.leads, g.Stack)
		if g.Stack.Contains(g.Sched.SP) {
			// runtime.asmcgocall leaves on C's stack how deep on the goroutine's it came
			// from: who unwinds C's goes on there.
			own.leads = append(own.leads, memory.RangeOf(g.Stack.End-g.Sched.SP, 1))
		}
	}
	g, ok := t.readG(p, local)
	if local == 0 || !ok || ms[g.M].GSignal != local {
		return
	}
	scheduler, ok := t.readG(p, ms[g.M].G0)
	if !ok || ms[g.M].G0 == 0 {
		return
	}
	at := t.interrupted(th, scheduler.Stack)
	if at >= scheduler.Stack.End || at < redZone {
		return
	}
	own.leads = append(own.leads, scheduler.Stack)
	at = max(at-redZone, scheduler.Stack.Start)
	if whole, ok = t.threadStack(p, th, ms[g.M].G0, ms, at); ok {
		t.wantStack(memory.Range{Start: at &^ 7, End: min(whole.End, at.Add(mostC))}, whole, false)
	}
}

// threadStack returns the stack on which sp stands, which may be that of the
// runtime.g local.
func (t *taking) threadStack(p *program, th *process.Thread, local memory.Address, ms map[memory.Address]goroutine.M, sp memory.Address) (whole memory.Range, ok bool) {
	for _, m := range t.maps {
		if !m.Contains(sp) || !m.Write {
			continue
		}
		if g, ok := t.readG(p, local); local != 0 && ok && g.Stack.Contains(sp) {
			end := p.callersEnd(t.machine, &m, th, g.Stack.End)
			return memory.Range{Start: g.Stack.Start, End: end}.Intersect(m.Range), true
		}
		if known := t.stackAt(p, ms, sp); !known.Empty() {
			return known.Intersect(m.Range), true
		}
		// Nobody's stack that we know of, in memory that Go shares out: objects
		// may stand behind it. A thread that was cloned this moment is on such a
		// one, and has its parent's local storage still.
		return m.Range, m.Path == "[stack]" || p.cgo && !t.shared(m.Range)
	}
	return memory.Range{}, false
}

// shared reports whether Go shares out the memory of r among its objects: the
// list of goroutines, a goroutine or its stack stands there.
func (t *taking) shared(r memory.Range) bool {
	gs := &t.goroutines
	if r.Overlaps(gs.list.Range()) {
		return true
	}
	for i := range gs.all {
		if r.Contains(gs.all[i].Addr) || r.Overlaps(gs.all[i].Stack) {
			return true
		}
	}
	return false
}

// stackAt returns the stack that an address stands on, of those of goroutines and
// of the runtime's own on each thread, else an empty range. The runtime allots
// most of them among the program's objects.
func (t *taking) stackAt(p *program, ms map[memory.Address]goroutine.M, at memory.Address) memory.Range {
	for i := range t.goroutines.all {
		if g := &t.goroutines.all[i]; g.Stack.Contains(at) {
			return g.Stack
		}
	}
	for _, m := range ms {
		for _, own := range []memory.Address{m.G0, m.GSignal} {
			if g, ok := t.readG(p, own); own != 0 && ok && g.Stack.Contains(at) {
				return g.Stack
			}
		}
	}
	return memory.Range{}
}
