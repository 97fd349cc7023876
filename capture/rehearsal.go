package capture

import (
	"context"
	"slices"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// rehearsalMost is how long a rehearsal may take: what is not known by then has
// to be found out while the program is held.
const rehearsalMost = 250 * time.Millisecond

// rehearsedMost is how much memory is read in a rehearsal, and set aside after
// it: a capture of more takes its time anyway.
const rehearsedMost = 64 << 20

// rehearse reads the program once while it runs, for nothing but what it leaves
// behind: types that are known, memory of this process that is in use and of the
// right size, code that is loaded. The second time, with the program held, takes
// a fraction of the first.
//
// It returns how many bytes the image needs, and some more.
func (t *taking) rehearse(p *program, static *plan) uint64 {
	ctx, cancel := context.WithTimeout(t.ctx, rehearsalMost)
	defer cancel()
	r := *t
	r.ctx = ctx
	r.opts.Progress = func(Progress) {}
	r.summary = Summary{}
	r.arena = &memory.Arena{}
	r.image.left = min(r.image.left, rehearsedMost)
	r.unstoppedThreads()
	pl := static.clone()
	_, _ = r.read(p, &pl, true) // what fails now may go well in earnest
	return r.arena.Taken() + r.arena.Taken()/8
}

func (pl *plan) clone() plan {
	return plan{slices.Clone(pl.regions), slices.Clone(pl.exclusions), slices.Clone(pl.rules), pl.doubt}
}
