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

// A Rehearsal is what one reading of a process that runs leaves for the first one
// of the same process while it is stopped: types that are known, code that is
// loaded, memory of this process that is in use and of the right size, and, unless
// the program has exclusions, the walk itself. A reading after it takes a fraction
// of the time.
type Rehearsal struct {
	walk  *walk.Rehearsal // nil if the walk must begin anew
	arena *memory.Arena   // that the reading uses
	made  bool            // what follows is no rehearsal
	rest  uint64          // bytes that the walk had no need to read
}

// Limits of a rehearsal. What is not known after the time has to be found out
// while the process is stopped. If the walk must begin anew, more memory than that
// takes its time anyway.
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
			h.Still = true // what changes does not matter
		}
		return h, err
	}
	nothing := func(*model.Snapshot, *model.Plan, memory.Ranges, int) uint64 { return 0 } // no core is made
	r := &Rehearsal{arena: new(memory.Arena)}
	// What fails now may go well in earnest.
	_, _, _ = once(ctx, p, pl, pretend, nothing, r, func(string, uint64, uint64) {})
	r.made = true
	size := r.arena.Taken() + r.rest
	r.arena = memory.NewArena(size + size/8)
	return r
}

// skips reports whether what was found need not be copied: to rehearse it is
// enough to know how much it is.
func (r *Rehearsal) skips(found *walk.Result) bool {
	if r == nil || r.made || found == nil {
		return false
	}
	r.rest = found.Unread()
	return true
}

// memory is set aside for what the reading copies.
func (r *Rehearsal) memory() *memory.Arena {
	if r == nil {
		return nil
	}
	return r.arena
}

// follow walks through the program. While the reading is rehearsed, it keeps the
// walk; afterwards it goes on from there.
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
