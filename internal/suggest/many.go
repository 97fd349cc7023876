package suggest

import (
	"go/types"
	"slices"
)

// count finds the struct types of which the program keeps many values: those that
// are elements of a map, a slice, an array or a channel, and those that only
// methods of these types create.
func (p *program) count() {
	for object := range p.vars {
		p.countElements(object.Type())
	}
	for object := range p.fields {
		p.countElements(object.Type())
	}
	for changed := true; changed; {
		changed = false
		for _, t := range p.types {
			if !t.many && len(t.created) > 0 && !slices.ContainsFunc(t.created, func(c creation) bool { return !p.forMany(c.fn, map[*function]bool{}) }) {
				t.many, changed = true, true
			}
		}
	}
}

// countElements marks the type of the elements of a growing type.
func (p *program) countElements(t types.Type) {
	for _, elem := range elements(t.Underlying()) {
		if named := namedOf(elem); named != nil && p.types[named.Obj()] != nil {
			p.types[named.Obj()].many = true
		}
		p.countElements(elem)
	}
}

// forMany reports whether a function runs for each of many values: it is a method
// of their type or returns one of them, or all its callers do. seen has the
// functions on the way.
func (p *program) forMany(fn *function, seen map[*function]bool) bool {
	if p.isMany(receiverType(fn.receiver)) || fn.object != nil && p.returnsMany(fn.object.Signature()) {
		return true
	}
	if seen[fn] {
		return true // the first visit decides
	}
	seen[fn] = true
	return len(fn.callers) > 0 && !slices.ContainsFunc(fn.callers, func(c caller) bool { return !p.forMany(c.fn, seen) })
}

func (p *program) returnsMany(signature *types.Signature) bool {
	for result := range signature.Results().Variables() {
		if p.isMany(result.Type()) {
			return true
		}
	}
	return false
}

// isMany reports whether there are many values of a type, or of what it points to.
func (p *program) isMany(t types.Type) bool {
	named := namedOf(t)
	return named != nil && p.types[named.Obj()] != nil && p.types[named.Obj()].many
}
