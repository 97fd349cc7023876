// Package read reads a program according to a plan, while something holds it.
//
// Each reading depends only on the program and the plan. If a reading is not of
// one moment, the next one starts again.
package read

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Progress function is called now and then with the number of bytes done, of
// total.
type Progress func(step string, done, total uint64)

// A SizeFunc bounds the size of the core file that is made of a snapshot, if
// its image has these ranges, or parts of them, in up to pieces more pieces.
type SizeFunc func(s *model.Snapshot, pl *model.Plan, ranges memory.Ranges, pieces int) uint64

// Consistent reads the program until the reading is of one moment. It reads
// again if a map was caught in the middle of a write, or if memory that an
// excluded value refers to was replaced during the read; a moment later that
// has usually ended. If the latter continues, the last reading takes no value
// that may contain the same memory. It uses size to find out what fits into the
// budget.
func Consistent(ctx context.Context, p *locate.Program, pl *model.Plan, hold Hold, size SizeFunc, rehearsal *Rehearsal, progress Progress) (*model.Snapshot, error) {
	const tries = 3
	var stopped time.Duration
	var problems model.Problems
	for n := 1; ; n++ {
		if n > tries {
			pl = pl.WithDoubt()
		}
		s, final, err := once(ctx, p, pl, hold, size, rehearsal, progress)
		if err != nil {
			return nil, err
		}
		stopped += s.Stopped
		moved := s.Changed.Excluded > 0
		if !moved && (final || !s.Changed.Map || n >= tries) {
			s.Stopped = stopped
			s.Problems = append(problems, s.Problems...)
			return s, nil
		}
		if moved && n == tries {
			problems.Missing("exclusions", errMoved)
		}
		time.Sleep(time.Millisecond)
	}
}

// errMoved reports a program that was not stopped and kept changing.
var errMoved = errors.New("what excluded values hold was replaced each time it was read, so that no value was taken that may hold the same; hold the program still")

// A reading is one reading in progress.
type reading struct {
	program   *locate.Program
	plan      *model.Plan // including run-time registrations
	mem       memory.Memory
	maps      []process.Mapping
	held      *Held
	rehearsal *Rehearsal // nil if there was none, or it is used up
	queue     queue
	found     *walk.Result // result of the walk, nil if there was none
	objects   objects
	progress  Progress

	image func() model.Image // makes the image of the copied memory

	snapshot model.Snapshot // the result
}

// once makes one reading. It reports whether another one would give the same
// result, because the program is not running.
func once(ctx context.Context, p *locate.Program, pl *model.Plan, hold Hold, size SizeFunc, rehearsal *Rehearsal, progress Progress) (s *model.Snapshot, final bool, err error) {
	held, err := hold(ctx)
	if err != nil {
		return nil, false, err
	}
	r := &reading{
		program: p, mem: p.Source.Memory(), maps: p.Maps, held: held, rehearsal: rehearsal, progress: progress,
	}
	r.snapshot.Identity, r.snapshot.Threads, r.snapshot.Still = p.Identity, held.Threads, held.Still
	rehearsal.lend(r)
	err = r.read(ctx, pl, size)
	if err == nil && held.check != nil {
		err = held.check(ctx)
	}
	r.snapshot.Stopped = held.Release()
	rehearsal.keep(r)
	if err != nil {
		return nil, false, err
	}
	rehearsal.measure(r, size)
	if r.queue.unsized && r.size(size) > r.plan.Budget {
		stopped := r.snapshot.Stopped
		if s, final, err = once(ctx, p, pl, hold, size, nil, progress); err == nil {
			s.Stopped += stopped
		}
		return s, final, err
	}
	r.snapshot.Image = r.image()
	r.snapshot.Goroutines.Known = knownWords(&r.snapshot, r.found)
	r.snapshot.Problems = append(held.Problems, r.snapshot.Problems...)
	return &r.snapshot, held.Final, nil
}

// read queues the memory that the plan's steps request, and reads it.
func (r *reading) read(ctx context.Context, pl *model.Plan, size SizeFunc) error {
	// The program may have mapped more memory since it was located.
	if maps, err := r.program.Source.Maps(); err == nil {
		r.maps = maps
	}
	r.snapshot.Maps = r.maps
	var problems model.Problems
	r.plan, problems = r.rehearsal.registry(r.program, r.mem).AddTo(pl)
	r.snapshot.Problems = append(r.snapshot.Problems, problems...)
	r.snapshot.Goroutines.Note.Stacks = r.plan.StackKind()
	r.snapshot.Redaction.Secret = strings.Contains(r.program.Runtime.Version.Experiments, "runtimesecret") // until they are read
	if r.plan.Guarded() && r.plan.StackKind() == note.StackFull {
		r.snapshot.Problems.Mention("stacks", "the program has exclusions, and full stacks were asked for: excluded values in local variables are in the core",
			"capture with --stacks=skeleton")
	}
	tags, err := tagsOf(r.program, r.mem)
	if err != nil {
		r.snapshot.Problems.Missing("tags", err)
	}
	r.snapshot.Tags = tags
	r.snapshot.Counters = r.program.Runtime.Counters.Read(r.mem)
	if err := r.queueWithin(ctx, size); err != nil {
		return err
	}
	if cut := &r.snapshot.Goroutines.Cut; len(*cut) > 0 { // one for each stack, for the size
		*cut = outerCalls(r)
	}
	r.snapshot.Redaction.Excluded = r.excluded()
	r.snapshot.Tags = withoutExcluded(r.snapshot.Tags, r.snapshot.Redaction.Excluded)
	c := copier{records: r.queue.records, mem: r.mem, moving: !r.held.Still, found: r.found, arena: r.rehearsal.memory(), progress: r.progress}
	if r.rehearsal.skips(r.found) {
		c.found = nil
	}
	var waits sync.WaitGroup
	if r.queue.waits != nil {
		waits.Go(r.queue.waits)
	}
	r.image, err = c.copy(r.queue.ranges)
	waits.Wait()
	if err != nil {
		return err
	}
	if !r.held.Still && !r.plan.Doubt {
		r.snapshot.Changed.Excluded, err = r.snapshot.Redaction.Redactor.Moved(r.mem)
	}
	return err
}

// queueWithin queues the memory that the plan's steps request, so that the core
// file is within the budget: the size of headers, notes and borders is known
// only afterwards. If it is too much, it queues less, from the start. If the rehearsal
// needed far less than the budget, the size is compared after the program was released.
func (r *reading) queueWithin(ctx context.Context, size SizeFunc) error {
	// The first attempts are in proportion to the one before. Later ones each use
	// half of the budget of the one before, because the program is held all the
	// time.
	const proportional = 4
	budget := r.plan.Budget
	if fixed, fits := r.rehearsal.fits(budget); fits && !r.held.Final {
		r.queue.left, r.queue.unsized = budget-fixed, r.rehearsal.made
		err := r.queueSteps(ctx)
		r.queue.ranges = memory.RangesOf(r.queue.wanted...)
		return err
	}
	fixed := size(&r.snapshot, r.plan, nil, 0)
	left := max(budget, fixed+1) - fixed
	for n := 1; ; n++ {
		attempt := *r
		attempt.queue.left = left
		if err := attempt.queueSteps(ctx); err != nil {
			return err
		}
		total := attempt.size(size)
		switch spent := left - attempt.queue.left; {
		case total <= budget:
			*r = attempt
			return nil
		case left == 1:
			return &model.InputError{Err: fmt.Errorf("write a core of at most %d bytes: the smallest core of this program has %d: raise --budget", budget, total)}
		default:
			less := lessOf(spent, budget-min(budget, fixed), total-fixed)
			if n > proportional {
				less = max(min(less, left/2), 1)
			}
			left = less
		}
	}
}

// size bounds the size of the core file for the queued memory and the memory
// that the walk has captured. Listing a million objects takes time: if whole
// pages fit into the budget, they are enough.
func (r *reading) size(size SizeFunc) uint64 {
	r.queue.ranges = memory.RangesOf(r.queue.wanted...)
	ranges := r.queue.ranges.Union(memory.RangesOf(r.queue.records.ranges...))
	if r.found == nil {
		return size(&r.snapshot, r.plan, ranges, 0)
	}
	if !r.plan.Guarded() { // otherwise redacted memory counts too
		if total := size(&r.snapshot, r.plan, ranges.Union(r.found.Pages()), r.found.Count()); total <= r.plan.Budget {
			return total
		}
	}
	return size(&r.snapshot, r.plan, ranges.Union(r.found.Captured()), 0)
}

// lessOf returns the budget to use instead of spent, if that made a file of
// total bytes but room is the maximum.
func lessOf(spent, room, total uint64) uint64 {
	less := uint64(float64(spent) * float64(room) / float64(total))
	return max(less-less/64, 1)
}

// queueCells queues the variables that lead to the list of goroutines, whatever
// the budget: with the fill pattern there, Delve would iterate over that many
// goroutines. A strict core has their number alone.
func (r *reading) queueCells() {
	if cells := r.program.Runtime.Cells; r.program.Runtime.CellsErr == nil {
		wanted := []memory.Address{cells.Len, cells.Ptr}
		if r.plan.Strict {
			wanted = wanted[:1]
		}
		for _, cell := range wanted {
			own := memory.RangeOf(cell, memory.PtrSize)
			r.queue.wanted, r.queue.trusted = append(r.queue.wanted, own), append(r.queue.trusted, own)
		}
	}
}

// queueSteps queues the memory that the plan's steps request, in their order.
func (r *reading) queueSteps(ctx context.Context) error {
	r.queueCells()
	for _, step := range r.plan.Steps {
		if err := r.step(ctx, step); err != nil {
			return err
		}
	}
	r.snapshot.Redaction.Redactor.Allow(r.queue.trusted)
	return nil
}

func (r *reading) step(ctx context.Context, step model.Step) error {
	switch step {
	case model.StepRegions:
		r.progress("walk", 0, 0)
		return r.queueRegions(ctx)
	case model.StepTypes:
		r.queueTypes()
	case model.StepLoader:
		r.queueLoader()
	case model.StepGoroutines:
		r.progress("goroutines", 0, 0)
		r.queueGoroutines()
	case model.StepRuntime:
		r.queueRuntime()
	case model.StepStacks:
		r.queueMiddles()
	case model.StepHeaders:
		r.queueHeaders()
	case model.StepPackageData:
		r.queuePackageData()
	}
	return nil
}

// A queue lists what a reading must copy, within the budget.
type queue struct {
	wanted  []memory.Range
	trusted []memory.Range // the part of wanted that no exclusion can cover
	stacks  []deepStack    // stacks whose ends are in wanted
	left    uint64         // rest of the budget
	ranges  memory.Ranges  // wanted, once queueing is complete
	unsized bool           // it was not compared with the budget
	regions []model.Result // to fill
	waits   func()         // to run while the queue is copied: reads what goroutines wait for; or nil

	records records // of goroutines, if they need not be read again; not in wanted
}

// records are the records of goroutines, by address, with their bytes.
type records struct {
	ranges []memory.Range
	data   [][]byte
}

// pieces returns them as parts of an image.
func (r records) pieces() iter.Seq[model.Piece] {
	return func(yield func(model.Piece) bool) {
		for i, at := range r.ranges {
			if !yield(model.Piece{Range: at, Data: r.data[i]}) {
				return
			}
		}
	}
}

// add queues a range. If the budget is not enough for all of it, it queues the
// first bytes and returns their number. Overlapping ranges are paid for twice.
func (q *queue) add(r memory.Range) (granted uint64) {
	n := min(r.Size(), q.left)
	if n == 0 {
		return 0
	}
	q.left -= n
	q.wanted = append(q.wanted, memory.RangeOf(r.Start, n))
	return n
}

// grow makes room for n more ranges.
func (q *queue) grow(n int) {
	q.wanted, q.trusted = slices.Grow(q.wanted, n), slices.Grow(q.trusted, n)
}

// addRecord queues the record of a goroutine, which need not be wanted if records has it.
func (q *queue) addRecord(r memory.Range) (granted uint64) {
	if len(q.records.ranges) == 0 || q.left < r.Size() {
		return q.addTrusted(r)
	}
	q.left -= r.Size()
	q.trusted = append(q.trusted, r)
	return r.Size()
}

// addTrusted queues memory that belongs to the runtime, or of which build
// decides word by word what stays.
func (q *queue) addTrusted(r memory.Range) (granted uint64) {
	n := q.add(r)
	if n > 0 {
		q.trusted = append(q.trusted, memory.RangeOf(r.Start, n))
	}
	return n
}

// A budgetError reports the number of things that did not fit into the budget.
type budgetError struct {
	n    int
	what string
}

var errBudget = errors.New("the budget is spent")

func (e budgetError) Error() string { return countText(e.n, e.what) + ": " + errBudget.Error() }
func (e budgetError) Unwrap() error { return errBudget }

func countText(n int, what string) string {
	if n == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	return fmt.Sprintf("%d %s", n, what)
}
