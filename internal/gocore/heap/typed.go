package heap

import (
	"math/bits"
	"slices"
	"sync"
)

// A typedGraph is what a graph needs besides its edges to know where in an object
// each of them begins, and so, with the object's type, which field it is.
type typedGraph struct {
	// words has a bit for each word of the spans whose objects may hold
	// pointers: set for those that are edges, in the order of the edges.
	words bitset
	// tagged has a bit for each word too: set for edges whose tag is known. The
	// tags follow in the order of these bits; before holds their number in front
	// of each wordsPerRank words.
	tagged bitset
	tags   [][]uint32 // by chunk
	before []uint32
	all    []uint32 // the tags of all chunks, in the place of tags

	// A tag is the number of a type or itab: that of the word in front of an
	// edge, which is the edge's type if the two are an interface.
	mu     sync.Mutex
	tagOf  map[uint64]uint32
	values []uint64 // by tag

	// headers are the types that objects carry themselves; headed reports that those
	// of some sizes begin with theirs.
	headers map[uint32]uint64 // by slot
	headed  bool
}

// noTag is the tag of an edge that follows no type.
const noTag = ^uint32(0)

const wordsPerRank = 1024

// newTypedGraph makes room for the words of all spans whose objects may hold
// pointers, and numbers them.
func newTypedGraph(o *objects, chunks int, headed bool) *typedGraph {
	words := uint64(0)
	for i := range o.spans {
		if s := &o.spans[i]; !s.noscan() {
			s.word = words
			words += s.size / 8
		}
	}
	return &typedGraph{
		words: make(bitset, words/64), tagged: make(bitset, words/64), tags: make([][]uint32, chunks),
		tagOf: map[uint64]uint32{}, headers: map[uint32]uint64{}, headed: headed,
	}
}

// note records an edge at a word of a span, which is the z-th of object. If the word
// before it is an address in the program's image, it may be the type or itab of an
// interface. It is no pointer for the collector, so the masks do not have it.
func (w *scanner) note(s *span, at uint64, object []uint64, z uint64) {
	g, bit := w.typed, s.word+at
	g.words[bit/64] |= 1 << (bit % 64)
	if z == 0 {
		return
	}
	prev := object[z-1]
	if prev < uint64(w.image.Start) || prev >= uint64(w.image.End) {
		return
	}
	tag, ok := w.tagOf[prev]
	if !ok {
		if w.tagOf == nil {
			w.tagOf = map[uint64]uint32{}
		}
		tag = g.tag(prev)
		w.tagOf[prev] = tag
	}
	g.tagged[bit/64] |= 1 << (bit % 64)
	w.tags = append(w.tags, tag)
}

// tag returns the number of a type or itab.
func (g *typedGraph) tag(value uint64) uint32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	tag, ok := g.tagOf[value]
	if !ok {
		tag = uint32(len(g.values))
		g.tagOf[value] = tag
		g.values = append(g.values, value)
	}
	return tag
}

// header records the type that an object carries.
func (w *scanner) header(slot uint32, typ uint64) {
	if g := w.typed; g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.headers[slot] = typ
	}
}

// finish orders the tags when all chunks are read.
func (g *typedGraph) finish() {
	g.all = slices.Concat(g.tags...)
	g.tags = nil
	g.before = make([]uint32, len(g.tagged)*64/wordsPerRank+1)
	count := uint32(0)
	for i, w := range g.tagged {
		if i%(wordsPerRank/64) == 0 {
			g.before[i*64/wordsPerRank] = count
		}
		count += uint32(bits.OnesCount64(w))
	}
}

// tagAt returns the tag of the edge at a word, noTag if it has none.
func (g *typedGraph) tagAt(word uint64) uint32 {
	if g.tagged[word/64]>>(word%64)&1 == 0 {
		return noTag
	}
	rank := g.before[word/wordsPerRank]
	for i := word / wordsPerRank * (wordsPerRank / 64); i < word/64; i++ {
		rank += uint32(bits.OnesCount64(g.tagged[i]))
	}
	rank += uint32(bits.OnesCount64(g.tagged[word/64] & (1<<(word%64) - 1)))
	return g.all[rank]
}
