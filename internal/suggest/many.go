package suggest

import (
	"go/types"
	"slices"
	"strings"
)

// count finds the struct types of which the program keeps many values: those that
// are elements of a map, a slice or a channel, also as the values of an interface
// type, and those that their methods and constructors create.
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
			if !t.many && slices.ContainsFunc(t.created, func(c creation) bool { return p.forMany(c.fn, maxCallers) }) {
				t.many, changed = true, true
			}
		}
	}
}

// countElements marks the types of the elements of a growing type.
func (p *program) countElements(t types.Type) {
	for _, elem := range elements(t.Underlying()) {
		if named := namedOf(elem); named != nil && p.types[named.Obj()] != nil {
			p.types[named.Obj()].many = true
		} else if i, ok := elem.Underlying().(*types.Interface); ok {
			for _, implementation := range p.implementations(i) {
				p.types[implementation.(*types.Named).Obj()].many = true
			}
		}
		p.countElements(elem)
	}
}

// specific is the number of methods of an interface that hardly any type
// implements by accident.
const specific = 3

// implementations returns the struct types of the module whose values or pointers
// implement an interface, in the order of their names.
func (p *program) implementations(i *types.Interface) []types.Type {
	if i.NumMethods() < specific {
		return nil
	}
	list, known := p.implemented[i]
	if !known {
		for object := range p.types {
			if types.Implements(types.NewPointer(object.Type()), i) {
				list = append(list, object.Type())
			}
		}
		slices.SortFunc(list, func(a, b types.Type) int {
			return strings.Compare(typeName(a.(*types.Named)), typeName(b.(*types.Named)))
		})
		p.implemented[i] = list
	}
	return list
}

// maxCallers is the number of calls between a method and the constructor that it
// uses.
const maxCallers = 2

// forMany reports whether a function runs for each of many values: it is a method
// of their type or returns one of them, or one of its callers does.
func (p *program) forMany(fn *function, callers int) bool {
	if p.isMany(receiverType(fn.receiver)) || fn.object != nil && p.returnsMany(fn.object.Signature()) {
		return true
	}
	return callers > 0 && slices.ContainsFunc(fn.callers, func(c caller) bool { return p.forMany(c.fn, callers-1) })
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
