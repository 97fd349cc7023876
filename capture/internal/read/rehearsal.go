package read

import (
	"context"
	"time"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/capture/internal/plan"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Rehearsal is what one reading of a running process leaves for the first one
// of the same process while it is stopped: known types, loaded code, allocated
// memory of the right size, and, unless the program has exclusions, the walk
// itself. A reading after it takes a fraction of the time.
type Rehearsal struct {
	walk    *walk.Rehearsal // nil if the walk must start again
	arena   *memory.Arena   // that the reading uses for the image
	scratch *memory.Arena   // and for what else it reads
	lists   lists           // of the rehearsal, for the reading to fill again
	made    bool            // the next reading is not a rehearsal
	rest    uint64          // bytes that the walk did not need to read
	size    uint64          // of the core that the rehearsal would make
	fixed   uint64          // the part of size that does not depend on memory

	descriptors links

	registered *plan.Registry
	recorded   *memory.Recorded // what registered was made of, nil if that changed
}

// lists are the long lists of a reading. To allocate them takes longer than to
// fill them: the system maps their memory page by page.
type lists struct {
	goroutines      []goroutine.G
	stacks          []deepStack
	parts           []model.Stack
	waits           []note.Wait
	wanted, trusted []memory.Range
	regions         []model.Result
}

// Limits of a rehearsal. Facts that are unknown after that time must be found
// while the process is stopped. If the walk must start again, more memory than
// that takes its time anyway.
const (
	rehearsalTime   = 5 * time.Second
	warmUpTime      = 250 * time.Millisecond
	rehearsalMemory = 64 << 20
)

// Rehearse reads the process once while it runs.
func Rehearse(ctx context.Context, p *locate.Program, pl *model.Plan, proc *process.Process, size SizeFunc) *Rehearsal {
	limit := rehearsalTime
	if pl.Guarded() {
		limit, pl = warmUpTime, pl.WithBudget(rehearsalMemory)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pretend := func(ctx context.Context) (*Held, error) {
		h, err := Running(proc)(ctx)
		if h != nil {
			h.Still = true // changes do not matter
		}
		return h, err
	}
	r := &Rehearsal{arena: new(memory.Arena), scratch: new(memory.Arena)}
	// What fails now may succeed in the real reading.
	_, _, _ = once(ctx, p, pl, pretend, size, r, func(string, uint64, uint64) {})
	r.made = true
	need := r.arena.Taken() + r.rest
	r.arena = memory.NewArena(need + need/8)
	need = r.scratch.Taken()
	r.scratch = memory.NewArena(need + need/8)
	return r
}

// skips reports whether the found memory need not be copied: a rehearsal only
// needs its size.
func (r *Rehearsal) skips(found *walk.Result) bool {
	if r == nil || r.made || found == nil {
		return false
	}
	r.rest = found.Unread()
	return true
}

// memory reserves memory for the reading's copies.
func (r *Rehearsal) memory() *memory.Arena {
	if r == nil {
		return nil
	}
	return r.arena
}

// temporary reserves memory for what a reading needs for itself; records of goroutines
// stay until the image is made.
func (r *Rehearsal) temporary() *memory.Arena {
	if r == nil {
		return nil
	}
	return r.scratch
}

// lend gives a reading the lists of the rehearsal, once: they are part of its
// snapshot.
func (r *Rehearsal) lend(to *reading) {
	if r == nil || !r.made {
		return
	}
	l := r.lists
	r.lists = lists{}
	to.queue.stacks, to.queue.wanted, to.queue.trusted = l.stacks[:0], l.wanted[:0], l.trusted[:0]
	to.queue.regions = l.regions[:0]
	out := &to.snapshot.Goroutines
	out.All, out.Stacks, out.Waits = l.goroutines[:0], l.parts[:0], l.waits[:0]
}

// fits reports whether a core that is twice as large as that of the rehearsal is within the
// budget. It returns the part of the size that does not depend on memory.
func (r *Rehearsal) fits(budget uint64) (fixed uint64, ok bool) {
	const more = 1 << 20
	switch {
	case r == nil:
		return 0, false
	case !r.made:
		return 0, true // no core is made
	}
	return r.fixed, r.size > 0 && r.size < (budget-min(budget, more))/2
}

// registry reads what the program has registered. A reading uses the result of the
// rehearsal if the memory it was made of is the same.
func (r *Rehearsal) registry(p *locate.Program, mem memory.Memory) *plan.Registry {
	switch {
	case r == nil:
		return plan.ReadRegistry(p, mem)
	case !r.made:
		recording := memory.Recording{Memory: mem}
		r.registered = plan.ReadRegistry(p, &recording)
		r.recorded = recording.End()
		r.scratch.Take(r.recorded.Size())
	case r.recorded == nil || !r.recorded.Still(mem, r.scratch):
		return plan.ReadRegistry(p, mem)
	}
	return r.registered
}

// rehearses reports whether the current reading is the rehearsal.
func (r *Rehearsal) rehearses() bool { return r != nil && !r.made }

// links returns what the rehearsal has found out about descriptors.
func (r *Rehearsal) links() (known links) {
	if r != nil && r.made {
		known = r.descriptors
	}
	return known
}

func (r *Rehearsal) keepLinks(found links) {
	if r.rehearses() {
		r.descriptors = found
	}
}

// measure keeps the size of a rehearsal's core, unless the rehearsal's own budget cut it.
func (r *Rehearsal) measure(from *reading, size SizeFunc) {
	if r == nil || r.made {
		return
	}
	if total := from.size(size); total < from.plan.Budget/2 {
		r.fixed, r.size = size(&from.snapshot, from.plan, nil, 0), total
	}
}

// keep keeps the lists of a rehearsal, of which the snapshot is not used.
func (r *Rehearsal) keep(from *reading) {
	if r == nil || r.made {
		return
	}
	out := &from.snapshot.Goroutines
	r.lists = lists{out.All, from.queue.stacks, out.Stacks, out.Waits, from.queue.wanted, from.queue.trusted, from.snapshot.Regions}
}

// follow walks through the program. During a rehearsal it keeps the walk;
// afterwards it continues from there.
func (r *Rehearsal) follow(ctx context.Context, cfg walk.Config) (*walk.Result, error) {
	switch {
	case r == nil:
		return walk.Walk(ctx, cfg)
	case r.made:
		return r.walk.Walk(ctx, cfg)
	case len(cfg.Exclusions) > 0:
		return walk.Walk(ctx, cfg)
	}
	rehearsal, found, err := walk.Rehearse(ctx, cfg)
	r.walk = rehearsal
	return found, err
}
