package read

import (
	"cmp"
	"slices"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// goroutines queues the memory that debuggers and readers need for goroutines
// and threads.
type goroutines struct {
	*reading

	layout goroutine.Layout
	local  goroutine.Local
	list   goroutine.List
	all    []goroutine.G
	thread map[memory.Address]*process.Thread // by the runtime.g that it runs
	ms     map[memory.Address]goroutine.M     // met so far
	out    *model.Goroutines

	records ahead             // of threads
	sorted  []process.Mapping // by address
	stacks  []owned           // by address, made when first needed, and before the list is sorted
}

// queueGoroutines queues the threads' own stacks and the goroutines, in order
// of importance.
func (r *reading) queueGoroutines() {
	gs := &goroutines{
		reading: r, layout: r.program.Runtime.Goroutine, out: &r.snapshot.Goroutines,
		thread: map[memory.Address]*process.Thread{}, ms: map[memory.Address]goroutine.M{}, records: ahead{Memory: r.mem},
	}
	r.snapshot.Clock = r.program.Source.Clock()
	r.snapshot.Redaction.FaultAt = gs.layout.FaultAddress()
	if err := gs.readList(); err != nil {
		r.snapshot.Problems.Missing("goroutines", err)
	}
	gs.queueThreads()
	gs.sort()
	// A runtime.g and both ends of its stack, and later the middle.
	r.queue.grow(4 * len(gs.all))
	r.queue.stacks = slices.Grow(r.queue.stacks, len(gs.all))
	for i := range gs.all {
		r.queue.stacks = append(r.queue.stacks, gs.queueGoroutine(&gs.all[i]))
	}
	readWaits := func() {
		gs.readWaits()
		readDescriptors(gs)
	}
	if r.queue.unsized {
		r.queue.waits = readWaits
	} else {
		readWaits() // the size of their note counts
	}
	gs.out.All = gs.all
	gs.out.Thread = map[memory.Address]int{}
	for g, th := range gs.thread {
		gs.out.Thread[g] = th.ID
	}
}

// readList reads the list and every runtime.g.
func (gs *goroutines) readList() error {
	if err := gs.program.Runtime.CellsErr; err != nil {
		return err
	}
	cells := gs.program.Runtime.Cells
	list, err := cells.Read(gs.mem)
	if err != nil {
		return err
	}
	gs.list = list
	n := &gs.out.Note
	n.List, n.Length, n.All = uint64(list.Array), list.Len, list.Len
	n.PtrCell, n.LenCell = uint64(cells.Ptr), uint64(cells.Len)
	gs.queue.addTrusted(list.Range())
	addrs, err := list.Addrs(gs.mem)
	if err != nil {
		return err
	}
	read := gs.layout.ReadAll(gs.mem, addrs, gs.rehearsal.temporary(), gs.out.All)
	gs.all = read.All
	for i := range gs.all {
		if gs.all[i].Status.Alive() {
			gs.out.Alive++
			gs.readPanic(&gs.all[i])
		}
	}
	if read.Bad > 0 {
		gs.out.Alive += read.Bad
		return read.First
	}
	gs.snapshot.Redaction.Secret = slices.ContainsFunc(gs.all, func(g goroutine.G) bool { return g.Secret })
	if gs.held.Still && (gs.queue.unsized || gs.rehearsal.rehearses()) { // there is room for all of them
		gs.queue.records = records{read.Records, read.Data}
	}
	return nil
}

// readG reads a runtime.g. For address 0 there is none.
func (gs *goroutines) readG(addr memory.Address) (goroutine.G, bool) {
	if addr == 0 {
		return goroutine.G{}, false
	}
	b, err := gs.records.bytes(addr, uint64(gs.layout.Size))
	if err != nil {
		return goroutine.G{}, false
	}
	g, err := gs.layout.Decode(addr, b)
	return g, err == nil
}

// readM reads a runtime.m.
func readM(gs *goroutines, addr memory.Address) (goroutine.M, bool) {
	if addr == 0 {
		return goroutine.M{}, false
	}
	b, err := gs.records.bytes(addr, uint64(gs.layout.MSize))
	if err != nil {
		return goroutine.M{}, false
	}
	m, err := gs.layout.DecodeM(addr, b)
	return m, err == nil
}

// sort sorts by importance: first the goroutines that threads run, then those
// that have waited longest, the rest by age.
func (gs *goroutines) sort() {
	// A goroutine takes a quarter of a kilobyte, so sort positions instead.
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
	for i := range places {
		move(gs.all, i, func(i int) *int { return &places[i].at })
	}
}

// move moves goroutines to their places, in the cycle that begins with place i:
// at place i belongs the one that is now at from(i). A second list would take as
// long as the sorting.
func move(all []goroutine.G, i int, from func(i int) *int) {
	first, at := all[i], i
	for {
		next := *from(at)
		*from(at) = at
		if next == i {
			all[at] = first
			return
		}
		all[at], at = all[next], next
	}
}

// queueGoroutine queues a runtime.g and both ends of the used part of its
// stack.
func (gs *goroutines) queueGoroutine(g *goroutine.G) deepStack {
	s := deepStack{alive: g.Status.Alive()}
	if size := uint64(gs.layout.Size); gs.queue.addRecord(memory.RangeOf(g.Addr, size)) < size {
		s.lacks = true
		return s
	}
	if g.Status == goroutine.Idle || g.Status == goroutine.Dead || gs.out.Note.Stacks == note.StackNone {
		return s
	}
	if gs.plan.Labels {
		gs.queueLabels(g)
	}
	s.Stack = model.Stack{Used: gs.used(g), Whole: g.Stack, Secret: g.Secret}
	s.queueEnds(&gs.queue)
	return s
}

// queueStack queues a thread's stack.
func (gs *goroutines) queueStack(s model.Stack) {
	if s.Used.Empty() {
		return
	}
	s.Used.End = s.Used.Start.Add(gs.queue.addTrusted(s.Used)) // build decides which words stay
	gs.out.Stacks = append(gs.out.Stacks, s)
}

// queueLabels queues the labels that pprof.SetGoroutineLabels set: since Go
// 1.24 a slice of pairs of strings.
func (gs *goroutines) queueLabels(g *goroutine.G) {
	const oldestMinor, pair, maxLabels, maxText = 24, 4 * memory.PtrSize, 1 << 10, 4096
	if g.Labels == 0 || gs.program.Runtime.Version.Minor < oldestMinor {
		return
	}
	r := memory.Reader{Memory: gs.mem}
	set, err := r.Slice(g.Labels)
	if err != nil || set.Len > maxLabels {
		return
	}
	gs.queue.addTrusted(memory.RangeOf(g.Labels, 3*memory.PtrSize))
	gs.queue.addTrusted(memory.RangeOf(set.Data, set.Len*pair))
	for i := range 2 * set.Len {
		header, err := r.Bytes(set.Data.Add(i*pair/2), pair/2, pair/2)
		if err != nil {
			return
		}
		if n := leWord(header[8:]); n <= maxText {
			gs.queue.addTrusted(memory.RangeOf(memory.Address(leWord(header)), n))
		}
	}
}
