package embedded

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// Types are a section's types in a program's Set: the program's own where it has
// descriptors, and made from the section for the others.
type Types struct {
	content *Content
	set     *gotypes.Set
	bias    memory.Address
	known   map[int]memory.Address
}

// NewTypes returns the types of c, in a program that was moved by bias from its
// file.
func NewTypes(c *Content, set *gotypes.Set, bias memory.Address) *Types {
	return &Types{content: c, set: set, bias: bias, known: map[int]memory.Address{}}
}

// At returns the type of an index, which is not negative.
func (ts *Types) At(i int) (*gotypes.Type, error) {
	addr, err := ts.at(i)
	if err != nil {
		return nil, err
	}
	return ts.set.At(addr)
}

// at returns the address of a type.
func (ts *Types) at(i int) (memory.Address, error) {
	t := &ts.content.Types[i]
	if t.Addr != 0 {
		return t.Addr + ts.bias, nil
	}
	if addr, ok := ts.known[i]; ok {
		return addr, nil
	}
	addr, err := ts.set.Make(func() (gotypes.Definition, error) { return ts.definition(t) })
	if err == nil {
		ts.known[i] = addr
	}
	return addr, err
}

func (ts *Types) definition(t *Type) (gotypes.Definition, error) {
	d := gotypes.Definition{Name: t.Name, PkgPath: t.Package, Size: t.Size, Len: t.Len, Methods: t.Methods}
	var err error
	if d.Kind, err = gotypes.ParseKind(t.Kind); err != nil {
		return d, fmt.Errorf("type %s: %w", t.Name, err)
	}
	if t.Elem != nil && *t.Elem >= 0 {
		if d.Elem, err = ts.at(*t.Elem); err != nil {
			return d, err
		}
	}
	for _, f := range t.Fields {
		if f.Type < 0 {
			return d, fmt.Errorf("type %s: %w: field %s has no type", t.Name, ErrDamaged, f.Name)
		}
		of, err := ts.At(f.Type)
		if err != nil {
			return d, fmt.Errorf("type %s: field %s: %w", t.Name, f.Name, err)
		}
		d.Fields = append(d.Fields, gotypes.Field{Name: f.Name, Offset: f.Offset, Type: of})
	}
	return d, nil
}
