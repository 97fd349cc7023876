package heap

import (
	"cmp"
	"slices"
)

// A Holding is what one root keeps alive.
type Holding struct {
	Root Root

	// Objects and Bytes are what this root reaches and no root before it: each
	// object counts once.
	Objects, Bytes uint64

	// RetainedObjects and Retained are what this root reaches and no other one:
	// what would be garbage without it.
	RetainedObjects, Retained uint64
}

// Holdings are what the roots of a program keep alive.
type Holdings struct {
	Roots []Holding // in the order of the graph's roots

	// Reached is what all roots reach; Shared is what more than one reaches.
	Reached, ReachedBytes uint64
	Shared, SharedBytes   uint64

	// Garbage is what no root reaches and was allocated since the last collection,
	// which did not see it. Unknown is what no root reaches but the last
	// collection kept: it has become garbage since, or it is held by a root that
	// is not known.
	Garbage, GarbageBytes uint64
	Unknown, UnknownBytes uint64
}

// shared marks an object in a labels that more than one root reaches. The rest of a
// label is the number of its first root plus 1, 0 for an object that none reaches.
const shared = 1 << 31

// labels returns for each object the first root that reaches it, and whether another
// one does.
func (g *Graph) labels() []uint32 {
	if g.label == nil {
		g.label = g.makeLabels()
	}
	return g.label
}

// makeLabels computes the labels.
//
// The first pass takes one root after the other, and visits each object once. An
// object is then shared if an edge into it comes from an object, or a root, of
// another label; what a shared object reaches is shared too. So each edge is
// followed three times at most, and there is no need for a tree of dominators: the
// roots are what is removed, one at a time, and nothing else.
func (g *Graph) makeLabels() []uint32 {
	labels := make([]uint32, g.slots)
	for slot, root := range g.sole {
		labels[slot] = root + 1
	}
	// A stack does not take more than it is given at once: memory that is not
	// touched is not taken.
	stack := make([]uint32, 0, g.Totals.Objects+1)
	for i := 0; i < len(g.into); {
		label := g.into[i].root + 1
		for ; i < len(g.into) && g.into[i].root+1 == label; i++ {
			if slot := g.into[i].slot; g.begins(slot, labels, label) {
				labels[slot] = label
				stack = g.spread(append(stack, slot), labels)
			}
		}
	}
	stack = stack[:0]
	for _, e := range g.into {
		if l := labels[e.slot]; l != 0 && l != e.root+1 && l&shared == 0 && !g.isSole(e.slot) {
			labels[e.slot] |= shared
			stack = append(stack, e.slot)
		}
	}
	for from := range uint32(len(g.edges.first)) {
		label := labels[from]
		if label == 0 || label&shared != 0 {
			continue
		}
		for _, e := range g.edges.of(from) {
			to := e &^ lastEdge
			if l := labels[to]; l != label && l&shared == 0 && g.live.has(to) && !g.isSole(to) {
				labels[to] |= shared
				stack = append(stack, to)
			}
			if e&lastEdge != 0 {
				break
			}
		}
	}
	for len(stack) > 0 {
		from := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, e := range g.edges.of(from) {
			to := e &^ lastEdge
			if l := labels[to]; l != 0 && l&shared == 0 && !g.isSole(to) {
				labels[to] |= shared
				stack = append(stack, to)
			}
			if e&lastEdge != 0 {
				break
			}
		}
	}
	return labels
}

// begins reports whether a root begins a walk at an object: at one that has no label
// yet, or that is its own.
func (g *Graph) begins(slot uint32, labels []uint32, label uint32) bool {
	if root, ok := g.sole[slot]; ok {
		return root+1 == label
	}
	return labels[slot] == 0 && g.live.has(slot)
}

// isSole reports whether an object has one root that counts.
func (g *Graph) isSole(slot uint32) bool { return g.only.has(slot) }

// spread gives the label of each object on the stack to all that it reaches.
func (g *Graph) spread(stack []uint32, labels []uint32) []uint32 {
	for len(stack) > 0 {
		from := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		label := labels[from]
		for _, e := range g.edges.of(from) {
			to := e &^ lastEdge
			// Pointers to free slots are left in dead words: they count for nothing.
			if labels[to] == 0 && g.live.has(to) {
				labels[to] = label
				stack = append(stack, to)
			}
			if e&lastEdge != 0 {
				break
			}
		}
	}
	return stack
}

// Holdings computes what each root keeps alive.
func (g *Graph) Holdings() *Holdings {
	labels := g.labels()
	h := &Holdings{Roots: make([]Holding, len(g.Roots))}
	for i := range g.Roots {
		h.Roots[i].Root = g.Roots[i]
	}
	for i := range g.spans {
		s := &g.spans[i]
		for slot := s.first; slot < s.first+s.nelems; slot++ {
			if !g.live.has(slot) {
				continue
			}
			label := labels[slot]
			if label == 0 {
				if g.marked.has(slot) {
					h.Unknown++
					h.UnknownBytes += s.elem
				} else {
					h.Garbage++
					h.GarbageBytes += s.elem
				}
				continue
			}
			h.Reached++
			h.ReachedBytes += s.elem
			r := &h.Roots[label&^shared-1]
			r.Objects++
			r.Bytes += s.elem
			if label&shared != 0 {
				h.Shared++
				h.SharedBytes += s.elem
			} else {
				r.RetainedObjects++
				r.Retained += s.elem
			}
		}
	}
	return h
}

// ByRetained returns the roots that hold anything, and all entries, those that
// retain most first.
func (h *Holdings) ByRetained() []Holding {
	out := slices.DeleteFunc(slices.Clone(h.Roots), func(r Holding) bool { return r.Objects == 0 && r.Root.Kind != Entry })
	slices.SortStableFunc(out, func(a, b Holding) int {
		return cmp.Or(cmp.Compare(b.Retained, a.Retained), cmp.Compare(b.Bytes, a.Bytes))
	})
	return out
}
