package walk

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
)

// A Rehearsal is a walk through a running program. A later walk through the
// same program, now stopped, can reuse it: it reads the same pages again and
// follows only the values on changed pages, and what they newly lead to. So the
// program is stopped for little longer than a copy of the pages takes.
//
// Objects that have become garbage in between stay captured. If much has
// changed, the walk starts again.
type Rehearsal struct {
	w       *walker
	scratch []byte // for pages that are read again
}

const refreshed = 64 // pages at a time: they stay in the processor's cache until they are compared

// maxChanged is the largest part of all items that may change: one in so many.
const maxChanged = 20

// maxDoubts bounds the items of a rehearsal that are repeated in any case.
const maxDoubts = 64 << 10

// A rehearsed is a walker's record of a rehearsal.
type rehearsed struct {
	items  [][]queued // the completed items
	doubts []queued   // those of them that may differ although none of their pages changes
	doing  *queued    // nil before the first item
	failed bool       // the doubtful items are unknown
}

// Rehearse walks through a running program. The configuration must have no
// exclusions: what they cover must be found in one walk.
func Rehearse(ctx context.Context, cfg Config) (*Rehearsal, *Result, error) {
	cfg.Moving, cfg.Arena = true, nil
	if len(cfg.Exclusions) > 0 {
		return nil, nil, fmt.Errorf("rehearse: %d exclusions", len(cfg.Exclusions))
	}
	w, err := newWalker(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("rehearse: %w", err)
	}
	w.rehearsed = &rehearsed{}
	if err := w.run(ctx); err != nil {
		return nil, nil, fmt.Errorf("rehearse: %w", err)
	}
	return &Rehearsal{w, make([]byte, refreshed*pageSize)}, w.result(), nil
}

// Walk is the function [Walk] for the rehearsed program, which must now be
// stopped. It reuses what it can of the rehearsal, which is used up. With a nil
// Rehearsal it reuses nothing.
func (r *Rehearsal) Walk(ctx context.Context, cfg Config) (*Result, error) {
	if r == nil || r.w == nil {
		return Walk(ctx, cfg)
	}
	w, re := r.w, r.w.rehearsed
	r.w, w.rehearsed = nil, nil
	order, ok := w.resume(re, cfg)
	if !ok {
		return Walk(ctx, cfg)
	}
	changed, err := w.pages.refresh(r.scratch)
	if err != nil {
		return nil, fmt.Errorf("walk: reading memory: %w", err)
	}
	items, all := w.changed(re, changed)
	if len(items) > all/maxChanged {
		return Walk(ctx, cfg)
	}
	for i := range items {
		w.redo(&items[i])
	}
	if err := w.rounds(ctx); err != nil {
		return nil, fmt.Errorf("walk: %w", err)
	}
	if w.bounded() || w.failed() {
		// Garbage may have consumed a budget, and may have been overwritten.
		return Walk(ctx, cfg)
	}
	w.reorder(order)
	w.stats.Rehearsed = true
	return w.result(), nil
}

// bounded reports whether a bound limited the walk.
func (w *walker) bounded() bool {
	return w.stats.Stopped != "" || slices.ContainsFunc(w.roots, func(r rootState) bool { return r.Cut })
}

// failed reports whether a value could not be followed.
func (w *walker) failed() bool {
	return slices.ContainsFunc(w.roots, func(r rootState) bool { return r.Failures > 0 })
}

// resume prepares a walker that has rehearsed for a walk as cfg describes. It
// returns the index of each root of cfg among its own. It reports false if it
// cannot.
func (w *walker) resume(re *rehearsed, cfg Config) (order []int, ok bool) {
	spent := uint64(0)
	for i := range w.roots {
		spent += w.roots[i].Bytes
	}
	if w.bounded() || re.failed || cfg.Moving || len(cfg.Exclusions) > 0 || spent > orUnlimited(cfg.Budget) {
		return nil, false
	}
	w.left = orUnlimited(cfg.Budget) - spent
	w.cfg.Memory, w.cfg.Moving, w.cfg.Arena, w.cfg.Lacks, w.cfg.Object = cfg.Memory, false, cfg.Arena, cfg.Lacks, cfg.Object
	w.pages.mem, w.pages.moving, w.pages.arena, w.pages.data = cfg.Memory, false, cfg.Arena, nil
	w.writing, w.lastPlan = nil, nil
	// An invalid value may have been read during a write.
	for addr, p := range w.byType {
		if p == nil {
			delete(w.byType, addr)
		}
	}
	for key, p := range w.itabs {
		if p == nil {
			delete(w.itabs, key)
		}
	}
	for i := range w.roots {
		w.roots[i].RootResult = RootResult{Bytes: w.roots[i].Bytes}
	}
	return w.adopt(cfg.Roots), true
}

// adopt finds each root among the walker's own, and queues those that are new. The order
// is nil if they are the same.
func (w *walker) adopt(roots []Root) (order []int) {
	if slices.Equal(roots, w.cfg.Roots) {
		return nil
	}
	known := make(map[Root]int, len(w.cfg.Roots))
	for i, root := range w.cfg.Roots {
		known[root] = i
	}
	w.cfg.Roots = slices.Clone(w.cfg.Roots)
	for _, root := range roots {
		i, ok := known[root]
		if !ok {
			i = len(w.roots)
			known[root] = i
			w.cfg.Roots = append(w.cfg.Roots, root)
			w.roots = append(w.roots, rootState{left: orUnlimited(root.Budget)})
			w.pushRoot(i)
		}
		order = append(order, i)
	}
	return order
}

// reorder sorts the roots into that order.
func (w *walker) reorder(order []int) {
	if order == nil {
		return
	}
	roots, states := make([]Root, len(order)), make([]rootState, len(order))
	for to, from := range order {
		roots[to], states[to] = w.cfg.Roots[from], w.roots[from]
	}
	w.cfg.Roots, w.roots = roots, states
}

// changed returns the completed items that may now lead elsewhere, and the
// number of all completed items.
func (w *walker) changed(re *rehearsed, pages []*page) (items []queued, all int) {
	items = re.doubts
	set := pageSet(pages)
	for _, block := range re.items {
		all += len(block)
		for i := range block {
			if start, size := w.extent(&block[i]); size > 0 && set.touch(start, size) {
				items = append(items, block[i])
			}
		}
	}
	return items, all
}

// extent returns the memory that determines where an item leads. It is empty if
// there is none: bytes without pointers.
func (w *walker) extent(q *queued) (start memory.Address, size uint64) {
	p := w.numbered[q.plan]
	switch q.kind {
	case itemValues:
		p, n := flat(p, q.count)
		if p.leaf() {
			return q.addr, 0
		}
		return q.addr, n * p.size
	case itemMap:
		size = goobject.MapHeaderSize
	case itemTable:
		size = goobject.TableSize
	case itemDirectory:
		size = min(q.count, chunkBytes/wordBytes) * wordBytes
	case itemGroups, itemBuckets:
		if p.m != nil {
			size = min(q.count, max(chunkBytes/p.m.group.size, 1)) * p.m.group.size
		}
	case itemClosure:
		size = guessBytes
	case itemWeak:
		size = wordBytes
	case itemTrie:
		size = max(p.size, goobject.TrieEntrySize)
	case itemChan:
		size = w.chans.Size
	case itemGuess:
	}
	return q.addr, size
}

// flat returns the elements of values of p, if these are arrays, and how many
// of them one round visits.
func flat(p *typePlan, count uint64) (elem *typePlan, n uint64) {
	for p.array != nil {
		count, p = mul(count, p.length), p.array
	}
	if p.size == 0 {
		return p, 0
	}
	return p, min(count, max(chunkBytes/p.size, 1))
}

// redo queues a completed item, as far as one round processes it: the rest of a
// large one is an item too.
func (w *walker) redo(q *queued) {
	again := *q
	step := uint64(0)
	switch p := w.numbered[q.plan]; q.kind {
	case itemValues:
		elem, n := flat(p, q.count)
		again.plan, again.count, step = elem.id, n, elem.size
	case itemDirectory:
		again.count = min(q.count, chunkBytes/wordBytes)
	case itemGroups, itemBuckets:
		if p.m != nil {
			step = p.m.group.size
			again.count = min(q.count, max(chunkBytes/step, 1))
		}
	}
	for i := range again.count {
		addr := q.addr.Add(i * step)
		if p := w.pages.find(addr); p != nil && p.marks != nil {
			p.marks[(uint64(addr)&(pageSize-1))/wordBytes] = 0
		}
		if step == 0 {
			break
		}
	}
	it := item{again.addr, w.numbered[again.plan], again.count, again.root, again.rank, again.kind}
	w.want(&it)
	w.next.push(&it)
}

// doubt records that the current item may lead elsewhere although none of its
// bytes changes.
func (w *walker) doubt() {
	switch re := w.rehearsed; {
	case re == nil:
	case re.doing == nil, len(re.doubts) == maxDoubts: // a root that is not in memory
		re.failed = true
	default:
		re.doubts = append(re.doubts, *re.doing)
	}
}

// refresh reads all pages again, because they were read while they changed, and
// returns those that differ now.
func (s *pages) refresh(scratch []byte) (changed []*page, err error) {
	all := make([]*page, 0, s.held)
	for _, p := range s.table {
		switch {
		case p == nil || p.state == pageUnread && p.data == nil:
		case p.data == nil: // part or all of it could not be read
			p.state = pageUnread
			changed = append(changed, p)
		default:
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *page) int { return cmp.Compare(a.num, b.num) })
	pieces := make([]memory.Piece, 0, refreshed)
	for batch := range slices.Chunk(all, refreshed) {
		pieces = pieces[:0]
		for i, p := range batch {
			data := scratch[i*pageSize : (i+1)*pageSize]
			if i > 0 && batch[i-1].num+1 == p.num {
				last := &pieces[len(pieces)-1]
				last.Data = last.Data[:len(last.Data)+pageSize]
				continue
			}
			pieces = append(pieces, memory.Piece{Addr: memory.Address(p.num << pageShift), Data: data})
		}
		if err := memory.ReadBatch(s.mem, pieces); err != nil {
			return nil, err
		}
		i := 0
		for _, piece := range pieces {
			for off := 0; off < len(piece.Data); off += pageSize {
				p := batch[i]
				i++
				switch {
				case off+pageSize > piece.N:
					p.data, p.state = nil, pageUnread
					s.held--
				case bytes.Equal(p.data[:], piece.Data[off:off+pageSize]):
					continue
				default:
					now := (*[pageSize]byte)(piece.Data[off:])
					same := !p.differs(now)
					*p.data = *now
					if same {
						continue
					}
				}
				changed = append(changed, p)
			}
		}
	}
	return changed, nil
}

// differs reports whether a captured byte of a page has changed. Other bytes do
// not matter: Go's collector keeps its marks among the objects of a page.
func (p *page) differs(now *[pageSize]byte) bool {
	if p.full {
		return true
	}
	if p.captured == nil {
		return false
	}
	for i, bits := range p.captured {
		a, b := p.data[i*64:i*64+64], now[i*64:i*64+64]
		if bits == 0 || bytes.Equal(a, b) {
			continue
		}
		for k := range a {
			if a[k] != b[k] && bits>>k&1 != 0 {
				return true
			}
		}
	}
	return false
}

// A pageFilter quickly rules out most pages that are not in a small set.
type pageFilter struct {
	maybe [1 << 12]uint64 // a bit for each value of hash
	pages map[uint64]struct{}
}

func pageSet(pages []*page) *pageFilter {
	f := &pageFilter{pages: make(map[uint64]struct{}, len(pages))}
	for _, p := range pages {
		h := pageHash(p.num)
		f.maybe[h>>6] |= 1 << (h & 63)
		f.pages[p.num] = struct{}{}
	}
	return f
}

func pageHash(num uint64) uint64 { return num * 0x9e3779b97f4a7c15 >> (64 - 18) }

// touch reports whether one of the pages has a byte of a range.
func (f *pageFilter) touch(start memory.Address, size uint64) bool {
	last := uint64(start.Add(size-1)) >> pageShift
	for num := uint64(start) >> pageShift; num <= last; num++ {
		if h := pageHash(num); f.maybe[h>>6]&(1<<(h&63)) != 0 {
			if _, ok := f.pages[num]; ok {
				return true
			}
		}
	}
	return false
}
