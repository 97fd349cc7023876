package heap

import (
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
)

// A Leak is a goroutine that waits for ever: no variable, and no goroutine that may still
// run, leads to what it waits for. This is the definition of the goroutine leak profile of
// Go 1.27.
type Leak struct {
	ID    uint64
	Start string // its first function
	State string
}

// parked is a goroutine that waits for objects of the heap.
type parked struct {
	Leak
	objects []uint32 // what it waits for; without any, nothing can wake it
	reach   []uint32 // what its stack leads to
}

// goroutines are those of a program, for Leaks.
type goroutines struct {
	parked  []parked
	running []uint32 // what the stacks of all others lead to
	records bitset   // the runtime's records of waits, which keep nothing alive
	unread  int      // stacks that could not be read
}

// maxCases bounds a select statement.
const maxCases = 1 << 16

// note keeps where a goroutine's stack leads to: the edges that were added to the graph.
func (r *stackReader) note(g *goroutine.G, edges []rootEdge) {
	reach := make([]uint32, len(edges))
	for i := range edges {
		reach[i] = edges[i].slot
	}
	objects, waits := r.waitsFor(g)
	if !waits {
		r.goroutines.running = append(r.goroutines.running, reach...)
		return
	}
	name := ""
	if f := r.function(g.StartPC); f != nil {
		name = f.Name
	}
	r.goroutines.parked = append(r.goroutines.parked, parked{Leak{g.ID, name, g.State(r.prog.Version)}, objects, reach})
}

// waitsFor returns the objects of which one must be used for a goroutine to go on. It
// returns false for a goroutine that may go on without: as the runtime does, for every
// reason but channels and package sync.
func (r *stackReader) waitsFor(g *goroutine.G) (objects []uint32, waits bool) {
	if g.Status != goroutine.Waiting && g.Status != goroutine.Leaked {
		return nil, false
	}
	state := strings.TrimSuffix(g.State(r.prog.Version), " (leaked)")
	switch state {
	case "select (no cases)", "chan send (nil chan)", "chan receive (nil chan)":
		return nil, true
	case "select", "chan send", "chan receive":
	case "sync.Cond.Wait", "sync.WaitGroup.Wait", "sync.Mutex.Lock", "sync.RWMutex.Lock", "sync.RWMutex.RLock":
		if g.Waiting == 0 { // before Go 1.26 the object is not known
			return nil, false
		}
	default:
		return nil, false
	}
	mem := memory.Reader{Memory: r.mem}
	read := func(addr memory.Address, size uint64) ([]byte, bool) {
		b, err := mem.Bytes(addr, size, size)
		return b, err == nil
	}
	for w, err := range goobject.ChanLayoutOf(r.prog.Version).Waits(g.Waiting, g.Addr, read, maxCases) {
		if err != nil {
			return nil, false
		}
		if slot, ok := r.slot(uint64(w.Start)); ok {
			r.goroutines.records.set(slot)
		}
		object := w.Chan
		if object == 0 {
			object = w.Elem
		}
		slot, ok := r.slot(uint64(object))
		if !ok {
			return nil, false // a variable: everything may use it
		}
		objects = append(objects, slot)
	}
	return objects, true
}

// Leaks returns the goroutines that wait for ever, by their IDs. known is false if parts of
// the program could not be read, which may lead to what a goroutine waits for.
//
// It marks what variables and goroutines that may run lead to. A goroutine that waits for a
// marked object may run too, and what its stack leads to is marked, until nothing changes.
func (g *Graph) Leaks() (leaks []Leak, known bool) {
	if g.Missing > 0 || len(g.Problems) > 0 || g.goroutines.unread > 0 {
		return nil, false
	}
	m := leakMarker{Graph: g, reached: newBitset(g.slots), wanted: newBitset(g.slots), waiters: map[uint32][]int{}, runs: make([]bool, len(g.goroutines.parked))}
	for i := range g.goroutines.parked {
		if len(g.goroutines.parked[i].objects) > 0 {
			m.left++
		}
		for _, slot := range g.goroutines.parked[i].objects {
			m.wanted.set(slot)
			m.waiters[slot] = append(m.waiters[slot], i)
		}
	}
	for _, slot := range g.goroutines.running { // they lead to little, and often to all that is waited for
		m.mark(slot)
	}
	for _, e := range g.into {
		if g.Roots[e.root].Kind != Goroutine {
			m.mark(e.slot)
		}
	}
	for i := range g.goroutines.parked {
		if !m.runs[i] {
			leaks = append(leaks, g.goroutines.parked[i].Leak)
		}
	}
	slices.SortFunc(leaks, func(a, b Leak) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return leaks, true
}

// A leakMarker marks what goroutines that may run lead to.
type leakMarker struct {
	*Graph
	reached bitset
	wanted  bitset // objects for which goroutines wait
	waiters map[uint32][]int
	runs    []bool // parked goroutines that may run
	left    int    // how many of those that wait for an object are not known to run
	todo    []uint32
}

// mark marks an object and everything that follows from it, while any goroutine may be
// found that runs.
func (m *leakMarker) mark(slot uint32) {
	m.push(slot)
	for len(m.todo) > 0 && m.left > 0 {
		from := m.todo[len(m.todo)-1]
		m.todo = m.todo[:len(m.todo)-1]
		for _, e := range m.edges.of(from) {
			m.push(e &^ lastEdge)
			if e&lastEdge != 0 {
				break
			}
		}
		if !m.wanted.has(from) {
			continue
		}
		for _, i := range m.waiters[from] {
			if m.runs[i] {
				continue
			}
			m.runs[i] = true
			m.left--
			for _, to := range m.goroutines.parked[i].reach {
				m.push(to)
			}
		}
	}
}

// push marks an object whose edges are still to be followed.
func (m *leakMarker) push(slot uint32) {
	if m.live.has(slot) && !m.reached.has(slot) && !m.goroutines.records.has(slot) {
		m.reached.set(slot)
		m.todo = append(m.todo, slot)
	}
}
