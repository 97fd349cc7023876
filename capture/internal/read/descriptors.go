package read

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Limits for descriptors: each takes time while the program is stopped.
const (
	maxPolled = 20_000 // goroutines
	maxLinks  = 2_000  // descriptors of which the kernel is asked while the program is stopped
)

// A poll is a goroutine that waits for a descriptor, and a place where the runtime's record
// of that may be.
type poll struct {
	g    *goroutine.G
	desc memory.Address
}

// A polledLink is a descriptor that a rehearsal has met, and the kernel's link of it.
type polledLink struct {
	fd, seq uint64
	link    string
}

// links has what a rehearsal has found out: where the record of each goroutine is, and the
// links by record. They are of use as long as the records are the same.
type links struct {
	desc map[memory.Address]memory.Address
	of   map[memory.Address]polledLink
}

// readDescriptors finds the descriptors for which goroutines wait. It omits those that it
// does not find, or that others wait for by now.
func readDescriptors(gs *goroutines) {
	known := gs.rehearsal.links()
	d := descriptors{goroutines: gs, known: known.of, asked: map[uint64]string{}}
	list := polled(gs)
	d.found = links{make(map[memory.Address]memory.Address, len(list)), map[memory.Address]polledLink{}}
	gs.out.Waits = slices.Grow(gs.out.Waits, len(list))
	polls := make([]poll, 0, len(list))
	var search []*goroutine.G
	for _, g := range list {
		if desc := known.desc[g.Addr]; desc != 0 {
			polls = append(polls, poll{g, desc})
		} else {
			search = append(search, g)
		}
	}
	d.add(polls)
	for _, p := range polls {
		if d.found.desc[p.g.Addr] == 0 {
			search = append(search, p.g)
		}
	}
	d.add(pollsOnStacks(gs, search))
	gs.rehearsal.keepLinks(d.found)
	d.addSystemCalls()
}

// descriptors is one reading of them.
type descriptors struct {
	*goroutines
	known map[memory.Address]polledLink
	found links
	asked map[uint64]string // links that the kernel gave

	callLinks int // links for which system calls asked
}

// polled returns the goroutines that wait for a descriptor.
func polled(gs *goroutines) (list []*goroutine.G) {
	for i := range gs.all {
		g := &gs.all[i]
		if g.Status == goroutine.Waiting && g.Stack.Contains(g.Sched.SP) && g.State(gs.program.Runtime.Version) == goroutine.PollState && len(list) < maxPolled {
			list = append(list, g)
		}
	}
	return list
}

// pollsOnStacks returns where the stacks of goroutines refer to records.
func pollsOnStacks(gs *goroutines, list []*goroutine.G) (polls []poll) {
	slices.SortFunc(list, func(a, b *goroutine.G) int { return cmp.Compare(a.Sched.SP, b.Sched.SP) })
	var ends []memory.Range
	var of []*goroutine.G
	for _, g := range list {
		end := memory.RangeOf(g.Sched.SP, min(goroutine.PollStack, uint64(g.Stack.End-g.Sched.SP)))
		if n := len(ends); n == 0 || ends[n-1].End <= end.Start { // two of a damaged core may overlap
			ends, of = append(ends, end), append(of, g)
		}
	}
	stacks, _, err := memory.Gather(gs.mem, ends, 0, nil, nil)
	if err != nil {
		return nil
	}
	for i, g := range of {
		for _, desc := range g.Polls(stacks[i]) {
			polls = append(polls, poll{g, desc})
		}
	}
	return polls
}

// add adds the waits of goroutines whose records are there.
func (d *descriptors) add(polls []poll) {
	slices.SortStableFunc(polls, func(a, b poll) int { return a.desc.Compare(b.desc) })
	records := make([]memory.Range, 0, len(polls))
	of := make([]int, len(polls)) // indexes in records
	for i, p := range polls {
		if n := len(records); n == 0 || records[n-1].End <= p.desc {
			records = append(records, memory.RangeOf(p.desc, goroutine.PollSize))
		} else if records[n-1].Start != p.desc {
			of[i] = -1 // no record overlaps another
			continue
		}
		of[i] = len(records) - 1
	}
	const near = 512 // the runtime allocates blocks of them
	data, holes, err := memory.Gather(d.mem, records, near, d.rehearsal.temporary(), nil)
	if err != nil {
		return
	}
	unreadable := memory.RangesOf(holes...)
	for i, p := range polls {
		if of[i] < 0 || d.found.desc[p.g.Addr] != 0 || unreadable.OverlapSize(records[of[i]]) > 0 {
			continue
		}
		polled, ok := p.g.Polled(data[of[i]])
		if !ok {
			continue
		}
		link := d.link(p.desc, polled)
		d.found.desc[p.g.Addr] = p.desc
		if d.rehearsal.rehearses() {
			d.found.of[p.desc] = polledLink{polled.FD, polled.Seq, link}
		}
		wait := note.Wait{Goroutine: p.g.ID, Object: uint64(p.desc), Flags: note.WaitDescriptor, Elem: link, Len: polled.FD}
		if polled.Write {
			wait.Flags |= note.WaitSend
		}
		d.out.Waits = append(d.out.Waits, wait)
	}
}

// link returns the kernel's link of a descriptor, "" if it is not known.
func (d *descriptors) link(desc memory.Address, p goroutine.Polled) string {
	if k, ok := d.known[desc]; ok && k.fd == p.FD && k.seq == p.Seq {
		return k.link
	}
	return d.ask(p.FD)
}

// ask asks the kernel for the link of a descriptor.
func (d *descriptors) ask(fd uint64) string {
	link, asked := d.asked[fd]
	runs := !d.held.Still || d.rehearsal.rehearses()
	if !asked && (runs || len(d.asked) < maxLinks) && !d.plan.Strict {
		link = d.program.Source.Descriptor(int(fd))
		d.asked[fd] = link
	}
	return link
}

// WithDescriptors returns the snapshot with the names of descriptors. They need no stopped
// program: the kernel gives no socket the number of one that was closed a moment ago, and a file is
// asked for by its path.
func WithDescriptors(s *model.Snapshot, p *locate.Program) *model.Snapshot {
	const named = note.WaitDescriptor | note.WaitSystemCall
	if !slices.ContainsFunc(s.Goroutines.Waits, func(w note.Wait) bool { return w.Flags&named != 0 && w.Elem != "" }) {
		return s
	}
	n := namer{source: p.Source, names: sync.OnceValue(p.Source.Names), began: time.Now(), files: map[string]string{}}
	out := *s
	out.Goroutines.Waits = slices.Clone(s.Goroutines.Waits)
	for i := range out.Goroutines.Waits {
		switch w := &out.Goroutines.Waits[i]; {
		case w.Flags&note.WaitSystemCall != 0:
			if call, link, ok := strings.Cut(w.Elem, callSeparator); ok {
				w.Elem = call + callSeparator + n.name(int(w.Len), link)
			}
		case w.Flags&note.WaitDescriptor != 0:
			w.Elem = n.name(int(w.Len), w.Elem)
		}
	}
	return &out
}

// A namer names links.
type namer struct {
	source locate.Source
	names  func() *process.Names
	began  time.Time
	files  map[string]string // links of files by the kernel's
}

// maxNaming bounds the time for the links of files.
const maxNaming = 200 * time.Millisecond

// name returns what the descriptor with a link is. Of a file, the core has no path.
func (n *namer) name(fd int, link string) string {
	if strings.HasPrefix(link, "/") {
		file, asked := n.files[link]
		if !asked && time.Since(n.began) < maxNaming {
			file = n.source.File(fd, link)
			n.files[link] = file
		}
		if file != "" {
			link = file
		}
	}
	return n.names().Name(link)
}
