package value

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"
)

// vertex is a node of a graph whose edges are keys of maps.
type vertex struct {
	Name  string
	Out   map[*vertex]struct{}
	Any   map[any]any
	Sync  *sync.Map
	Peers chan *vertex
}

// complete returns a graph in which all vertices lead to all others.
func complete(n int) []*vertex {
	all := make([]*vertex, n)
	for i := range all {
		all[i] = &vertex{Name: string(rune('a' + i)), Out: map[*vertex]struct{}{}, Any: map[any]any{}, Sync: new(sync.Map), Peers: make(chan *vertex, n)}
	}
	for _, from := range all {
		for _, to := range all {
			from.Out[to], from.Any[to], from.Any[[1]any{to}] = struct{}{}, to, from
			from.Sync.Store(to, from)
			from.Peers <- to
		}
	}
	return all
}

// contexts returns a tree of contexts. Each has some children, and one child of each
// level has its own children.
func contexts(depth, children int) context.Context {
	root, cancel := context.WithCancel(context.Background())
	canceled = append(canceled, cancel)
	parent := root
	for range depth {
		var last context.Context
		for i := range children {
			timed, cancel := context.WithTimeout(parent, time.Hour)
			last, canceled = context.WithValue(timed, contextKey(i), "value"), append(canceled, cancel)
		}
		parent, cancel = context.WithCancel(last)
		canceled = append(canceled, cancel)
	}
	return root
}

type contextKey int

var canceled []context.CancelFunc

// The work to read a value is bounded by what is read: keys that lead back to the tree
// that they are in are not followed again at each level to sort them.
func TestKeysAreBounded(t *testing.T) {
	x := &struct {
		Tree   context.Context
		ByTree map[context.Context]int
		Graph  []*vertex
		Keyed  map[any]*vertex
	}{Tree: contexts(6, 50), ByTree: map[context.Context]int{}, Graph: complete(20), Keyed: map[any]*vertex{}}
	x.ByTree[x.Tree] = 1
	for _, v := range x.Graph {
		x.Keyed[v], x.Keyed[struct{ V *vertex }{v}] = v, v
	}
	p, typ, addr := self(t, x, plain)
	for _, limits := range []Limits{{}, {Depth: 10_000, Elements: -1, Bytes: -1}, {Depth: 3}, {Values: 1000}, {Elements: 2}} {
		r := newReader(p, limits)
		v := r.root(Place{Addr: addr, Type: typ})
		keys, sorting := entriesIn(v), 0
		for s := r.scratch; s != nil; s = s.scratch {
			sorting += s.reads
		}
		// Limits leave out entries whose keys are read to find the first ones.
		if most := min(2*maxKeyValues*keys, (orderValues+1)*r.limits.Values); limits.Elements <= 0 && sorting > most {
			t.Errorf("%+v: sorting %d keys of %d values took %d", limits, keys, r.reads, sorting)
		}
		if most := (orderValues+1)*r.limits.Values + maxKeyValues; r.reads+sorting > most {
			t.Errorf("%+v: %d values were read, want at most %d", limits, r.reads+sorting, most)
		}
		t.Logf("%+v: %d values, %d keys, %d values to sort them", limits, r.reads, keys, sorting)
	}
	runtime.KeepAlive(x)
}

// entriesIn counts the entries of all maps in a tree.
func entriesIn(v *Value) (n int) {
	for _, f := range v.Fields {
		n += entriesIn(f.Value)
	}
	for _, e := range v.Elems {
		n += entriesIn(e)
	}
	for _, e := range v.Entries {
		n += 1 + entriesIn(e.Key) + entriesIn(e.Value)
	}
	if v.Elem != nil {
		n += entriesIn(v.Elem)
	}
	return n
}
