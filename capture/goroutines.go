package capture

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// stackKind is what the capture takes of stacks when so much is excluded.
func (o *Options) stackKind(excludes bool) note.StackKind {
	switch {
	case o.Stacks == StacksNone || o.Mode == Strict:
		return note.StackNone
	case o.Stacks == StacksSkeleton || o.Stacks == StacksAuto && excludes:
		return note.StackSkeleton
	}
	return note.StackFull
}

// A stack is the part of one that the core is to hold.
type stack struct {
	used   memory.Range   // what the image was asked for
	whole  memory.Range   // where frame pointers may point
	leads  []memory.Range // other values of words to keep: stacks that saved registers here may point into, a depth
	secret bool           // a skeleton at most
}

// goroutines collects what debuggers and readers need of the goroutines.
type goroutines struct {
	list   goroutine.List
	all    []goroutine.G
	thread map[memory.Address]*process.Thread // by the runtime.g that it works for
	note   note.Goroutines
	stacks []stack
}

// redZone is below the stack pointer and in use, by C's convention; Go's
// assembly uses none.
const redZone = 128

// wantGoroutines asks the image for the goroutines, in the order of their
// weight, and for the threads' own stacks.
func (t *taking) wantGoroutines(p *program) {
	t.opts.Progress(Progress{Step: "goroutines"})
	gs := &t.goroutines
	kind := gs.note.Stacks
	if kind == note.StackNone && t.opts.Mode == Strict {
		return
	}
	if err := t.listGoroutines(p); err != nil {
		t.summary.problem("goroutines", err)
	}
	t.wantThreads(p)
	t.sortGoroutines()
	missing := 0
	for i := range gs.all {
		g := &gs.all[i]
		if !t.wantGoroutine(p, g) {
			missing++
			continue
		}
		if g.Status.Alive() {
			t.summary.Goroutines.Captured++
		}
		gs.note.Captured++
	}
	if missing > 0 {
		t.summary.problem("goroutines", budgetError{missing, "goroutines"})
	}
}

// listGoroutines reads the list and every runtime.g.
func (t *taking) listGoroutines(p *program) error {
	gs := &t.goroutines
	if p.cellErr != nil {
		return p.cellErr
	}
	list, err := p.cells.Read(t.mem)
	if err != nil {
		return err
	}
	gs.list = list
	gs.note.List, gs.note.Length, gs.note.All = uint64(list.Array), list.Len, list.Len
	gs.note.PtrCell, gs.note.LenCell = uint64(p.cells.Ptr), uint64(p.cells.Len)
	t.wantKnown(list.Range())
	t.wantKnown(memory.RangeOf(p.cells.Ptr, memory.PtrSize))
	t.wantKnown(memory.RangeOf(p.cells.Len, memory.PtrSize))
	addrs, err := list.Addrs(t.mem)
	if err != nil {
		return err
	}
	all, bad, first := p.layout.ReadAll(t.mem, addrs)
	gs.all = all
	for i := range all {
		if all[i].Status.Alive() {
			t.summary.Goroutines.All++
			t.panicking(p, &all[i])
		}
	}
	if bad > 0 {
		t.summary.Goroutines.All += bad
		return first
	}
	return nil
}

// wantThreads finds out what each thread runs, by its thread-local g and by the
// runtime's own record of its threads, and asks for what only threads have: the
// runtime.m and the stack of g0 or of C that it stands on.
func (t *taking) wantThreads(p *program) {
	gs := &t.goroutines
	gs.thread = make(map[memory.Address]*process.Thread)
	ours := t.threadNumbers()
	ms := map[memory.Address]goroutine.M{}
	see := func(addr memory.Address) (goroutine.M, bool) {
		m, ok := ms[addr]
		if !ok && addr != 0 {
			var err error
			if m, err = p.layout.ReadM(t.mem, addr); err != nil {
				return m, false
			}
			if ours != nil && m.Thread != 0 {
				if m.Thread, ok = ours[m.Thread]; !ok {
					m.Thread = -1 // nobody's number
				}
			}
			ms[addr] = m
			t.wantKnown(memory.RangeOf(addr, uint64(p.layout.MSize)))
		}
		return m, addr != 0
	}
	current := map[int]note.GoThread{}
	for i := range t.threads {
		th := &t.threads[i]
		g, ok := t.localG(p, th)
		if !ok {
			continue
		}
		now := note.GoThread{TID: uint32(th.ID), G: uint64(g.Addr)}
		if m, ok := see(g.M); ok && (m.Thread == th.ID || m.Thread == 0) {
			now.Cur = uint64(m.Cur)
		}
		current[th.ID] = now
	}
	for i := range gs.all {
		g := &gs.all[i]
		if g.M == 0 || g.Status != goroutine.Running && g.Status != goroutine.Syscall {
			continue
		}
		if m, ok := see(g.M); ok && m.Cur == g.Addr && m.Thread != 0 {
			now := current[m.Thread]
			now.TID, now.Cur = uint32(m.Thread), uint64(g.Addr)
			current[m.Thread] = now
		}
	}
	for i := range t.threads {
		th := &t.threads[i]
		now, ok := current[th.ID]
		if ok {
			gs.note.Threads = append(gs.note.Threads, now)
			if now.Cur != 0 {
				gs.thread[memory.Address(now.Cur)] = th
			}
		}
		if gs.note.Stacks != note.StackNone {
			t.wantThreadStack(p, th, memory.Address(now.G), memory.Address(now.Cur), ms)
		}
	}
}

// threadNumbers returns our numbers of the threads by the program's own, nil
// where they are the same: those in a core are the program's.
func (t *taking) threadNumbers() map[int]int {
	if t.process == nil {
		return nil
	}
	ids := make([]int, len(t.threads))
	for i := range t.threads {
		ids[i] = t.threads[i].ID
	}
	return t.process.Ours(ids)
}

// localG reads the runtime.g that the thread has for its own: that in its local
// storage, at the thread pointer's -8, on amd64, that in x28 on arm64.
func (t *taking) localG(p *program, th *process.Thread) (goroutine.G, bool) {
	if t.machine == elfcore.MachineARM64 {
		return t.registerG(p, th)
	}
	if th.TLS == 0 {
		return goroutine.G{}, false
	}
	cell := memory.Address(th.TLS) - memory.PtrSize
	t.wantKnown(memory.RangeOf(cell, memory.PtrSize))
	addr, err := memory.Reader{Memory: t.mem}.Pointer(cell)
	if err != nil || addr == 0 || !addr.Aligned(memory.PtrSize) {
		return goroutine.G{}, false
	}
	return t.readG(p, addr)
}

// registerG reads the runtime.g that stands in the thread's register. C may keep
// anything there: it counts if the runtime's record of a thread names it.
func (t *taking) registerG(p *program, th *process.Thread) (goroutine.G, bool) {
	addr := memory.Address(th.G())
	if addr == 0 || !addr.Aligned(memory.PtrSize) {
		return goroutine.G{}, false
	}
	g, ok := t.readG(p, addr)
	if !ok || g.M == 0 {
		return goroutine.G{}, false
	}
	m, err := p.layout.ReadM(t.mem, g.M)
	return g, err == nil && (addr == m.Cur || addr == m.G0 || addr == m.GSignal)
}

func (t *taking) readG(p *program, addr memory.Address) (goroutine.G, bool) {
	b, err := memory.Reader{Memory: t.mem}.Bytes(addr, uint64(p.layout.Size), uint64(p.layout.Size))
	if err != nil {
		return goroutine.G{}, false
	}
	g, err := p.layout.Decode(addr, b)
	return g, err == nil
}

func (t *taking) wantStack(used, whole memory.Range, secret bool) bool {
	if used.Empty() {
		return true
	}
	n := t.wantKnown(used) // what of it may be kept is decided by skeletons
	used.End = used.Start.Add(n)
	t.goroutines.stacks = append(t.goroutines.stacks, stack{used: used, whole: whole, secret: secret})
	return n == used.Size()
}

// sortGoroutines puts those first that matter most: those that threads work
// for, those that wait longest, the rest by age.
func (t *taking) sortGoroutines() {
	gs := &t.goroutines
	// A goroutine takes a quarter of a kilobyte: places are sorted instead.
	type place struct {
		rank  int
		order uint64
		at    int
	}
	places := make([]place, len(gs.all))
	for i := range gs.all {
		g := &gs.all[i]
		now := place{4, g.ID, i}
		switch {
		case gs.thread[g.Addr] != nil || g.Status == goroutine.Running:
			now.rank = 1
		case g.WaitSince > 0:
			now.rank, now.order = 2, uint64(g.WaitSince)
		case g.Status.Alive():
			now.rank = 3
		}
		places[i] = now
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.rank != b.rank {
			return cmp.Compare(a.rank, b.rank)
		}
		return cmp.Compare(a.order, b.order)
	})
	sorted := make([]goroutine.G, len(places))
	for i, p := range places {
		sorted[i] = gs.all[p.at]
	}
	gs.all = sorted
}

// wantGoroutine asks for a runtime.g and the used part of its stack. It
// reports whether the budget held all of that.
func (t *taking) wantGoroutine(p *program, g *goroutine.G) bool {
	size := uint64(p.layout.Size)
	if t.wantKnown(memory.RangeOf(g.Addr, size)) < size {
		return false
	}
	if g.Status == goroutine.Idle || g.Status == goroutine.Dead || t.goroutines.note.Stacks == note.StackNone {
		return true
	}
	if t.opts.Labels {
		t.wantLabels(p, g)
	}
	return t.wantStack(t.used(g), g.Stack, g.Secret)
}

// wantLabels asks for what pprof.SetGoroutineLabels gave the goroutine: since
// Go 1.24 a slice of pairs of strings.
func (t *taking) wantLabels(p *program, g *goroutine.G) {
	const oldestMinor, pair, most = 24, 4 * memory.PtrSize, 1 << 10
	if g.Labels == 0 || p.prog.Version.Minor < oldestMinor {
		return
	}
	r := memory.Reader{Memory: t.mem}
	set, err := r.Slice(g.Labels)
	if err != nil || set.Len > most {
		return
	}
	t.wantKnown(memory.RangeOf(g.Labels, 3*memory.PtrSize))
	t.wantKnown(memory.RangeOf(set.Data, set.Len*pair))
	for i := range 2 * set.Len {
		header, err := r.Bytes(set.Data.Add(i*pair/2), pair/2, pair/2)
		if err != nil {
			return
		}
		const longest = 4096
		if n := leWord(header[8:]); n <= longest {
			t.wantKnown(memory.RangeOf(memory.Address(leWord(header)), n))
		}
	}
}

// A budgetError says that the budget did not hold so many things.
type budgetError struct {
	n    int
	what string
}

var errBudget = errors.New("the budget is spent")

func (e budgetError) Error() string { return countText(e.n, e.what) + ": " + errBudget.Error() }
func (e budgetError) Unwrap() error { return errBudget }

func leWord(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
