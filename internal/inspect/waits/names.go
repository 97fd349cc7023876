package waits

import (
	"strconv"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/runtime/format/anchor"
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
	main := ""
	if c := p.Core.Capture; c != nil {
		main = c.Main
	}
	for i := range p.Core.Regions {
		if len(n) == 0 {
			return
		}
		if r := &p.Core.Regions[i]; r.ID == anchor.IDNone || r.ID >= anchor.FirstDynamic {
			n.visit(value.Region(p, r, value.Limits{Elements: -1, Bytes: maxKey, Values: maxValues}), value.Label(r, main))
		}
	}
}

// A namer is the objects that have no path yet.
type namer map[key]*Object

// visit looks for objects in a value, to which path leads.
func (n namer) visit(v *value.Value, path string) {
	kind := v.Type
	if v.Shape == value.Chan {
		kind = channel
	}
	if o := n[key{kind, v.Addr}]; o != nil {
		o.Kind, o.Path = kind, path
		delete(n, key{kind, v.Addr})
		delete(n, key{mutex, v.Addr})
		return
	}
	for _, f := range v.Fields {
		n.visit(f.Value, path+"."+f.Name)
	}
	for i, e := range v.Elems {
		n.visit(e, path+"["+strconv.Itoa(i)+"]")
	}
	for _, e := range v.Entries {
		n.visit(e.Value, path+"["+e.Key.Go()+"]")
	}
	if v.Elem != nil {
		n.visit(v.Elem, path)
	}
}
