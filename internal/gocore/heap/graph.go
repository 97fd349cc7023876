package heap

import (
	"sync"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Graph is the heap of a program as a list of edges between its objects. It
// needs the program's memory no longer.
type Graph struct {
	Totals Totals
	Roots  []Root

	// Edges is how many pointers from object to object there are.
	Edges uint64
	// Missing is how many bytes of objects could not be read; pointers in them
	// are not in the graph.
	Missing uint64
	// Problems are parts of the roots that could not be read.
	Problems []string

	objects
	goroutines goroutines
	edges      edgeList
	into       []rootEdge        // by root
	literals   []literal         // of the data
	sole       map[uint32]uint32 // objects that one root alone counts for, and that root
	only       bitset            // the same objects
	typed      *typedGraph       // nil unless paths were asked for
	label      []uint32          // see labels; nil until they are asked for
}

// A RootKind is what sort of thing keeps objects alive.
type RootKind uint8

// The kinds, in the order in which objects that several roots reach are counted.
const (
	Entry     RootKind = iota // an annotated variable
	Global                    // any other package-level variable
	Goroutine                 // the stacks of all goroutines that began with one function
	Runtime                   // variables of the runtime
	Timers                    // that will call a function
	Pools                     // the caches of sync.Pool
	Finalizer                 // finalizers, and what objects that have one reach
	Cleanup                   // cleanups and weak handles
)

func (k RootKind) String() string {
	return [...]string{"entry", "global", "goroutine", "runtime", "timers", "pools", "finalizer", "cleanup"}[k]
}

// A Root is something outside the heap that keeps objects alive.
type Root struct {
	Kind  RootKind
	Name  string // main.sessions; of goroutines their first function
	Count int    // of goroutines, finalizers, cleanups

	global *Named // of an entry or a global with a name
}

// A rootEdge is a pointer from a root to an object.
type rootEdge struct {
	root uint32
	slot uint32
	place
}

// A place is where in the program's data a pointer is.
type place struct {
	word    uint32 // of the variable or literal that contains it, noWord if unknown
	tag     uint32 // of the interface that contains it, see typedGraph
	literal uint32 // that contains it: the number in Graph.literals plus 1, 0 for a variable
}

// nowhere is the place of a pointer of which nothing is known.
var nowhere = place{noWord, noTag, 0}

// A literal is data that the compiler placed in the program without a name: where
// the variable or literal points at it.
type literal struct {
	root uint32
	place
}

const noWord = ^uint32(0)

// An edgeList is the edges of all objects that may hold pointers. Those of one
// object are next to each other in one block; the last has its lastEdge bit set.
type edgeList struct {
	mu     sync.Mutex
	blocks [][]uint32
	first  []uint32 // by slot: number of the block and place in it, noEdge for none
}

const (
	blockShift = 16
	blockSize  = 1 << blockShift
	lastEdge   = 1 << 31
	noEdge     = ^uint32(0)
)

// of returns the edges of an object and those that follow in its block; the
// object's end at the one with the lastEdge bit. It is nil for an object without.
func (e *edgeList) of(slot uint32) []uint32 {
	if slot >= uint32(len(e.first)) {
		return nil
	}
	at := e.first[slot]
	if at == noEdge {
		return nil
	}
	return e.blocks[at>>blockShift][at&(blockSize-1):]
}

// add appends a block, and returns its number. One that is longer than blockSize
// takes several numbers: an object's edges are found by the block they begin in.
func (e *edgeList) add(block []uint32) uint32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	number := len(e.blocks)
	for first := true; first || len(block) > 0; first = false {
		e.blocks = append(e.blocks, block)
		block = block[min(len(block), blockSize):]
	}
	return uint32(number)
}

// replace sets the contents of the block with that number, which add was given
// empty.
func (e *edgeList) replace(number uint32, block []uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.blocks[number] = block
}

// A Named is a variable of the program that has a name.
type Named struct {
	memory.Range
	Name  string
	Entry bool           // annotated
	Type  memory.Address // of its runtime type, 0 if that is not known
}
