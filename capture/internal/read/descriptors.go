package read

import (
	"cmp"
	"slices"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Limits for descriptors: each takes time while the program is stopped.
const (
	maxPolled = 20_000 // goroutines
	maxLinks  = 2_000  // descriptors of which the kernel is asked
)

// readDescriptors finds the descriptors for which goroutines wait. It omits those that it
// does not find, or that others wait for by now.
func readDescriptors(gs *goroutines) {
	var polled []*goroutine.G
	for i := range gs.all {
		g := &gs.all[i]
		if g.Status == goroutine.Waiting && g.Stack.Contains(g.Sched.SP) && g.State(gs.program.Runtime.Version) == goroutine.PollState && len(polled) < maxPolled {
			polled = append(polled, g)
		}
	}
	slices.SortFunc(polled, func(a, b *goroutine.G) int { return cmp.Compare(a.Sched.SP, b.Sched.SP) })
	ends := make([]memory.Range, len(polled))
	for i, g := range polled {
		ends[i] = memory.RangeOf(g.Sched.SP, min(goroutine.PollStack, uint64(g.Stack.End-g.Sched.SP)))
	}
	stacks, _, err := memory.Gather(gs.mem, ends, 0, nil, nil)
	if err != nil {
		return
	}
	type candidate struct {
		addr memory.Address
		g    *goroutine.G
	}
	var candidates []candidate
	var pieces []memory.Piece
	for i, g := range polled {
		for _, addr := range goroutine.Polls(stacks[i]) {
			candidates = append(candidates, candidate{addr, g})
			pieces = append(pieces, memory.Piece{Addr: addr, Data: make([]byte, goroutine.PollSize)})
		}
	}
	if memory.ReadBatch(gs.mem, pieces) != nil {
		return
	}
	links := map[uint64]string{}
	for i, c := range candidates {
		fd, write, ok := c.g.Polled(pieces[i].Data[:pieces[i].N])
		if !ok {
			continue
		}
		if _, known := links[fd]; !known && len(links) < maxLinks && !gs.plan.Strict {
			links[fd] = gs.program.Source.Descriptor(int(fd))
		}
		wait := note.Wait{Goroutine: c.g.ID, Object: uint64(c.addr), Flags: note.WaitDescriptor, Elem: links[fd], Len: fd}
		if write {
			wait.Flags |= note.WaitSend
		}
		gs.out.Waits = append(gs.out.Waits, wait)
	}
}

// WithDescriptors returns the snapshot with the names of descriptors. They need no stopped
// program: the kernel gives no socket the number of one that was closed a moment ago.
func WithDescriptors(s *model.Snapshot, p *locate.Program) *model.Snapshot {
	if !slices.ContainsFunc(s.Goroutines.Waits, func(w note.Wait) bool { return w.Flags&note.WaitDescriptor != 0 && w.Elem != "" }) {
		return s
	}
	names := p.Source.Sockets()
	out := *s
	out.Goroutines.Waits = slices.Clone(s.Goroutines.Waits)
	for i := range out.Goroutines.Waits {
		if w := &out.Goroutines.Waits[i]; w.Flags&note.WaitDescriptor != 0 {
			w.Elem = names.Name(w.Elem)
		}
	}
	return &out
}
