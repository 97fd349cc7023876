package read

import (
	"context"
	"time"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
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
	scratch *memory.Arena   // and for what it needs for a moment
	lists   lists           // of the rehearsal, for the reading to fill again
	made    bool            // the next reading is not a rehearsal
	rest    uint64          // bytes that the walk did not need to read
}

// lists are the long lists of a reading. To allocate them takes longer than to
// fill them: the system maps their memory page by page.
type lists struct {
	goroutines      []goroutine.G
	stacks          []deepStack
	parts           []model.Stack
	waits           []note.Wait
	wanted, trusted []memory.Range
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
func Rehearse(ctx context.Context, p *locate.Program, pl *model.Plan, proc *process.Process) *Rehearsal {
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
	nothing := func(*model.Snapshot, *model.Plan, memory.Ranges, int) uint64 { return 0 } // no core is made
	r := &Rehearsal{arena: new(memory.Arena), scratch: new(memory.Arena)}
	// What fails now may succeed in the real reading.
	_, _, _ = once(ctx, p, pl, pretend, nothing, r, func(string, uint64, uint64) {})
	r.made = true
	size := r.arena.Taken() + r.rest
	r.arena = memory.NewArena(size + size/8)
	size = r.scratch.Taken()
	r.scratch = memory.NewArena(size + size/8)
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

// temporary reserves memory for what a reading needs for a moment.
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
	out := &to.snapshot.Goroutines
	out.All, out.Stacks, out.Waits = l.goroutines[:0], l.parts[:0], l.waits[:0]
}

// keep keeps the lists of a rehearsal, of which the snapshot is not used.
func (r *Rehearsal) keep(from *reading) {
	if r == nil || r.made {
		return
	}
	out := &from.snapshot.Goroutines
	r.lists = lists{out.All, from.queue.stacks, out.Stacks, out.Waits, from.queue.wanted, from.queue.trusted}
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
