package heap

import (
	"math/rand/v2"
	"testing"
)

// randomGraph returns a graph of up to 60 objects and a few roots, some of which
// share what they reach, point at free slots, or are the only owner of an object.
func randomGraph(r *rand.Rand) *Graph {
	n := uint32(1 + r.IntN(60))
	g := &Graph{sole: map[uint32]uint32{}}
	g.spans = []span{
		{base: 1 << 20, size: pageSize, elem: 64, nelems: n, first: 0},
		{base: 2 << 20, size: pageSize, elem: 32, nelems: n, first: n, class: 1},
	}
	if err := g.number(); err != nil {
		panic(err) // there are few
	}
	g.only = newBitset(g.slots)
	g.edges.first = make([]uint32, n)
	for slot := range g.slots {
		if r.IntN(10) > 0 {
			g.live.set(slot)
			g.Totals.Objects++
		}
		if r.IntN(2) > 0 {
			g.marked.set(slot)
		}
	}
	var block []uint32
	number := g.edges.add(nil)
	for slot := range n {
		g.edges.first[slot] = noEdge
		count := r.IntN(4)
		if !g.live.has(slot) || count == 0 {
			continue
		}
		g.edges.first[slot] = number<<blockShift | uint32(len(block))
		for range count {
			block = append(block, uint32(r.IntN(int(g.slots))))
		}
		block[len(block)-1] |= lastEdge
	}
	g.edges.replace(number, block)
	for root := range uint32(1 + r.IntN(6)) {
		g.Roots = append(g.Roots, Root{Name: string(rune('a' + root))})
		for range r.IntN(4) {
			slot := uint32(r.IntN(int(g.slots)))
			if _, taken := g.sole[slot]; !taken && g.live.has(slot) && r.IntN(8) == 0 {
				g.sole[slot] = root
				g.only.set(slot)
			}
			g.into = append(g.into, rootEdge{root, slot, nowhere})
		}
	}
	return g
}

// reach marks what the roots but for one reach, one step at a time.
func (g *Graph) reach(without int) map[uint32]bool {
	reached := map[uint32]bool{}
	var visit func(root int, slot uint32)
	visit = func(root int, slot uint32) {
		if owner, ok := g.sole[slot]; ok && (root < 0 || owner != uint32(root)) {
			return
		}
		if reached[slot] || !g.live.has(slot) {
			return
		}
		reached[slot] = true
		for _, e := range g.edges.of(slot) {
			visit(-1, e&^lastEdge)
			if e&lastEdge != 0 {
				break
			}
		}
	}
	for _, e := range g.into {
		if int(e.root) != without {
			visit(int(e.root), e.slot)
		}
	}
	return reached
}

func (g *Graph) bytes(reached map[uint32]bool) (objects, bytes uint64) {
	for slot := range reached {
		objects++
		bytes += g.sizeOf(slot)
	}
	return objects, bytes
}

// What an object takes with it is what is reached no longer when the object is
// removed and everything is counted again.
func TestDominatorsAgainstRecount(t *testing.T) {
	for seed := range uint64(2000) {
		g := randomGraph(rand.New(rand.NewPCG(seed, 0)))
		objects, _ := g.bytes(g.reach(-1))
		_, all := g.bytes(g.reach(-1))
		holdings := g.Holdings()
		want := map[uint32]uint64{}
		for slot := range g.slots {
			if !g.live.has(slot) || !g.reach(-1)[slot] {
				continue
			}
			word := &g.live[slot/64]
			*word &^= 1 << (slot % 64)
			_, left := g.bytes(g.reach(-1))
			*word |= 1 << (slot % 64)
			want[slot] = all - left
		}
		d := g.dominators()
		size := d.retained(g)
		if uint64(len(want)) != objects {
			t.Fatalf("seed %d: %d of %d objects", seed, len(want), objects)
		}
		for slot := range g.slots {
			n := d.number[slot]
			switch {
			case n == 0 && want[slot] != 0:
				t.Fatalf("seed %d: object %d has no node", seed, slot)
			case n != 0 && size[n] != want[slot]:
				t.Fatalf("seed %d: object %d takes %d bytes with it, want %d", seed, slot, size[n], want[slot])
			}
		}
		for n, v := range d.vertex {
			if root := v &^ rootNode; v&rootNode != 0 && size[n] != holdings.Roots[root].Retained {
				t.Fatalf("seed %d: root %d retains %d bytes, want %d", seed, root, size[n], holdings.Roots[root].Retained)
			}
		}
	}
}

// What a root retains is what is reached no longer when the root is removed and
// everything is counted again.
func TestHoldingsAgainstRecount(t *testing.T) {
	for seed := range uint64(5000) {
		g := randomGraph(rand.New(rand.NewPCG(seed, 0)))
		h := g.Holdings()
		objects, bytes := g.bytes(g.reach(-1))
		if h.Reached != objects || h.ReachedBytes != bytes {
			t.Fatalf("seed %d: %d objects with %d bytes are reached, want %d, %d", seed, h.Reached, h.ReachedBytes, objects, bytes)
		}
		sum, retained := uint64(0), uint64(0)
		for i, r := range h.Roots {
			o, b := g.bytes(g.reach(i))
			if r.RetainedObjects != objects-o || r.Retained != bytes-b {
				t.Fatalf("seed %d: %s retains %d objects with %d bytes, want %d, %d", seed, r.Root.Name, r.RetainedObjects, r.Retained, objects-o, bytes-b)
			}
			sum += r.Objects
			retained += r.RetainedObjects
		}
		if sum != h.Reached || retained+h.Shared != h.Reached {
			t.Fatalf("seed %d: the roots' objects are %d, %d retained and %d shared, of %d", seed, sum, retained, h.Shared, h.Reached)
		}
		if h.Reached+h.Unknown+h.Garbage != g.Totals.Objects {
			t.Fatalf("seed %d: %d reached, %d unknown, %d garbage of %d", seed, h.Reached, h.Unknown, h.Garbage, g.Totals.Objects)
		}
	}
}
