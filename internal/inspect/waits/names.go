package waits

import (
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/paths"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

// Bounds of what is searched of a region, and of what a path shows of a key.
const (
	maxValues = 1 << 18
	maxKey    = 64
)

// nameObjects finds the paths that lead from annotated variables to objects.
func nameObjects(p *inspect.Program, objects []Object) {
	n := namer{}
	for i := range objects {
		if o := &objects[i]; o.Addr != 0 {
			n[key{o.Kind, o.Addr}] = o
			if o.Kind == mutex { // it may be the first bytes of an RWMutex
				n[key{rwMutex, o.Addr}] = o
			}
		}
	}
	limits := value.Limits{Elements: -1, Bytes: maxKey, Values: maxValues}
	paths.All(p, limits, n.visit, func() bool { return len(n) == 0 })
}

// A namer is the objects that have no path yet.
type namer map[key]*Object

// visit gives the object that a value is its path.
func (n namer) visit(path *paths.Path, v *value.Value) bool {
	kind := v.Type
	if v.Shape == value.Chan {
		kind = channel
	}
	o := n[key{kind, v.Addr}]
	if o == nil {
		return true
	}
	o.Kind, o.Path, o.within = kind, path.String(), path.Enclosing()
	delete(n, key{kind, v.Addr})
	delete(n, key{mutex, v.Addr})
	return false
}
