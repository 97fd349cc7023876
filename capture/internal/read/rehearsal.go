package read

import (
	"context"
	"time"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/walk"
)

// A Rehearsal is what one reading of a running process leaves for the first one
// of the same process while it is stopped: known types, loaded code, allocated
// memory of the right size, and, unless the program has exclusions, the walk
// itself. A reading after it takes a fraction of the time.
type Rehearsal struct {
	walk  *walk.Rehearsal // nil if the walk must start again
	arena *memory.Arena   // that the reading uses
	made  bool            // the next reading is not a rehearsal
	rest  uint64          // bytes that the walk did not need to read
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
	r := &Rehearsal{arena: new(memory.Arena)}
	// What fails now may succeed in the real reading.
	_, _, _ = once(ctx, p, pl, pretend, nothing, r, func(string, uint64, uint64) {})
	r.made = true
	size := r.arena.Taken() + r.rest
	r.arena = memory.NewArena(size + size/8)
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
