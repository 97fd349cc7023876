package heap

// A dominatorTree has for each object what it would take with it: the objects that
// can be reached through it only.
//
// Nodes are numbered in the order in which a depth-first walk from the roots meets
// them. Number 0 is not used, 1 is a node above all roots, which follow as they are
// met, with their objects.
type dominatorTree struct {
	number []uint32 // by slot: the number of its node, 0 if no root reaches it
	vertex []uint32 // by number: its slot, or the number of its root with rootNode set
	idom   []uint32 // by number: its immediate dominator, whose number is lower
}

// rootNode marks the number of a root; slots are below it.
const rootNode = 1 << 31

// topNode is the node above all roots.
const topNode = 1

// dominators makes the tree by the algorithm SEMI-NCA (Georgiadis, Tarjan, Werneck:
// Finding Dominators in Practice). It takes the edges of the graph: none are left
// when it returns.
func (g *Graph) dominators() *dominatorTree {
	d := &dominatorTree{}
	parent := d.walk(g)
	first, preds := d.predecessors(g)
	g.edges = edgeList{} // the predecessors take their place
	n := uint32(len(d.vertex))
	semi, label, ancestor := make([]uint32, n), make([]uint32, n), make([]uint32, n)
	for i := range semi {
		semi[i], label[i] = uint32(i), uint32(i)
	}
	var path []uint32
	// eval returns the node with the least semidominator on the way from v up to
	// the root of its tree in the forest of those that are linked, and makes the way
	// shorter.
	eval := func(v uint32) uint32 {
		if ancestor[v] == 0 {
			return label[v]
		}
		for u := v; ancestor[ancestor[u]] != 0; u = ancestor[u] {
			path = append(path, u)
		}
		for ; len(path) > 0; path = path[:len(path)-1] {
			u := path[len(path)-1]
			a := ancestor[u]
			if semi[label[a]] < semi[label[u]] {
				label[u] = label[a]
			}
			ancestor[u] = ancestor[a]
		}
		return label[v]
	}
	for w := n - 1; w > topNode; w-- {
		s := parent[w]
		for _, v := range preds[first[w]:first[w+1]] {
			u := v
			if v > w {
				u = semi[eval(v)]
			}
			s = min(s, u)
		}
		semi[w] = s
		ancestor[w] = parent[w]
	}
	d.idom = parent
	for w := uint32(topNode + 1); w < n; w++ {
		for d.idom[w] > semi[w] {
			d.idom[w] = d.idom[d.idom[w]]
		}
	}
	return d
}

// walk numbers the nodes and returns the parent of each in the walk.
func (d *dominatorTree) walk(g *Graph) (parent []uint32) {
	nodes := g.Totals.Objects + uint64(len(g.Roots)) + 2
	d.number = make([]uint32, g.slots)
	d.vertex = make([]uint32, topNode+1, nodes)
	parent = make([]uint32, topNode+1, nodes)
	visit := func(vertex, from uint32) uint32 {
		d.vertex = append(d.vertex, vertex)
		parent = append(parent, from)
		return uint32(len(d.vertex) - 1)
	}
	type place struct{ node, at uint32 } // at is the place of the next edge
	var stack []place
	enter := func(slot, from uint32) {
		d.number[slot] = visit(slot, from)
		if slot < g.scan && g.edges.first[slot] != noEdge {
			stack = append(stack, place{d.number[slot], g.edges.first[slot]})
		}
	}
	for i := 0; i < len(g.into); {
		root := g.into[i].root
		node := visit(root|rootNode, topNode)
		for ; i < len(g.into) && g.into[i].root == root; i++ {
			if slot := g.into[i].slot; d.number[slot] == 0 && g.follows(root, slot) {
				enter(slot, node)
			}
			for len(stack) > 0 {
				top := &stack[len(stack)-1]
				e := g.edges.blocks[top.at>>blockShift][top.at&(blockSize-1)]
				node := top.node
				if top.at++; e&lastEdge != 0 {
					stack = stack[:len(stack)-1]
				}
				if to := e &^ lastEdge; d.number[to] == 0 && g.live.has(to) && !g.isSole(to) {
					enter(to, node)
				}
			}
		}
	}
	return parent
}

// follows reports whether an edge from a root to an object counts.
func (g *Graph) follows(root, slot uint32) bool {
	owner, sole := g.sole[slot]
	return g.live.has(slot) && (!sole || owner == root)
}

// predecessors returns the numbers of the nodes with an edge to each node w, at
// first[w] to first[w+1] in preds.
func (d *dominatorTree) predecessors(g *Graph) (first, preds []uint32) {
	nodeOf := make(map[uint32]uint32, len(g.Roots))
	each := func(f func(from, to uint32)) {
		for v := uint32(topNode + 1); v < uint32(len(d.vertex)); v++ {
			x := d.vertex[v]
			if x&rootNode != 0 {
				nodeOf[x&^rootNode] = v
				f(topNode, v)
				continue
			}
			for _, e := range g.edges.of(x) {
				if to := e &^ lastEdge; d.number[to] != 0 && !g.isSole(to) {
					f(v, d.number[to])
				}
				if e&lastEdge != 0 {
					break
				}
			}
		}
		for _, e := range g.into {
			if d.number[e.slot] != 0 && g.follows(e.root, e.slot) {
				f(nodeOf[e.root], d.number[e.slot])
			}
		}
	}
	n := len(d.vertex)
	first = make([]uint32, n+1)
	each(func(_, to uint32) { first[to]++ })
	sum := uint32(0)
	for i, c := range first {
		first[i] = sum
		sum += c
	}
	preds = make([]uint32, sum)
	each(func(from, to uint32) {
		preds[first[to]] = from
		first[to]++
	})
	copy(first[1:], first[:n])
	first[0] = 0
	return first, preds
}

// retained returns the bytes of each node with all that it dominates.
func (d *dominatorTree) retained(g *Graph) []uint64 {
	size := make([]uint64, len(d.vertex))
	for i := range g.spans {
		s := &g.spans[i]
		for slot := s.first; slot < s.first+s.nelems; slot++ {
			if n := d.number[slot]; n != 0 {
				size[n] = s.elem
			}
		}
	}
	for w := len(size) - 1; w > topNode; w-- {
		size[d.idom[w]] += size[w]
	}
	return size
}
