// Package walk follows the values of a Go program from annotated variables
// through its memory and returns the bytes that a capture must copy.
//
// It works breadth first: every root gets its own bytes before any gets depth,
// and big values are captured in chunks, so that under a budget every root gets
// something. It trusts only what it has checked: package gotypes validates
// types, and slice headers, map tables, channel buffers and itabs are
// cross-checked with their types. A failed check stops at that value, with a
// record. Corrupt memory costs a bounded time and a bounded amount of memory,
// and never causes a panic.
//
// Exclusions are found on the way. What they cover is never followed; it goes
// into the Redactor, which the writer of a core applies to every byte that it
// is about to write.
package walk

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Walk walks. It fails only if the configuration is invalid, if ctx ends, or if
// the memory as a whole is unreadable; the Result reports everything else.
func Walk(ctx context.Context, cfg Config) (*Result, error) {
	w, err := newWalker(cfg)
	if err != nil {
		return nil, fmt.Errorf("walk: %w", err)
	}
	if err := w.run(ctx); err != nil {
		return nil, fmt.Errorf("walk: %w", err)
	}
	return w.result(), nil
}

// Ranks determine what is done with a value. Rank 0 is nothing; shadow means
// that the value is searched for exclusions and not captured; from own on its
// bytes are captured, and rank minus own pointers are followed from it.
const (
	shadow uint16 = 1
	own    uint16 = 2
)

const (
	shortBytes   = 256      // strings up to this size are checked before they are queued
	chunkBytes   = 64 << 10 // of one value in one round
	defaultSteps = 64 << 20
	defaultPages = 512 << 10
	heldPages    = 64 << 10  // pages in memory: 256 MiB
	maxQueue     = 8 << 20   // items
	maxShadows   = 4 << 20   // values looked at for exclusions alone
	lowest       = pageSize  // the first page contains no values
	maxRecords   = 16        // per root
	probeBytes   = 256 << 10 // values without pointers of at least this size are probed before they are trusted
)

type walker struct {
	cfg   Config
	pages *pages
	roots []rootState
	left  uint64 // remaining total budget

	next queue // the next round

	plans    map[*gotypes.Type]*typePlan
	raws     map[*gotypes.Type]*typePlan  // as if nothing were excluded
	byType   map[memory.Address]*typePlan // dynamic types, by the address of their descriptor
	itabs    map[itabKey]*typePlan
	lastType memory.Address
	lastPlan *typePlan
	numbered []*typePlan // by their ids
	text     *typePlan
	timer    *typePlan // of what the runtime records of a timer
	code     memory.Ranges
	image    memory.Ranges
	chans    goobject.ChanLayout

	types     []*gotypes.Type
	funcs     map[memory.Address]struct{}
	facts     []memory.Range
	writing   []memory.Address
	ex        *excluder
	stats     Stats
	audit     *audit     // nil in a walk that captures
	rehearsed *rehearsed // nil if no other walk reuses this one
	omissions Omissions

	sawUntyped bool // a value may lead to memory without a type
	closures   Closures

	effort  int // pages of values, counted on each visit
	shadows int
}

type rootState struct {
	RootResult
	left uint64
}

func newWalker(cfg Config) (*walker, error) {
	if cfg.Memory == nil || cfg.Types == nil {
		return nil, fmt.Errorf("no memory or no types to walk")
	}
	if cfg.Steps <= 0 {
		cfg.Steps = defaultSteps
	}
	if cfg.Pages <= 0 {
		cfg.Pages = defaultPages
	}
	w := &walker{
		cfg:      cfg,
		pages:    newPages(cfg.Memory, heldPages, cfg.Pages, cfg.Arena),
		left:     orUnlimited(cfg.Budget),
		closures: Closures{},
		plans:    make(map[*gotypes.Type]*typePlan),
		raws:     make(map[*gotypes.Type]*typePlan),
		chans:    goobject.ChanLayoutOf(cfg.Version),
		code:     memory.RangesOf(cfg.Text...),
		image:    memory.RangesOf(cfg.Image...),
		numbered: make([]*typePlan, 1), // no plan has number 0
		byType:   make(map[memory.Address]*typePlan),
		funcs:    make(map[memory.Address]struct{}),
		itabs:    make(map[itabKey]*typePlan),
	}
	w.pages.moving = cfg.Moving
	for i := range cfg.Exclusions {
		if err := cfg.Exclusions[i].check(); err != nil {
			return nil, err
		}
	}
	w.ex = newExcluder(w, cfg.Exclusions)
	w.roots = make([]rootState, len(cfg.Roots))
	for i, root := range cfg.Roots {
		if root.Type == nil {
			return nil, fmt.Errorf("root %q has no type", root.Name)
		}
		w.roots[i].left = orUnlimited(root.Budget)
	}
	return w, nil
}

func orUnlimited(budget uint64) uint64 {
	if budget == 0 {
		return 1 << 62
	}
	return budget
}

func (w *walker) run(ctx context.Context) error {
	w.ex.begin()
	for i := range w.cfg.Roots {
		w.pushRoot(i)
	}
	return w.rounds(ctx)
}

// rounds processes the queue, and what that adds to it.
func (w *walker) rounds(ctx context.Context) error {
	for w.next.count > 0 {
		if err := w.pages.prefetch(); err != nil {
			return fmt.Errorf("reading memory: %w", err)
		}
		w.stats.Rounds++
		blocks := w.next.take()
		for n, block := range blocks {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			for i := range block {
				if why := w.exhausted(); why != "" {
					w.stop(append(blocks[n+1:], block[i:]), why)
					return nil
				}
				q := &block[i]
				if w.rehearsed != nil {
					w.rehearsed.doing = q
				}
				w.do(&item{q.addr, w.numbered[q.plan], q.count, q.root, q.rank, q.kind})
			}
			if w.rehearsed != nil {
				w.rehearsed.items = append(w.rehearsed.items, block)
			} else {
				w.next.release(block)
			}
		}
	}
	return nil
}

// exhausted returns the bound of the walk that was reached.
func (w *walker) exhausted() string {
	switch {
	case w.stats.Values+w.effort > w.cfg.Steps:
		return fmt.Sprintf("%d values and pages were looked at", w.cfg.Steps)
	case w.pages.count > w.cfg.Pages:
		return fmt.Sprintf("%d pages were met", w.cfg.Pages)
	case len(w.numbered) >= maxPlans:
		return fmt.Sprintf("%d types were met", maxPlans)
	}
	return ""
}

// stop ends the walk: roots with work left are cut.
func (w *walker) stop(rest [][]queued, why string) {
	w.stats.Stopped = why
	for _, block := range append(rest, w.next.take()...) {
		for i := range block {
			w.cut(block[i].root, block[i].rank, block[i].addr)
		}
	}
}

func (w *walker) do(it *item) {
	switch it.kind {
	case itemValues:
		w.values(it)
	case itemMap:
		w.mapHeader(it)
	case itemDirectory:
		w.mapDirectory(it)
	case itemTable:
		w.mapTable(it)
	case itemGroups, itemBuckets:
		w.mapGroups(it)
	case itemChan:
		w.channel(it)
	case itemClosure:
		w.closure(it)
	case itemWeak:
		w.weak(it)
	case itemTrie:
		w.trieNode(it)
	case itemGuess:
		w.guess(it, guessBytes)
	}
}

// push queues the target of a pointer of a value with this rank.
func (w *walker) push(it item) {
	if it.rank == 0 || it.count == 0 {
		return
	}
	if it.addr < lowest || it.addr >= goobject.AddressSpace {
		w.record(it.root, it.rank, BadPointer, it.addr, it.plan)
		return
	}
	if w.next.count >= maxQueue {
		w.cut(it.root, it.rank, it.addr)
		return
	}
	if w.audit != nil {
		if w.enter(&it) {
			w.want(&it)
			w.next.push(&it)
		}
		return
	}
	if it.rank == shadow {
		if it.kind == itemValues && it.plan.leaf() {
			return
		}
		if w.shadows++; w.shadows > maxShadows {
			w.ex.missed(it.rank)
			return
		}
	}
	if w.cfg.Starts && it.rank >= own {
		w.pages.begin(it.addr)
	}
	if it.kind == itemValues {
		switch {
		case it.plan.leaf(): // many values share the same string
			if size := mul(it.count, it.plan.size); size <= shortBytes && w.pages.fresh(it.addr, size) == 0 {
				return
			}
		case it.count == 1 && w.pages.at(it.addr).visited(it.addr, it.plan.id, it.rank):
			return
		}
	}
	w.want(&it)
	w.next.push(&it)
}

// cut records that a bound of the walk prevented following a value.
func (w *walker) cut(root int32, rank uint16, addr memory.Address) {
	switch {
	case w.audit != nil:
		w.audit.status[root] |= note.Unsupported // not everything was visited
	case rank >= own:
		w.roots[root].Cut = true
		w.omit(addr, note.Budget)
	}
	w.ex.missed(rank)
}

// want asks for the pages of an item that the next round will look at.
func (w *walker) want(it *item) {
	each := uint64(128) // more than any header has
	switch it.kind {
	case itemValues:
		each = it.plan.size
	case itemGroups, itemBuckets:
		each = it.plan.m.group.size
	case itemDirectory:
		each = wordBytes
	}
	size := min(mul(it.count, each), chunkBytes)
	if it.sparse() {
		w.pages.want(it.addr.Add(size-1), 1)
		return
	}
	w.pages.want(it.addr, size)
}

// again queues the rest of an item for the next round.
func (w *walker) again(it item) {
	if w.next.count >= maxQueue {
		w.cut(it.root, it.rank, it.addr)
		return
	}
	w.want(&it)
	w.next.push(&it)
}

// mul multiplies untrusted sizes.
func mul(a, b uint64) uint64 {
	if b != 0 && a > 1<<62/b {
		return 1 << 62
	}
	return a * b
}

// capture captures the bytes of a value for a root and returns how many of
// them, from the first one on, the budgets allow.
func (w *walker) capture(root int32, addr memory.Address, size uint64) uint64 {
	if w.audit != nil {
		return w.look(root, addr, size)
	}
	r := &w.roots[root]
	allowed := size
	if most := min(r.left, w.left); size > most {
		// Bytes that other roots already captured are free; the first byte that must
		// be paid for and cannot be ends it.
		if allowed = w.pages.affordable(addr, size, most); allowed < size {
			r.Cut = true
			w.omit(addr.Add(allowed), note.Budget)
		}
	}
	fresh := w.pages.capture(addr, allowed)
	r.left -= fresh
	w.left -= fresh
	r.Bytes += fresh
	return allowed
}

func (w *walker) result() *Result {
	res := &Result{
		Facts:   memory.RangesOf(w.facts...),
		Types:   w.types,
		Writing: w.writing,
		Funcs:   slices.Sorted(maps.Keys(w.funcs)),
		Stats:   w.stats,
		Seen:    w.pages,
		pages:   w.pages,

		Omissions: w.omissions.sorted(),
		Closures:  w.closures,
	}
	res.Stats.Pages, res.Stats.Read = w.pages.count, w.pages.reads
	res.Redactor = w.ex.finish(res)
	res.Roots = make([]RootResult, len(w.roots))
	for i := range w.roots {
		res.Roots[i] = w.roots[i].RootResult
		root := &w.cfg.Roots[i]
		extent := memory.RangeOf(root.Addr, rootBytes(root))
		res.Roots[i].finalizeState(res.Redactor.Ranges.OverlapSize(extent), extent.Size())
	}
	res.Faultless = !w.sawUntyped && len(w.omissions) == 0 && !w.ex.active && w.stats.Stopped == "" &&
		!slices.ContainsFunc(res.Roots, func(r RootResult) bool { return r.State != Complete || r.Status != 0 || r.Failures > 0 })
	return res
}
