package heap

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// A Path is a Go expression that begins with a root, such as main.sessions[*].Tags,
// and the objects that it leads to. Each object is on one path: the shortest from
// the first root that reaches it. A path that comes back to a type that it has been
// to, as in a list or a tree, ends there: all nodes of a tree are on one path.
type Path struct {
	Root  int      // number of the root in the graph
	Steps []string // after the root's name: .field, [*], [key], .(type)
	Type  string   // of what it leads to, "" if that is not known

	Objects, Bytes uint64
	// ExclusiveObjects and Exclusive are those that no other root reaches.
	ExclusiveObjects, Exclusive uint64
	// Retained is what would be garbage without the objects on the path: their own
	// bytes, and of those that they dominate.
	Retained uint64
}

// Paths computes the paths to all objects that a root reaches, those that retain
// most first. The graph must have been extracted with Options.Paths; types are the
// program's. It uses the graph up: no other method may be called afterwards.
func (g *Graph) Paths(types *gotypes.Set) []Path {
	w := newPathWalker(g, types)
	w.walk(g.labels())
	w.count(g.labels())
	g.label, g.typed = nil, nil // the tree takes more memory than all of this
	d := g.dominators()
	w.retained(d, d.retained(g))
	return w.result()
}

// A layoutKind is how the memory of an object is to be read with a type.
type layoutKind uint8

const (
	untyped     layoutKind = iota
	single                 // one value of the type
	elements               // any number of values of the type, one after the other
	mapHeader              // the type is a map's; so for those that follow
	mapGroups              // groups or buckets
	mapTables              // a directory of tables
	mapTable               // a table of groups
	mapContents            // groups, or a directory: the object itself shows which
	chanHeader             // the type is a channel's
)

// A pathNode is one path, as a step from another one.
type pathNode struct {
	parent int32 // -1 for a root's own
	root   uint32
	depth  int32
	step   string
	kind   layoutKind // of the first object on the path
	typ    *gotypes.Type

	path Path
}

// A state is what is known of an object: its path, and the layout of its memory.
type state struct {
	path uint32
	kind layoutKind
	typ  *gotypes.Type
	next []uint32 // by word: the state of what it points at plus 1, or one of these
}

const (
	nextUnknown = 0
	nextDynamic = ^uint32(0) // the word is an interface's: the type decides
)

type stateKey struct {
	path uint32
	kind layoutKind
	typ  *gotypes.Type
}

type stepKey struct {
	parent uint32
	step   string
}

type dynamicKey struct {
	state, word, tag uint32
}

// A pathWalker gives each object its path.
type pathWalker struct {
	g       *Graph
	types   *gotypes.Set
	paths   []pathNode
	byStep  map[stepKey]uint32
	states  []state
	byState map[stateKey]uint32
	dynamic map[dynamicKey]uint32
	rootOf  map[uint32]uint32 // path by root
	typeOf  map[uint64]*gotypes.Type
	at      []uint32 // by slot: its state plus 1

	literals map[uint32]uint32 // state by literal
}

// Bounds of what is kept; longer paths end early.
const (
	maxPaths = 1 << 16
	maxDepth = 32
	maxWords = 1 << 9 // of an element for which the states of its words are kept
)

func newPathWalker(g *Graph, types *gotypes.Set) *pathWalker {
	return &pathWalker{
		g: g, types: types, byStep: map[stepKey]uint32{}, byState: map[stateKey]uint32{}, dynamic: map[dynamicKey]uint32{},
		rootOf: map[uint32]uint32{}, typeOf: map[uint64]*gotypes.Type{}, at: make([]uint32, g.slots),
		literals: map[uint32]uint32{},
	}
}

// typeAt returns the type at an address, nil if there is none.
func (w *pathWalker) typeAt(addr uint64) *gotypes.Type {
	t, ok := w.typeOf[addr]
	if !ok {
		t, _ = w.types.At(memory.Address(addr))
		w.typeOf[addr] = t
	}
	return t
}

// state returns the number of a state.
func (w *pathWalker) state(k stateKey) uint32 {
	n, ok := w.byState[k]
	if !ok {
		n = uint32(len(w.states))
		w.states = append(w.states, state{path: k.path, kind: k.kind, typ: k.typ})
		w.byState[k] = n
	}
	return n
}

// rootPath returns the path of a root itself.
func (w *pathWalker) rootPath(root uint32) uint32 {
	n, ok := w.rootOf[root]
	if !ok {
		n = uint32(len(w.paths))
		w.paths = append(w.paths, pathNode{parent: -1, root: root})
		w.rootOf[root] = n
	}
	return n
}

// to returns the state of an object to which a step leads from a path.
func (w *pathWalker) to(from uint32, step string, kind layoutKind, typ *gotypes.Type) uint32 {
	if step == "" {
		p := &w.paths[from]
		if p.typ == nil && p.parent < 0 {
			p.kind, p.typ = kind, typ
		}
		return w.state(stateKey{from, kind, typ})
	}
	if typ != nil && typ.Kind == gotypes.Struct {
		for p := int32(from); p >= 0; p = w.paths[p].parent {
			if w.paths[p].typ == typ && w.paths[p].kind == kind {
				return w.state(stateKey{uint32(p), kind, typ})
			}
		}
	}
	k := stepKey{from, step}
	n, ok := w.byStep[k]
	if !ok {
		parent := &w.paths[from]
		if len(w.paths) == maxPaths || parent.depth == maxDepth {
			return w.state(stateKey{from, kind, typ})
		}
		n = uint32(len(w.paths))
		w.paths = append(w.paths, pathNode{parent: int32(from), root: parent.root, depth: parent.depth + 1, step: step, kind: kind, typ: typ})
		w.byStep[k] = n
	}
	return w.state(stateKey{n, kind, typ})
}

// walk visits the objects breadth first, root by root. labels are the roots of all
// objects: a path does not lead into what counts for another root.
func (w *pathWalker) walk(labels []uint32) {
	g := w.g
	queue := make([]uint32, 0, g.Totals.Objects+1)
	for i := 0; i < len(g.into); {
		root := g.into[i].root
		queue = queue[:0]
		for ; i < len(g.into) && g.into[i].root == root; i++ {
			e := &g.into[i]
			if labels[e.slot]&^shared == root+1 && w.at[e.slot] == 0 {
				w.arrive(e.slot, w.fromRoot(e))
				queue = append(queue, e.slot)
			}
		}
		for head := 0; head < len(queue); head++ {
			queue = w.leave(queue[head], labels, root+1, queue)
		}
	}
}

// fromRoot returns the state of the object that an edge from a root leads to.
func (w *pathWalker) fromRoot(e *rootEdge) uint32 {
	return w.fromPlace(e.root, &e.place)
}

// fromPlace returns the state of what a pointer in the data points at.
func (w *pathWalker) fromPlace(root uint32, p *place) uint32 {
	path := w.rootPath(root)
	if p.literal > 0 {
		st, word := w.states[w.inLiteral(p.literal-1)], uint64(p.word)
		size := w.period(&st)
		if size == 0 || st.kind == single && word >= size {
			return w.state(stateKey{st.path, untyped, nil})
		}
		step, kind, typ, _ := w.target(&st, word%size*memory.PtrSize, p.tag)
		return w.to(st.path, step, kind, typ)
	}
	n := w.g.Roots[root].global
	if n == nil || n.Type == 0 || p.word == noWord {
		return w.state(stateKey{path, untyped, nil})
	}
	t := w.typeAt(uint64(n.Type))
	if t == nil {
		return w.state(stateKey{path, untyped, nil})
	}
	step, kind, typ := w.field(t, uint64(p.word)*memory.PtrSize, p.tag)
	return w.to(path, step, kind, typ)
}

// inLiteral returns the state of a literal.
func (w *pathWalker) inLiteral(i uint32) uint32 {
	n, ok := w.literals[i]
	if !ok {
		l := &w.g.literals[i]
		n = w.fromPlace(l.root, &l.place)
		w.literals[i] = n
	}
	return n
}

// arrive gives an object its state, as far as the object bears it out.
func (w *pathWalker) arrive(slot, number uint32) {
	g, st := w.g, &w.states[number]
	s := &g.spans[g.spanOf(slot)]
	switch {
	case st.kind == mapContents:
		// A directory begins with a pointer, a group with its control word.
		kind := mapGroups
		if !s.noscan() {
			word := s.word + uint64(slot-s.first)*(s.elem/memory.PtrSize) + g.typed.header(s)
			if g.typed.words[word/64]>>(word%64)&1 != 0 {
				kind = mapTables
			}
		}
		number = w.state(stateKey{st.path, kind, st.typ})
	case st.kind == single && !fits(st.typ.Size, s.elem) && !s.noscan():
		// The pointer is into a larger object, whose type it does not have.
		number = w.headed(slot, s, st.path)
	case st.kind == untyped:
		number = w.headed(slot, s, st.path)
	}
	w.at[slot] = number + 1
}

// fits reports whether a slot of elem bytes may have been allocated for one value.
func fits(size, elem uint64) bool { return size <= elem && elem <= size+size/4+16 }

// headed returns the state of an object that carries its type, or of one of which
// nothing is known.
func (w *pathWalker) headed(slot uint32, s *span, path uint32) uint32 {
	t := w.typeAt(w.g.typed.headers[slot])
	if t == nil {
		return w.state(stateKey{path, untyped, nil})
	}
	kind, name := single, t.String()
	if s.elem >= 2*t.Size {
		kind, name = elements, "[]"+name
	}
	return w.to(path, ".("+name+")", kind, t)
}

// leave follows an object's edges, and appends to queue what has no state yet.
func (w *pathWalker) leave(slot uint32, labels []uint32, label uint32, queue []uint32) []uint32 {
	g := w.g
	edges := g.edges.of(slot)
	if edges == nil {
		return queue
	}
	number := w.at[slot] - 1
	s := &g.spans[g.spanOf(slot)]
	first := s.word + uint64(slot-s.first)*(s.elem/memory.PtrSize)
	offset := g.typed.header(s)
	word := first
	for _, e := range edges {
		word = g.typed.next(word)
		if to := e &^ lastEdge; w.at[to] == 0 && labels[to]&^shared == label && !g.isSole(to) {
			w.arrive(to, w.follow(number, word-first-offset, word))
			queue = append(queue, to)
		}
		if e&lastEdge != 0 {
			break
		}
		word++
	}
	return queue
}

// next returns the first word from a word on that is an edge.
func (t *typedGraph) next(word uint64) uint64 {
	i := word / 64
	w := t.words[i] >> (word % 64) << (word % 64)
	for w == 0 {
		i++
		w = t.words[i]
	}
	return i*64 + uint64(bits.TrailingZeros64(w))
}

// header returns how many words an object of a span begins with that are its type.
func (t *typedGraph) header(s *span) uint64 {
	if t.headed && s.elem > headerFrom && !s.isLarge() && !s.arena {
		return 1
	}
	return 0
}

// follow returns the state of what an object in a state points at with its word.
// place is the number of that word among all.
func (w *pathWalker) follow(number uint32, word, place uint64) uint32 {
	st := &w.states[number]
	size := w.period(st)
	if size == 0 || st.kind == single && word >= size {
		return w.state(stateKey{st.path, untyped, nil})
	}
	word %= size
	if size > maxWords {
		return w.computed(number, word, place)
	}
	if st.next == nil {
		st.next = make([]uint32, size)
	}
	switch next := st.next[word]; next {
	case nextDynamic:
		return w.followInterface(number, uint32(word), w.g.typed.tagAt(place))
	case nextUnknown:
		step, kind, typ, dynamic := w.target(st, word*memory.PtrSize, noTag)
		if dynamic {
			st.next[word] = nextDynamic
			return w.followInterface(number, uint32(word), w.g.typed.tagAt(place))
		}
		n := w.to(st.path, step, kind, typ)
		w.states[number].next[word] = n + 1
		return n
	default:
		return next - 1
	}
}

// computed is follow for a word whose state is not kept.
func (w *pathWalker) computed(number uint32, word, place uint64) uint32 {
	st := &w.states[number]
	step, kind, typ, _ := w.target(st, word*memory.PtrSize, w.g.typed.tagAt(place))
	return w.to(st.path, step, kind, typ)
}

// followInterface is follow for a value in an interface.
func (w *pathWalker) followInterface(number, word, tag uint32) uint32 {
	k := dynamicKey{number, word, tag}
	n, ok := w.dynamic[k]
	if !ok {
		st := &w.states[number]
		step, kind, typ, _ := w.target(st, uint64(word)*memory.PtrSize, tag)
		n = w.to(st.path, step, kind, typ)
		w.dynamic[k] = n
	}
	return n
}

// period returns after how many words an object's layout begins again, 0 for one
// whose layout is not known.
func (w *pathWalker) period(st *state) uint64 {
	size := uint64(0)
	switch st.kind {
	case single, elements:
		size = st.typ.Size
	case mapHeader, mapTable, chanHeader:
		size = 128 // of the largest header
	case mapTables:
		size = memory.PtrSize
	case mapGroups:
		l, err := st.typ.MapLayout()
		if err != nil {
			return 0
		}
		size = l.Group.Size
	}
	if size%memory.PtrSize != 0 {
		return 0
	}
	return size / memory.PtrSize
}

// target returns what the word at an offset in an object of a state points at, and
// the step to it. It reports whether the word is of an interface, whose type the
// tag gives.
func (w *pathWalker) target(st *state, off uint64, tag uint32) (step string, kind layoutKind, typ *gotypes.Type, dynamic bool) {
	switch st.kind {
	case single:
		step, kind, typ = w.field(st.typ, off, tag)
		return step, kind, typ, w.inInterface(st.typ, off)
	case elements:
		step, kind, typ = w.field(st.typ, off, tag)
		return "[*]" + step, kind, typ, w.inInterface(st.typ, off)
	case mapTables:
		return "", mapTable, st.typ, false
	case mapTable:
		if off == goobject.TableGroups {
			return "", mapGroups, st.typ, false
		}
	case chanHeader:
		if elem, err := st.typ.Elem(); err == nil && off == goobject.ChanBuf {
			return "", elements, elem, false
		}
	case mapHeader:
		l, err := st.typ.MapLayout()
		switch {
		case err != nil || !goobject.IsStoragePointer(l, off):
		case l.Swiss:
			return "", mapContents, st.typ, false
		default:
			return "", mapGroups, st.typ, false
		}
	case mapGroups:
		return w.inGroup(st.typ, off, tag)
	}
	return "", untyped, nil, false
}

// inGroup is target for a word in a group of a map.
func (w *pathWalker) inGroup(t *gotypes.Type, off uint64, tag uint32) (step string, kind layoutKind, typ *gotypes.Type, dynamic bool) {
	l, err := t.MapLayout()
	if err != nil {
		return "", untyped, nil, false
	}
	if !l.Swiss && off == l.Overflow {
		return "", mapGroups, t, false
	}
	for _, part := range []struct {
		step          string
		first, stride uint64
		t             *gotypes.Type
		indirect      bool
	}{{"[*]", l.ElemsOff, l.ElemStride, l.Elem, l.IndirectElem}, {"[key]", l.KeysOff, l.KeyStride, l.Key, l.IndirectKey}} {
		if off < part.first || part.stride == 0 || (off-part.first)/part.stride >= l.Slots {
			continue
		}
		in := (off - part.first) % part.stride
		switch {
		case part.indirect && in == 0:
			return part.step, single, part.t, false
		case !part.indirect && in < part.t.Size:
			step, kind, typ = w.field(part.t, in, tag)
			return part.step + step, kind, typ, w.inInterface(part.t, in)
		}
	}
	return "", untyped, nil, false
}

// inInterface reports whether the word at an offset in a value is of an interface.
func (w *pathWalker) inInterface(t *gotypes.Type, off uint64) bool {
	for {
		switch t.Kind {
		case gotypes.Interface:
			return true
		case gotypes.Array, gotypes.Struct:
			inner, in, _, ok := within(t, off)
			if !ok {
				return false
			}
			t, off = inner, in
		default:
			return false
		}
	}
}

// within returns the field or element that a word of a struct or array is in.
func within(t *gotypes.Type, off uint64) (inner *gotypes.Type, in uint64, step string, ok bool) {
	if t.Kind == gotypes.Array {
		elem, err := t.Elem()
		if err != nil || elem.Size == 0 {
			return nil, 0, "", false
		}
		return elem, off % elem.Size, "[*]", true
	}
	for i := range t.Fields {
		if f := &t.Fields[i]; f.Offset <= off && off < f.Offset+f.Type.Size {
			return f.Type, off - f.Offset, "." + f.Name, true
		}
	}
	return nil, 0, "", false
}

// field returns what the word at an offset in a value points at, and the step to it.
// tag is that of the word, for a value in an interface.
func (w *pathWalker) field(t *gotypes.Type, off uint64, tag uint32) (step string, kind layoutKind, typ *gotypes.Type) {
	const maxSteps = 64
	for range maxSteps {
		switch t.Kind {
		case gotypes.Struct, gotypes.Array:
			if t.Kind == gotypes.Struct {
				if ptr, ok := goobject.TypedPointerOf(t); ok && !ptr.Weak && ptr.Offset == off {
					return step, single, ptr.Elem
				}
			}
			inner, in, more, ok := within(t, off)
			if !ok {
				return step, untyped, nil
			}
			t, off, step = inner, in, step+more
			continue
		case gotypes.Pointer:
			if elem, err := t.Elem(); err == nil {
				return step, single, elem
			}
		case gotypes.Slice:
			if elem, err := t.Elem(); err == nil {
				return step, elements, elem
			}
		case gotypes.String:
			return step, single, t
		case gotypes.Map:
			return step, mapHeader, t
		case gotypes.Chan:
			return step, chanHeader, t
		case gotypes.Interface:
			if tag == noTag {
				return step, untyped, nil
			}
			inner, err := goobject.DynamicType(w.types, t, memory.Address(w.g.typed.values[tag]))
			if err != nil || inner == nil {
				return step, untyped, nil
			}
			step += ".(" + inner.String() + ")"
			if !inner.Direct {
				return step, single, inner
			}
			t, off, tag = inner, 0, noTag
			continue
		}
		break
	}
	return step, untyped, nil
}

// count adds each object to its path.
func (w *pathWalker) count(labels []uint32) {
	g := w.g
	for i := range g.spans {
		s := &g.spans[i]
		for slot := s.first; slot < s.first+s.nelems; slot++ {
			if w.at[slot] == 0 {
				continue
			}
			p := &w.paths[w.states[w.at[slot]-1].path].path
			p.Objects++
			p.Bytes += s.elem
			if labels[slot]&shared == 0 {
				p.ExclusiveObjects++
				p.Exclusive += s.elem
			}
		}
	}
}

// retained adds to each path what its objects retain. An object whose bytes are in
// those of another one on the same path does not count again: the walk over the tree
// of dominators knows which paths it is on.
func (w *pathWalker) retained(d *dominatorTree, size []uint64) {
	n := len(d.vertex)
	child, sibling := make([]uint32, n), make([]uint32, n)
	for v := n - 1; v > topNode; v-- {
		sibling[v] = child[d.idom[v]]
		child[d.idom[v]] = uint32(v)
	}
	on := make([]uint32, len(w.paths)) // how many nodes of the path are above
	pathOf := func(v uint32) (uint32, bool) {
		x := d.vertex[v]
		if v == topNode || x&rootNode != 0 || w.at[x] == 0 {
			return 0, false
		}
		return w.states[w.at[x]-1].path, true
	}
	enter := func(v uint32) {
		if p, ok := pathOf(v); ok {
			if on[p] == 0 {
				w.paths[p].path.Retained += size[v]
			}
			on[p]++
		}
	}
	for v := uint32(topNode); ; {
		if child[v] != 0 {
			v = child[v]
			enter(v)
			continue
		}
		for {
			if v == topNode {
				return
			}
			if p, ok := pathOf(v); ok {
				on[p]--
			}
			if sibling[v] != 0 {
				v = sibling[v]
				enter(v)
				break
			}
			v = d.idom[v]
		}
	}
}

// result returns the paths that have objects, those that retain most first.
func (w *pathWalker) result() []Path {
	var out []Path
	for i := range w.paths {
		n := &w.paths[i]
		if n.path.Objects == 0 {
			continue
		}
		n.path.Root = int(n.root)
		for p := n; p.parent >= 0; p = &w.paths[p.parent] {
			n.path.Steps = append(n.path.Steps, p.step)
		}
		slices.Reverse(n.path.Steps)
		n.path.Type = typeName(n.kind, n.typ)
		out = append(out, n.path)
	}
	slices.SortStableFunc(out, func(a, b Path) int { return cmp.Compare(b.Retained, a.Retained) })
	return out
}

// typeName names what a path leads to.
func typeName(kind layoutKind, t *gotypes.Type) string {
	switch {
	case t == nil:
		return ""
	case kind == elements:
		return "[]" + t.String()
	}
	return t.String()
}
