package value

import (
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// emptyInterface is the type of any: what a sync.Map's keys and values are.
var emptyInterface = &gotypes.Type{Kind: gotypes.Interface, Size: 16}

// syncMap reads a sync.Map as the map that it is.
func (r *reader) syncMap(v *Value, t *gotypes.Type, addr memory.Address, depth int) bool {
	v.Shape = Map
	s := syncReader{r: r, v: v, depth: depth - 1}
	ok := false
	if m, found := t.Field("m"); found {
		ok = s.trie(m.Type, addr.Add(m.Offset))
	} else {
		ok = s.twoMaps(t, addr)
	}
	if !ok {
		*v = Value{Type: v.Type, Addr: addr}
		return false
	}
	if s.gone != "" {
		*v = Value{Type: v.Type, Addr: addr, Missing: s.gone}
		return true
	}
	slices.SortStableFunc(v.Entries, func(a, b Entry) int { return compareKeys(a.Key, b.Key) })
	return true
}

type syncReader struct {
	r     *reader
	v     *Value
	depth int
	nodes int
	gone  Missing // why nothing of the map is there, not even how many entries it has
}

func (s *syncReader) add(key, value *Value) {
	if s.depth < 0 || len(s.v.Entries) >= s.r.limits.Elements {
		s.v.Omitted++
		return
	}
	if why := key.absence(); why != "" && value.absence() != "" {
		s.note("some of its entries are " + string(why))
		return
	}
	s.v.Entries = append(s.v.Entries, Entry{key, value})
}

// note says something once.
func (s *syncReader) note(text string) {
	if !slices.Contains(s.v.Notes, text) {
		s.v.Notes = append(s.v.Notes, text)
	}
}

func (s *syncReader) any(addr memory.Address) *Value {
	v := &Value{Type: "interface {}", Addr: addr}
	data, ok := s.r.p.read(addr, 16)
	if !ok {
		return s.r.missing(v, addr, 16)
	}
	s.r.iface(v, emptyInterface, data, addr, max(s.depth, 0))
	return v
}

// trie reads the hash trie of Go 1.24 and later. An inner node is a struct
// with children; what they are stands in their first byte. An entry is a node,
// a pointer to the next entry of the same hash, a key and a value.
func (s *syncReader) trie(t *gotypes.Type, addr memory.Address) bool {
	root, ok := t.Field("root")
	if !ok || !strings.HasPrefix(t.Name(), "HashTrieMap[interface {},interface {}]") || len(root.Type.Fields) == 0 {
		return false
	}
	ptr, err := root.Type.Fields[0].Type.Elem()
	if err != nil || ptr.Kind != gotypes.Pointer {
		return false
	}
	inner, err := ptr.Elem()
	if err != nil {
		return false
	}
	children, ok := inner.Field("children")
	if !ok || children.Type.Kind != gotypes.Array || children.Type.Size != children.Type.Len*8 {
		return false
	}
	v, ok := root.Type.Field("v")
	if !ok {
		return false
	}
	s.child(addr.Add(root.Offset+v.Offset), children, 0)
	return true
}

// child reads the node that the word at addr points at.
func (s *syncReader) child(addr memory.Address, children gotypes.Field, level int) {
	const mostLevels = 20 // 4 bits of a hash each
	word, ok := s.r.p.read(addr, 8)
	if s.nodes++; !ok || level > mostLevels || s.nodes > mostTables {
		s.lost(addr, level)
		return
	}
	node := memory.Address(le.Uint64(word))
	if node == 0 {
		return
	}
	kind, ok := s.r.p.read(node, 1)
	if !ok {
		s.lost(node, level)
		return
	}
	if kind[0] == 0 {
		for i := range children.Type.Len {
			s.child(node.Add(children.Offset+i*8), children, level+1)
		}
		return
	}
	for n := 0; node != 0 && n < mostChain; n++ {
		s.add(s.any(node.Add(16)), s.any(node.Add(32)))
		next, ok := s.r.p.read(node.Add(8), 8)
		if !ok {
			s.lost(node, level+1)
			return
		}
		node = memory.Address(le.Uint64(next))
	}
}

// lost says that what stands at addr is not there. Level 0 is the root: without it
// nobody knows whether there are entries.
func (s *syncReader) lost(addr memory.Address, level int) {
	why := s.r.p.why(memory.RangeOf(addr, 8))
	if level == 0 {
		s.gone = why
		return
	}
	s.note("some of its entries are " + string(why))
}

// twoMaps reads the pair of maps of Go 1.23 and before: read, and dirty, which
// when it is there holds all that is live.
func (s *syncReader) twoMaps(t *gotypes.Type, addr memory.Address) bool {
	read, ok1 := t.Field("read")
	dirty, ok2 := t.Field("dirty")
	if !ok1 || !ok2 || dirty.Type.Kind != gotypes.Map {
		return false
	}
	// A deeper reader: what is between the map and its values is not the
	// user's.
	plain := s.r.p.reader(Limits{Depth: s.depth + 4, Elements: s.r.limits.Elements, Bytes: s.r.limits.Bytes})
	m := plain.value(dirty.Type, addr.Add(dirty.Offset), s.depth+4)
	if m.Shape == Nil {
		p := plain.value(read.Type, addr.Add(read.Offset), s.depth+4)
		if p.Shape == Nil {
			return true
		}
		if s.gone = p.absence(); s.gone == "" && p.To != nil {
			s.gone = p.To.absence()
		}
		if s.gone != "" {
			return true
		}
		if p.To == nil || p.To.field("m") == nil {
			return false
		}
		m = p.To.field("m")
	}
	if s.gone = m.Missing; s.gone != "" {
		return true
	}
	s.v.Notes = append(s.v.Notes, m.Notes...)
	s.v.Omitted += m.Omitted
	for _, e := range m.Entries {
		// *entry{p atomic.Pointer[any]}: nil once the key was deleted.
		value := e.Value
		if value.To != nil {
			value = value.To.field("p")
		}
		switch {
		case value == nil || value.Shape == Nil:
		case value.To != nil:
			s.add(e.Key, value.To)
		default:
			s.add(e.Key, value)
		}
	}
	return true
}
