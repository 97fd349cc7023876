package walk

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Copy is a capture's copy of a program's memory.
type Copy struct {
	// Memory has the copied bytes. Other addresses have arbitrary content.
	Memory memory.Memory

	Has      memory.Ranges // copied memory
	Holes    memory.Ranges // unreadable memory
	Torn     memory.Ranges // memory that changed while it was copied
	Redacted memory.Ranges // memory that is not, or will not be, in the core

	// Omissions and Closures are those of the walk that chose the memory to copy.
	Omissions Omissions
	Closures  Closures

	// Otherwise is the reason for memory that is missing without an omission.
	Otherwise note.Status
}

// An Omission is memory that a walk did not capture although something leads
// there.
type Omission struct {
	Addr memory.Address
	Why  note.Status
}

// Omissions are sorted by address, at most maxOmissions.
type Omissions []Omission

const maxOmissions = 1 << 20

// at returns why a walk omitted an address, 0 if it did not.
func (o Omissions) at(addr memory.Address) note.Status {
	i, _ := slices.BinarySearchFunc(o, addr, func(x Omission, addr memory.Address) int { return cmp.Compare(x.Addr, addr) })
	var why note.Status
	for ; i < len(o) && o[i].Addr == addr; i++ {
		why |= o[i].Why
	}
	return why
}

// omit records that a walk does not capture the memory at addr.
func (w *walker) omit(addr memory.Address, why note.Status) {
	if w.audit != nil || len(w.omissions) >= maxOmissions {
		return
	}
	w.omissions = append(w.omissions, Omission{addr, why})
}

// sorted returns the omissions in order, without duplicates.
func (o Omissions) sorted() Omissions {
	o = slices.Clone(o)
	slices.SortFunc(o, func(a, b Omission) int { return cmp.Or(cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.Why, b.Why)) })
	return slices.Compact(o)
}

// An audit is the graph of a copy: objects, and which of them lead to which. In
// an audit the root of an item is the node that it belongs to.
type audit struct {
	*Copy
	status []note.Status // by node: problems with its own bytes
	nodes  []node        // the first are the roots
	edges  []edge
	others map[nodeKey]int32 // further nodes at words that already have one
	slab   [][pageSize / wordBytes]uint32
}

// A node is the target of a pointer.
type node struct {
	plan uint32
	rank uint16
	kind itemKind
}

type nodeKey struct {
	addr memory.Address
	plan uint32
	kind itemKind
}

// An edge leads from a node to one that it points at or contains.
type edge struct{ from, to int32 }

// Audit follows the roots through a copy of their memory, without a depth
// limit, and returns the status of each. It finds problems that a walk cannot
// know: memory that changed after the walk visited it, and memory that another
// root was to pay for.
//
// It ignores exclusions, depths and budgets of the configuration. It visits
// each object once, however many roots lead to it, and propagates problems
// against the direction of pointers.
func Audit(ctx context.Context, cfg Config, c *Copy) ([]note.Status, error) {
	cfg.Memory, cfg.Exclusions, cfg.Budget, cfg.Arena, cfg.Moving, cfg.Lacks = c.Memory, nil, 0, nil, false, nil
	cfg.Roots = slices.Clone(cfg.Roots)
	for i := range cfg.Roots {
		cfg.Roots[i].Depth, cfg.Roots[i].Budget = Unlimited, 0
	}
	w, err := newWalker(cfg)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	n := len(cfg.Roots)
	w.audit = &audit{
		Copy: c, others: make(map[nodeKey]int32), edges: make([]edge, 0, n+len(c.Has)),
		status: make([]note.Status, n, n+len(c.Has)), nodes: make([]node, n, n+len(c.Has)),
	}
	if err := w.run(ctx); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	w.audit.spread()
	return w.audit.status[:len(cfg.Roots)], nil
}

// enter finds the node of an item, whose root is the node that leads to it, and
// makes it the item's root. It reports whether the item must be visited.
func (w *walker) enter(it *item) bool {
	from := it.root
	if it.kind == itemValues {
		w.compile(it.plan)
		if size := mul(it.count, it.plan.size); it.plan.leaf() && size <= chunkBytes {
			w.look(from, it.addr, size)
			return false
		}
	}
	fresh := true
	if it.count == 1 {
		it.root, fresh = w.nodeAt(it.addr, it.plan.id, it.rank, it.kind)
	} else { // elements have nodes
		it.root = w.audit.newNode(node{it.plan.id, it.rank, it.kind})
	}
	w.audit.lead(from, it.root)
	return fresh
}

// enterElement finds the node of an element of an item. It reports whether the
// element must be visited.
func (w *walker) enterElement(it *item, addr memory.Address) (to int32, fresh bool) {
	if it.count == 1 {
		return it.root, true
	}
	to, fresh = w.nodeAt(addr, it.plan.id, it.rank, itemValues)
	w.audit.lead(it.root, to)
	return to, fresh
}

// nodeAt returns the node of the object at addr. It reports whether none was
// visited with this rank.
func (w *walker) nodeAt(addr memory.Address, plan uint32, rank uint16, kind itemKind) (n int32, fresh bool) {
	a := w.audit
	want := node{plan, rank, kind}
	p := w.pages.at(addr)
	if p.nodes == nil {
		p.nodes = take(&a.slab, 64)
	}
	first := &p.nodes[uint64(addr)&(pageSize-1)/wordBytes]
	if *first == 0 && addr.Aligned(wordBytes) {
		n = a.newNode(want)
		*first = uint32(n) + 1
		return n, true
	}
	if n = int32(*first) - 1; n < 0 || !addr.Aligned(wordBytes) || a.nodes[n].plan != plan || a.nodes[n].kind != kind {
		key := nodeKey{addr, plan, kind}
		var met bool
		if n, met = a.others[key]; !met {
			n = a.newNode(want)
			a.others[key] = n
			return n, true
		}
	}
	if a.nodes[n].rank >= rank {
		return n, false
	}
	a.nodes[n].rank = rank
	return n, true
}

func (a *audit) newNode(n node) int32 {
	a.nodes = append(a.nodes, n)
	a.status = append(a.status, 0)
	return int32(len(a.nodes) - 1)
}

func (a *audit) lead(from, to int32) {
	if from != to {
		a.edges = append(a.edges, edge{from, to})
	}
}

// spread gives each node the statuses of all nodes that it leads to.
func (a *audit) spread() {
	var changed []int32
	for n, status := range a.status {
		if status != 0 {
			changed = append(changed, int32(n))
		}
	}
	if len(changed) == 0 {
		return
	}
	// The nodes that lead to n are leads[first[n]:first[n+1]].
	first := make([]int32, len(a.nodes)+1)
	for _, e := range a.edges {
		first[e.to+1]++
	}
	for n := range a.nodes {
		first[n+1] += first[n]
	}
	leads, next := make([]int32, len(a.edges)), slices.Clone(first)
	for _, e := range a.edges {
		leads[next[e.to]] = e.from
		next[e.to]++
	}
	for len(changed) > 0 {
		n := changed[len(changed)-1]
		changed = changed[:len(changed)-1]
		for _, from := range leads[first[n]:first[n+1]] {
			if a.status[n]&^a.status[from] != 0 {
				a.status[from] |= a.status[n]
				changed = append(changed, from)
			}
		}
	}
}

// look is capture for an audit: it returns how many bytes of a value, from the
// first one on, the copy has, and records what is missing.
func (w *walker) look(n int32, addr memory.Address, size uint64) uint64 {
	c, r := w.audit, memory.RangeOf(addr, size)
	status := &c.status[n]
	for _, part := range []struct {
		ranges memory.Ranges
		why    note.Status
	}{{c.Torn, note.Torn}, {c.Holes, note.Holes}, {c.Redacted, note.Redacted}} {
		if part.ranges.OverlapSize(r) > 0 {
			*status |= part.why
		}
	}
	if c.Has.Contains(r) {
		return size
	}
	for _, gap := range c.Has.Gaps(r) {
		if c.Redacted.Contains(gap) || c.Holes.Contains(gap) {
			continue
		}
		// The first bytes of omitted memory may be captured for another reason.
		*status |= cmp.Or(c.Omissions.at(gap.Start), c.Omissions.at(addr), c.Otherwise)
		return uint64(gap.Start.Sub(addr))
	}
	return size
}

// lacks reports whether an audit cannot judge a node's memory, because some of it is
// not in the core.
func (w *walker) lacks(n int32, r memory.Range) bool {
	return w.audit != nil && r.Size() > 0 && (w.look(n, r.Start, r.Size()) < r.Size() || w.audit.Redacted.OverlapSize(r) > 0)
}

// blank reports whether an audit must ignore the word at addr.
func (w *walker) blank(addr memory.Address) bool {
	a := w.audit
	return a != nil && (a.Redacted.Has(addr) || a.Holes.Has(addr))
}

// untyped records that a value leads to memory without a type.
func (w *walker) untyped(n int32) {
	w.sawUntyped = true
	if w.audit != nil {
		w.audit.status[n] |= note.Untyped
	}
}
